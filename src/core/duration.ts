/** Durations and instants as users write them, and durations as text for people. */
import { HoldfastError } from "./error.ts";
import { mention } from "./option.ts";

/**
 * A span of time: milliseconds, or text of a number and a unit, with or without a blank: ms, s,
 * second(s), m, minute(s), h, hour(s), d, day(s), w, week(s).
 */
export type Duration = number | string;

/** An instant: a Date, epoch milliseconds, or RFC 3339 text with a zone. */
export type Instant = Date | number | string;

export const secondMs = 1000;
export const minuteMs = 60 * secondMs;
export const hourMs = 60 * minuteMs;
export const dayMs = 24 * hourMs;
const weekMs = 7 * dayMs;

/** A longer duration is taken for a mistake in the unit. */
export const maxDurationMs = 100 * 365.25 * dayMs;

const unitMs: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", secondMs],
  ["second", secondMs],
  ["seconds", secondMs],
  ["m", minuteMs],
  ["minute", minuteMs],
  ["minutes", minuteMs],
  ["h", hourMs],
  ["hour", hourMs],
  ["hours", hourMs],
  ["d", dayMs],
  ["day", dayMs],
  ["days", dayMs],
  ["w", weekMs],
  ["week", weekMs],
  ["weeks", weekMs],
]);

const durationText = /^\s*(\d+(?:\.\d+)?|\.\d+)\s*([a-z]+)\s*$/i;

/**
 * A span in whole milliseconds, to the nearest; `what` names the setting in the message.
 * @throws HoldfastError duration_invalid: negative, not finite, empty, without a known unit, over
 * 100 years, or neither a number nor text.
 */
export function toMs(duration: unknown, what = "duration"): number {
  const ms = typeof duration === "string" ? parseDuration(duration) : duration;
  if (typeof ms !== "number" || !(ms >= 0)) {
    throw new HoldfastError(
      "duration_invalid",
      `${what} ${show(duration)} is not a span of time: give milliseconds, or a number and one of ms, s, m, h, d, w`,
    );
  }
  if (ms > maxDurationMs) {
    throw new HoldfastError("duration_invalid", `${what} ${show(duration)} is longer than 100 years`);
  }
  // Plus 0 turns -0 into 0.
  return Math.round(ms) + 0;
}

function parseDuration(text: string): number | null {
  // No duration is this long; the pattern is not run over it.
  const match = text.length > 100 ? null : durationText.exec(text);
  const unit = unitMs.get(match?.[2]?.toLowerCase() ?? "");
  return match === null || unit === undefined ? null : Number(match[1]) * unit;
}

const instantText =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(\.\d+)?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/**
 * An instant as epoch milliseconds; `what` names the setting in the message.
 * @throws HoldfastError duration_invalid: an invalid date, a number that no Date can hold, text
 * that is not RFC 3339 with a zone (`2026-03-01T09:00:00Z`), a day the calendar does not have.
 */
export function toInstant(instant: unknown, what = "the time"): number {
  const ms = readInstant(instant);
  // A Date holds whole milliseconds up to 8.64e15 either way; anything else it makes NaN.
  const at = new Date(ms).getTime();
  if (Number.isNaN(at)) {
    throw new HoldfastError(
      "duration_invalid",
      `${what} ${show(instant)} is not an instant: give a Date, epoch milliseconds, or RFC 3339 text with a zone`,
    );
  }
  return at;
}

function readInstant(instant: unknown): number {
  if (typeof instant === "number") return instant;
  if (instant instanceof Date) return instant.getTime();
  if (typeof instant === "string") return parseInstant(instant);
  // Also accepts a Date of another realm.
  if (Object.prototype.toString.call(instant) === "[object Date]") return Number(instant);
  return Number.NaN;
}

function parseInstant(text: string): number {
  const match = text.length > 100 ? null : instantText.exec(text);
  if (match === null) return Number.NaN;
  const [, year = "", month = "", day = "", hour, minute, second, fraction = "", zone = ""] = match;
  // Date.parse takes 30 February for 1 March.
  if (Number(month) < 1 || Number(month) > 12 || Number(day) > daysIn(Number(year), Number(month))) return Number.NaN;
  const millis = fraction.slice(0, 4).padEnd(1, ".").padEnd(4, "0");
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${millis}${zone.toUpperCase()}`);
}

function daysIn(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}

/** A span for people, its two largest units at most: `250 ms`, `4 min 12 s`, `1 day 3 h`, `6 days`. */
export function describeMs(ms: number): string {
  const whole = Math.max(0, Math.round(ms));
  if (whole < secondMs) return `${whole} ms`;
  const seconds = Math.round(whole / secondMs);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return pair(Math.floor(seconds / 60), "min", seconds % 60, "s");
  const hours = Math.floor(seconds / 3600);
  if (hours < 24) return pair(hours, "h", Math.floor((seconds % 3600) / 60), "min");
  const days = Math.floor(hours / 24);
  // Hours are shown for the first days only.
  return days < 3 ? pair(days, days === 1 ? "day" : "days", hours % 24, "h") : `${days} days`;
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** In parentheses where it is no literal. */
function show(value: unknown): string {
  return /^an? /.test(mention(value)) ? `(${mention(value)})` : mention(value);
}
