/** Owns: words for the bars of a timeline. */
import type { Bar, BarKind } from "../../core/timeline/timeline.ts";
import type { Sign } from "./icon.tsx";
import { spanText } from "./span.ts";

export const barWords: Readonly<Record<BarKind, string>> = {
  run: "step",
  sleep: "sleep",
  wait: "signal",
  webhook: "webhook",
  child: "child run",
  undo: "undo",
  lane: "lane",
  pause: "pause",
  delay: "delayed start",
  update: "update",
};

export const barSigns: Readonly<Record<BarKind, Sign>> = {
  run: "step",
  sleep: "moon",
  wait: "flag",
  webhook: "link",
  child: "tree",
  undo: "undo",
  lane: "lane",
  pause: "paused",
  delay: "queued",
  update: "pen",
};

/** The status of a bar. A step that has begun is `running` while an attempt is in flight, and `waiting` between attempts. */
export function barStatus({ status, attempts, kind, calls }: Bar): string {
  if (status !== "open") return status === "timed_out" ? "timed out" : status;
  if (calls !== undefined) return "running";
  if (kind !== "run" && kind !== "undo") return kind === "pause" ? "paused" : "waiting";
  return attempts.at(-1)?.endedAt === null ? "running" : "waiting";
}

/** The class that gives a bar its colour. */
export function barTone(bar: Bar): string {
  const status = barStatus(bar);
  if (status === "withdrawn") return "is-cancelled";
  return status === "timed out" ? "is-waiting" : `is-${status}`;
}

export function barLength({ startedAt, endedAt }: Bar, now: number): string {
  return spanText((endedAt ?? now) - startedAt);
}

/** The address of the run's page with this bar open. */
export function barAddress(run: string, key: string): string {
  return `/runs/${encodeURIComponent(run)}?step=${encodeURIComponent(key)}`;
}
