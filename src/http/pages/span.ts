/** Durations and instants as text for people; the same on the server and in the browser. */
import { describeMs } from "../../core/duration.ts";
import { months } from "../../core/sentence/phrase.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** `340 ms`, `4.2 s`, `4 min 12 s`, `3 h 5 min`, `6 d 2 h`. */
export function spanText(ms: number): string {
  const span = Math.max(0, ms);
  if (span < 1000) return `${Math.round(span)} ms`;
  if (span < 10_000) return `${(Math.floor(span / 100) / 10).toFixed(1)} s`;
  const [big, small] = cut(span);
  return small === "" ? big : `${big} ${small}`;
}

/** As in a run's reason, but with hours also beside many days, so that a wait of 30 days does not begin as `29 days`. */
export function leftText(ms: number): string {
  const hours = Math.floor((ms % day) / hour);
  return ms < 3 * day || hours === 0 ? describeMs(ms) : `${Math.floor(ms / day)} days ${hours} h`;
}

/** `in 4 min 12 s`, and `now` once the instant has come. */
export function inText(at: number, now: number): string {
  return at <= now ? "now" : `in ${leftText(at - now)}`;
}

/** `just now`, `42 s ago`: with one unit. */
export function agoText(at: number, now: number): string {
  const span = Math.abs(now - at);
  if (span < 1000) return "just now";
  const [big] = cut(span);
  return at > now ? inText(at, now) : `${big} ago`;
}

/** `21 Nov 2026, 10:30:17 UTC`. */
export function utcText(at: number): string {
  const date = new Date(at);
  const two = (part: number): string => String(part).padStart(2, "0");
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(":");
  return `${date.getUTCDate()} ${months[date.getUTCMonth()] ?? ""} ${date.getUTCFullYear()}, ${time} UTC`;
}

/** `21 Nov, 10:30:17.042 UTC`: with milliseconds. */
export function exactText(at: number): string {
  return `${dayText(at)}, ${new Date(at).toISOString().slice(11, 23)} UTC`;
}

/** `21 Nov`, in UTC. */
export function dayText(at: number): string {
  const date = new Date(at);
  return `${date.getUTCDate()} ${months[date.getUTCMonth()] ?? ""}`;
}

/** `10:30`, in UTC. */
export function hourText(at: number): string {
  return new Date(at).toISOString().slice(11, 16);
}

function cut(span: number): [big: string, small: string] {
  if (span < minute) return [`${Math.floor(span / 1000)} s`, ""];
  if (span < hour) return pair(span, minute, "min", 1000, "s");
  if (span < day) return pair(span, hour, "h", minute, "min");
  return pair(span, day, "d", hour, "h");
}

function pair(span: number, large: number, big: string, little: number, small: string): [string, string] {
  const rest = Math.floor((span % large) / little);
  return [`${Math.floor(span / large)} ${big}`, rest === 0 ? "" : `${rest} ${small}`];
}
