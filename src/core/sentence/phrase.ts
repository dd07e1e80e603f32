/** Parts of sentences for people: text in one line, times, ordinals, lists. */
import type { Author } from "../author.ts";
import { describeMs } from "../duration.ts";
import type { CallKind } from "../history/entry.ts";

/** White space, control characters, and characters that change the direction of the text after them. */
const unruly = /[\s\p{Cc}\u202a-\u202e\u2066-\u2069]+/gu;

/** The text in one line, at most `limit` UTF-16 units of it; one that is cut ends in `…`. */
export function inLine(text: string, limit: number): string {
  // Text far beyond the limit is not looked at; some extra is, because white space is removed.
  const line = text
    .slice(0, 4 * limit)
    .toWellFormed()
    .replace(unruly, " ")
    .trim();
  if (line.length <= limit && text.length <= 4 * limit) return line;
  // The cut may have split a surrogate pair.
  return `${line
    .slice(0, limit - 1)
    .replace(/[\ud800-\udbff]$/, "")
    .trimEnd()}…`;
}

/** Characters that are shown of a text that people wrote. */
export const maxWords = 300;

/** `: no such customer`; nothing where no reason was given. */
export function because(words: string | null | undefined): string {
  const line = inLine(words ?? "", maxWords);
  return line === "" ? "" : `: ${line}`;
}

export const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/**
 * An instant as seen at `now`, both epoch ms, in UTC: `14:02` on the same day, else `3 Nov 14:02`, in another year
 * `3 Nov 2025 14:02`.
 */
export function timeOf(at: number, now: number): string {
  const [date, today] = [new Date(at), new Date(now)];
  const time = [date.getUTCHours(), date.getUTCMinutes()].map((part) => String(part).padStart(2, "0")).join(":");
  const isThisYear = date.getUTCFullYear() === today.getUTCFullYear();
  const day = `${date.getUTCDate()} ${months[date.getUTCMonth()]}`;
  if (!isThisYear) return `${day} ${date.getUTCFullYear()} ${time}`;
  const isToday = date.getUTCMonth() === today.getUTCMonth() && date.getUTCDate() === today.getUTCDate();
  return isToday ? time : `${day} ${time}`;
}

/** `in 4 min 12 s`, and `now` once the instant has come; both epoch ms. */
export function untilText(at: number, now: number): string {
  return at <= now ? "now" : `in ${describeMs(at - now)}`;
}

/** `37th` */
export function ordinal(count: number): string {
  const teen = count % 100 >= 11 && count % 100 <= 13;
  const ending = teen ? "th" : (["th", "st", "nd", "rd"][count % 10] ?? "th");
  return `${count}${ending}`;
}

/** `attempt 2 of 6`, or `attempt 2` where the limit is not known. */
export function attemptOf(attempt: number, limit: number | null): string {
  return limit === null ? `attempt ${attempt}` : `attempt ${attempt} of ${limit}`;
}

/** Characters that are shown of a name: as many as a name may have. */
const maxName = 256;
/** How many names of a list are shown. */
const maxListed = 5;

export function named(text: string): string {
  return inLine(text, maxName);
}

/** ` (cool down)`: the name of a sleep, unless it is the default. */
export function napName(name: string): string {
  return name === "sleep" ? "" : ` (${named(name)})`;
}

/** `charge, ship and 3 more` */
export function list(names: readonly string[]): string {
  const shown = names.slice(0, maxListed).map(named).join(", ");
  return names.length > maxListed ? `${shown} and ${names.length - maxListed} more` : shown || "nothing";
}

/** `ana (operate)`: the name, and the role where the name is not proved (see `Author`). */
export function who({ by, role }: Author): string {
  return role === undefined ? named(by) : `${named(by)} (${named(role)})`;
}

/** `signal approval:7` */
export function callOf(call: CallKind, id: string): string {
  const what = { run: "step", sleep: "sleep", wait: "signal", webhook: "webhook", child: "child", undo: "undoing" };
  return `${what[call]} ${named(id)}`;
}

/** Formats an instant as seen at another, both epoch ms. */
export type Time = (at: number, now: number) => string;

/** `after 4 s` */
export function elapsed({ at, startedAt }: { readonly at: number; readonly startedAt: number }): string {
  return `after ${describeMs(at - startedAt)}`;
}

/** `at 14:02`, or `on 3 Nov 14:02` on another day. */
export function clock(instant: number, { at }: { readonly at: number }, time: Time): string {
  const day = 86_400_000;
  return `${Math.floor(instant / day) === Math.floor(at / day) ? "at" : "on"} ${time(instant, at)}`;
}

/** ` until 14:02`; nothing where there is no limit. */
export function until(entry: { readonly at: number; readonly until: number | null }, time: Time): string {
  return entry.until === null ? "" : ` until ${time(entry.until, entry.at)}`;
}

/** ` (no such customer)`; nothing for an empty text. */
export function quoted(words: string): string {
  const line = inLine(words, maxWords);
  return line === "" ? "" : ` (${line})`;
}
