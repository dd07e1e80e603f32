/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: which schedules somebody may have to look after, how many these are, and showing only these. */
import type { ScheduleInfo } from "../../core/service/schedules.ts";
import { readParameter } from "../query.ts";
import type { Query } from "../query.ts";
import { asOneOf } from "../reading.ts";
import { addressOf } from "./window.tsx";

type Need = "failing" | "paused";

const recentMs = 86_400_000;

const needs: Readonly<Record<Need, (schedule: ScheduleInfo) => boolean>> = {
  // A firing of the last day has no run, or none will come.
  failing: ({ lastError, next }) => next.length === 0 || (lastError !== null && Date.now() - lastError.at < recentMs),
  paused: ({ paused }) => paused !== null,
};

const names = Object.keys(needs) as readonly Need[];

/** @throws RequestError parameter_invalid */
export function readNeed(query: Query): Need | null {
  return readParameter(query, "only", asOneOf(names)) ?? null;
}

export function thoseIn(need: Need | null, schedules: readonly ScheduleInfo[]): readonly ScheduleInfo[] {
  return need === null ? schedules : schedules.filter(needs[need]);
}

type TriageProps = {
  readonly schedules: readonly ScheduleInfo[];
  readonly workflow: string | undefined;
  readonly need: Need | null;
};

/** Each count leads to those schedules, and from them back to all. */
export function Triage({ schedules, workflow, need }: TriageProps) {
  return names.map((name) => {
    const count = thoseIn(name, schedules).length;
    if (count === 0 && name !== need) return null;
    const isOn = name === need;
    return (
      <a
        class={`tag is-${name === "failing" ? "failed" : name} toned`}
        href={addressOf("/schedules", { workflow, only: isOn ? undefined : name })}
      >
        {count} {name}
        {isOn ? " ×" : ""}
      </a>
    );
  });
}
