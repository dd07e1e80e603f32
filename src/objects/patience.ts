/**
 * Owns: timeouts and retries of calls between objects, and the text of errors in the log.
 * Does not own: the reaction to a call that failed.
 */
import { backoffMs } from "../core/backoff.ts";
import type { ErrorCode } from "../core/code.ts";
import { HoldfastError } from "../core/error.ts";
import type { Bell } from "../engine/turn/bell.ts";
import type { TimeLimit } from "../engine/wait/delivery.ts";
import { schemaTimeout } from "../engine/wait/validation.ts";
import { aroundCalls } from "./interception.ts";
import { timer } from "./run/timer.ts";

/** How long calls of an object that cannot be reached are retried. */
const patienceMs = 60_000;
const longestPauseMs = 5000;
/** For a function or a schema of the author's, while somebody waits for the answer. */
const authorLimitMs = 30_000;

/** The pause before another attempt: one second, doubled with each failure, with 20 % jitter. */
export function backoff(failures: number, longestMs: number): number {
  return backoffMs(failures, 1000, longestMs) * (0.8 + 0.4 * Math.random());
}

/** Rejects with a retryable error when the work takes longer; the work is not stopped. */
export async function within<Value>(work: Promise<Value>, limitMs: number): Promise<Value> {
  return await against(limitMs, (over) => Promise.race([work, over.then(() => Promise.reject(late(limitMs)))]));
}

/** The result of the work; null if it takes longer. */
export async function upTo<Value>(limitMs: number, work: Promise<Value>): Promise<Value | null> {
  return await against(limitMs, (over) => Promise.race([work, over]));
}

/**
 * Calls `make` with a promise that resolves to null when the time is over. The timer is cancelled when the promise of `make`
 * settles, because it would keep the object awake.
 */
export async function against<Value>(limitMs: number, make: (over: Promise<null>) => Promise<Value>): Promise<Value> {
  const limit = timer(Date.now() + limitMs);
  try {
    return await make(limit.over);
  } finally {
    limit.cancel();
  }
}

/** Waits until it is so, or the time is over; looks again whenever the bell rings. */
export async function untilSo(isSo: () => boolean, bell: Bell, limitMs: number): Promise<void> {
  await against(limitMs, async (over) => {
    // The time limit resolves with null, the bell with undefined.
    while (!isSo()) if ((await Promise.race([bell.rung(), over])) === null) return;
  });
}

/** The limit for the author's functions `verify` and `respond` of a webhook, for which the caller waits. */
export const authorLimit: TimeLimit = (made) => upTo(authorLimitMs, made);

/** What a schema makes of a value, for which somebody waits. @throws HoldfastError with `code` if it takes too long */
export async function judgedInTime<Value extends string | object>(
  made: Promise<Value>,
  code: ErrorCode,
  what: string,
): Promise<Value> {
  const fitted = await authorLimit(made);
  if (fitted === null) throw schemaTimeout(code, what);
  return fitted;
}

/** Makes the call with a signal that aborts with `stop`, or when the time is over. */
export async function inTime<Answer>(
  stop: AbortSignal,
  limitMs: number,
  ask: (signal: AbortSignal) => Promise<Answer>,
  why = `no answer within ${limitMs} ms`,
): Promise<Answer> {
  const limit = new AbortController();
  return await against(limitMs, async (over) => {
    void over.then(() => limit.abort(new Error(why)));
    return await ask(AbortSignal.any([stop, limit.signal]));
  });
}

/** The object with a timeout for all calls, which are not stopped. */
export function limited<Rpc extends object>(object: Rpc, limitMs: number): Rpc {
  return aroundCalls(object, (make, args) => within(Promise.resolve(make(...args)), limitMs));
}

function late(limitMs: number): Error {
  return Object.assign(new Error(`no answer within ${limitMs} ms`), { retryable: true });
}

export function describe(error: unknown): string {
  if (error instanceof HoldfastError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/**
 * Retries the call with growing pauses after any error except for a HoldfastError.
 * @throws the last error after a minute, or when the result is not needed any more
 */
export async function patiently<Value>(
  ask: () => Promise<Value>,
  isCancelled: () => boolean,
  failures = 0,
): Promise<Value> {
  const giveUpAt = Date.now() + patienceMs;
  for (let failed = failures; ; failed++) {
    if (failed > 0) await scheduler.wait(backoffMs(failed, 50, longestPauseMs));
    try {
      return await ask();
    } catch (error) {
      if (error instanceof HoldfastError || isCancelled() || Date.now() > giveUpAt) throw error;
    }
  }
}
