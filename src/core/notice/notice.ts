/** The notice of a run's end: its body, and when a failed delivery is retried; both as Standard Webhooks 1.0 advises. */
import { endError, endStatus } from "../history/end.ts";
import type { EndEntry } from "../history/end.ts";
import type { EntryOf } from "../history/entry.ts";
import type { StoredError } from "../error.ts";
import { toJson } from "../value/json.ts";
import { firstCreatedAt } from "../run/origin.ts";
import { defined } from "../record.ts";
import { dayMs, hourMs, minuteMs, secondMs } from "../duration.ts";
import { shortened, utf8Length } from "../size.ts";
import { decode } from "../value/value.ts";
import type { Stored } from "../value/value.ts";

/** Bytes of JSON: a larger output or error is left out. */
const maxPart = 262_144;
const maxMessage = 1000;

/** The pauses between attempts: ten attempts in a little over three days. */
const pauses = [5 * secondMs, 5 * minuteMs, 30 * minuteMs, ...[2, 5, 10, 14, 20, 24].map((hours) => hours * hourMs)];
const jitter = 0.1;

/**
 * Milliseconds until the next attempt, null where none is left.
 * @param attempt the one that failed, from 1
 * @param askedMs the delay that the address asked for, 0 for none; at most a day counts
 * @param random in [0, 1)
 */
export function noticePause(attempt: number, askedMs: number, random: number): number | null {
  const pause = pauses[attempt - 1];
  if (pause === undefined) return null;
  return Math.max(Math.round(pause * (1 + jitter * (2 * random - 1))), Math.min(askedMs, dayMs));
}

/** The body as text; the same in every attempt. */
export function noticeOf(created: EntryOf<"run.created">, end: EndEntry): string {
  const { id, workflow, version, labels } = created;
  const output = end.kind === "run.completed" ? outputOf(end.output) : { output: null };
  const error = endError(end);
  return JSON.stringify({
    type: end.kind,
    timestamp: instant(end.at),
    data: {
      ...{ id, workflow, version, status: endStatus(end), ...output },
      error: error === null ? null : errorOf(error),
      labels,
      createdAt: instant(firstCreatedAt(created)),
      finishedAt: instant(end.at),
    },
  });
}

function instant(at: number): string {
  return new Date(at).toISOString();
}

function outputOf(stored: Stored): { readonly output: unknown; readonly omitted?: readonly ["output"] } {
  const omitted = { output: null, omitted: ["output"] } as const;
  // Fast path: stored text is hardly ever four times as long as its JSON.
  if (stored.length > 4 * maxPart) return omitted;
  const output = toJson(decode(stored));
  return utf8Length(JSON.stringify(output)) > maxPart ? omitted : { output };
}

/** The error without stacks. */
function errorOf(error: StoredError): object {
  const { name, message, code } = error;
  const shown = plain(error);
  if (utf8Length(JSON.stringify(shown)) <= maxPart) return shown;
  return { name, message: shortened(message, maxMessage), ...defined({ code }) };
}

function plain({ name, message, code, step, attempts, cause }: StoredError): object {
  return {
    ...{ name, message },
    ...defined({ code, step, attempts, cause: cause && plain(cause) }),
  };
}
