/** What the sentences for people are made of: text that fits one line, times of day, numbers in a row. */
import { describeMs } from "./duration.ts";

/** Breaks, control characters, and what turns the direction of the text behind it. */
const unruly = /[\s\p{Cc}\u202a-\u202e\u2066-\u2069]+/gu;

/** The text in one line, at most `limit` UTF-16 units of it; one that is cut ends in `…`. */
export function inLine(text: string, limit: number): string {
  // What is far behind the limit need not be looked at; a little of it may be blanks that fall away.
  const line = text
    .slice(0, 4 * limit)
    .toWellFormed()
    .replace(unruly, " ")
    .trim();
  if (line.length <= limit && text.length <= 4 * limit) return line;
  // Half of a surrogate pair is no text.
  return `${line
    .slice(0, limit - 1)
    .replace(/[\ud800-\udbff]$/, "")
    .trimEnd()}…`;
}

/** Of words that people wrote, so many characters help. */
export const maxWords = 300;

/** `: no such customer`; nothing where nobody said why. */
export function because(words: string | null | undefined): string {
  const line = inLine(words ?? "", maxWords);
  return line === "" ? "" : `: ${line}`;
}

export const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/**
 * An instant as somebody at another says it, both epoch ms, in UTC: `14:02` on the same day, else
 * `3 Nov 14:02`, in another year `3 Nov 2025 14:02`.
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

/** `attempt 2 of 6`, or `attempt 2` where nobody knows of how many. */
export function attemptOf(attempt: number, limit: number | null): string {
  return limit === null ? `attempt ${attempt}` : `attempt ${attempt} of ${limit}`;
}
