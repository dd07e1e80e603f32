/**
 * Cron arithmetic: which instants a pattern names in a time zone. croner reads the pattern and knows
 * the calendar; this file fixes what happens where the clocks change (docs/schedules.md):
 *
 * - A time of day written out (no `*`, no step in seconds, minutes and hours) fires once a local day.
 *   Where clocks go forward over it, at the first instant after the gap; where they go back over it,
 *   the first time round.
 * - Any other pattern fires by the clock as it is: not at times that are skipped, twice at times that are repeated.
 */
import { dayMs, secondMs } from "../duration.ts";
import { messageOf } from "../error.ts";
import { Cron as Croner } from "croner";

export type Cron = {
  /** The first instant strictly after `at`; null when there is none. Epoch ms, whole seconds. */
  next(at: number): number | null;
  /** The last instant of those from `fromAt` to `toAt`, both included; null when there is none. */
  latest(fromAt: number, toAt: number): number | null;
};

/** The calendar repeats every 28 years, so a pattern with no instant after this one has none at all. */
const calendarStartAt = Date.UTC(2001, 0, 1);

const nicknames: ReadonlyMap<string, string> = new Map([
  ["@yearly", "0 0 1 1 *"],
  ["@annually", "0 0 1 1 *"],
  ["@monthly", "0 0 1 * *"],
  ["@weekly", "0 0 * * 0"],
  ["@daily", "0 0 * * *"],
  ["@midnight", "0 0 * * *"],
  ["@hourly", "0 * * * *"],
]);

/** The fields of a pattern, or of that which a nickname such as `@daily` stands for. */
export function fieldsOf(pattern: string): string[] {
  const text = pattern.trim();
  return (nicknames.get(text.toLowerCase()) ?? text).split(/\s+/);
}

/** What is wrong with the pattern, as the end of a sentence; null when it is good. */
export function cronProblem(pattern: unknown): string | null {
  if (typeof pattern !== "string") return "is not text";
  // "?" would stand for the time at which the Worker started.
  if (pattern.includes("?")) return 'has a "?", which Holdfast does not take';
  const count = fieldsOf(pattern).length;
  if (count !== 5 && count !== 6)
    return `has ${count} ${count === 1 ? "field" : "fields"}: it needs five, or six with the seconds first`;
  try {
    const first = read(pattern, "UTC").nextRun(new Date(calendarStartAt));
    return first === null ? "names a date that no calendar has" : null;
  } catch (error) {
    return `cannot be read: ${messageOf(error)}`;
  }
}

/** What is wrong with the time zone, as the end of a sentence; null when it is good. */
export function timezoneProblem(timezone: unknown): string | null {
  if (typeof timezone !== "string" || timezone === "") return "is not the name of a time zone";
  try {
    return clockOf(timezone) && null;
  } catch {
    return "is not a time zone known here; give an IANA name such as Europe/Berlin";
  }
}

/** Those in use: each is parsed once. */
const crons = new Map<string, Cron>();
const maxCrons = 2_000;

/** @throws what croner throws, for a pattern or zone that `cronProblem` or `timezoneProblem` refuses. */
export function cronOf({ cron, timezone }: { readonly cron: string; readonly timezone: string }): Cron {
  const name = `${timezone} ${cron}`;
  const known = crons.get(name);
  if (known !== undefined) return known;
  if (crons.size >= maxCrons) crons.clear();
  const parsed = parse(cron, timezone);
  crons.set(name, parsed);
  return parsed;
}

function parse(pattern: string, timezone: string): Cron {
  const zoned = read(pattern, timezone);
  const gaps = isFixed(pattern) ? gapFinder(read(pattern, "UTC"), timezone) : null;
  const next = (at: number): number | null => {
    const found = zoned.nextRun(new Date(at))?.getTime() ?? null;
    return gaps === null ? found : sooner(found, gaps(at));
  };
  return { next, latest: (fromAt, toAt) => latest(next, fromAt, toAt) };
}

function read(pattern: string, timezone: string): Croner {
  // Not seven: a pattern with years could run out, and be refused by a later deployment of the same code.
  return new Croner(canonical(pattern), { timezone, mode: "5-or-6-parts", fixedTimeRule: "no-wildcard", paused: true });
}

/** A range of all values means the same as a star, and is treated like one where clocks change. */
function canonical(pattern: string): string {
  const fields = fieldsOf(pattern);
  const hour = fields.length - 4;
  return fields.map((field, i) => (i <= hour && field === (i === hour ? "0-23" : "0-59") ? "*" : field)).join(" ");
}

function isFixed(pattern: string): boolean {
  return canonical(pattern)
    .split(" ")
    .slice(0, -3)
    .every((field) => !/[*/]/.test(field));
}

/**
 * Bisection that uses `next` alone, so that both directions always agree. `found` is an instant, none that is wanted lies
 * after `high`, and each turn halves the span between them.
 */
function latest(next: Cron["next"], fromAt: number, toAt: number): number | null {
  let found = next(fromAt - 1);
  if (found === null || found > toAt) return null;
  let high = toAt;
  while (high - found >= secondMs) {
    const middle = Math.floor((found + high) / 2);
    const later = next(middle);
    if (later !== null && later <= toAt) found = later;
    else high = middle;
  }
  return found;
}

function sooner(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other;
  return Math.min(one, other);
}

/**
 * croner drops a written-out time of day that falls into a gap which ends on the next local day (Nuuk, where 23:00 is
 * followed by 00:00). This finds the end of the gap into which the next written-out time falls, if it does.
 */
function gapFinder(written: Croner, timezone: string): Cron["next"] {
  const clock = clockOf(timezone);
  return (at) => {
    const wall = written.nextRun(new Date(clock(at)))?.getTime();
    if (wall === undefined) return null;
    const before = clock(wall - dayMs) - (wall - dayMs);
    const after = clock(wall + dayMs) - (wall + dayMs);
    if (before >= after || clock(wall - before) === wall || clock(wall - after) === wall) return null;
    const endAt = transition(clock, wall - after, wall - before);
    return endAt > at ? endAt : null;
  };
}

/** The first whole second in (fromAt, toAt] that has the offset of `toAt`. */
function transition(clock: (at: number) => number, fromAt: number, toAt: number): number {
  const offset = clock(toAt) - toAt;
  let low = fromAt;
  let high = toAt;
  while (high - low > secondMs) {
    const middle = low + Math.floor((high - low) / 2 / secondMs) * secondMs;
    if (clock(middle) - middle === offset) high = middle;
    else low = middle;
  }
  return high;
}

/** Local time as if it were UTC, in whole seconds. @throws RangeError: no such zone */
function clockOf(timezone: string): (at: number) => number {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: timezone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  return (at) => {
    const parts = new Map(format.formatToParts(at).map((part) => [part.type, Number(part.value)]));
    const part = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0;
    return Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"), part("second"));
  };
}
