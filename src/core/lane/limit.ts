/** The lanes that the code itself names, whether or not anybody has used them. */
import type { Definition } from "../definition/definition.ts";
import { toMs } from "../duration.ts";
import { compareNames } from "../listing/page.ts";
import { baseOf, laneOf } from "./ticket.ts";

/** `limit` null: none in the code. */
export type CodeLimit = { readonly name: string; readonly limit: number | null; readonly periodMs: number | null };

/**
 * Sorted by name. Of several versions of one workflow, the last that names a lane counts; of several workflows, the last
 * that gives a limit.
 */
export function collectLimits(definitions: readonly Definition[]): CodeLimit[] {
  const current = new Map(definitions.map((definition) => [definition.name, definition]));
  const newest = new Map<string, { readonly one: CodeLimit; readonly isCurrent: boolean }>();
  for (const definition of definitions)
    for (const one of limitsOf(definition))
      newest.set(JSON.stringify([definition.name, one.name]), {
        one,
        isCurrent: current.get(definition.name) === definition,
      });
  const limits = new Map<string, CodeLimit>();
  // Current versions come last, and so win.
  for (const { one } of [...newest.values()].toSorted((a, b) => Number(a.isCurrent) - Number(b.isCurrent))) {
    const known = limits.get(one.name);
    limits.set(one.name, one.limit === null && known !== undefined ? known : one);
  }
  return [...limits.values()].toSorted((one, other) => compareNames(one.name, other.name));
}

/** The code's limit of this lane, or of the lane that it is a key of; undefined where the code names neither. */
export function limitIn(code: ReadonlyMap<string, CodeLimit>, lane: string): CodeLimit | undefined {
  return code.get(lane) ?? code.get(baseOf(lane) ?? lane);
}

function limitsOf({ name, flow }: Definition): CodeLimit[] {
  const { lane, concurrency, throttle, rateLimit, singleton } = flow;
  const limits: CodeLimit[] = [];
  if (typeof lane === "string") limits.push({ name: lane, limit: null, periodMs: null });
  else if (lane !== undefined) limits.push({ name: lane.name, limit: lane.limit, periodMs: null });
  if (concurrency !== undefined) {
    const { limit, scope = "run" } = typeof concurrency === "number" ? { limit: concurrency } : concurrency;
    limits.push({ name: laneOf(scope === "step" ? "steps" : "concurrency", name), limit, periodMs: null });
  }
  for (const [kind, rate] of [["throttle", throttle] as const, ["rateLimit", rateLimit] as const]) {
    if (rate === undefined) continue;
    limits.push({ name: laneOf(kind, name), limit: rate.limit, periodMs: toMs(rate.period, `the period of ${kind}`) });
  }
  if (singleton?.mode === "queue") limits.push({ name: laneOf("singleton", name), limit: 1, periodMs: null });
  return limits;
}
