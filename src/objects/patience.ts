/**
 * Owns: how long one object waits for another, and before it asks again, and how an error is written into the log.
 * Does not own: what is done when there was no answer.
 */
import { HoldfastError } from "../core/error.ts";
import type { Limit } from "../engine/delivery.ts";
import { timer } from "./timer.ts";

/** How long an object that cannot be reached is asked again and again. */
const patienceMs = 60_000;
const longestPauseMs = 5000;
const hookLimitMs = 30_000;

/** The pause before another attempt: from a second on, doubled with each failure, a fifth more or less by chance. */
export function backoff(failures: number, longestMs: number): number {
  return Math.min(longestMs, 500 * 2 ** failures) * (0.8 + 0.4 * Math.random());
}

/** Rejects when the work takes longer; the work goes on. What it rejects with says that asking again makes sense. */
export async function within<Value>(work: Promise<Value>, limitMs: number): Promise<Value> {
  return await against(limitMs, (over) => Promise.race([work, over.then(() => Promise.reject(late(limitMs)))]));
}

/** What comes of the work; null where it takes longer. */
export async function upTo<Value>(limitMs: number, work: Promise<Value>): Promise<Value | null> {
  return await against(limitMs, (over) => Promise.race([work, over]));
}

/**
 * Does something with a time limit: `make` is given a promise that resolves to null once the time is over. The timer is
 * cancelled when `make` has settled: left behind, it would keep the object awake.
 */
export async function against<Value>(limitMs: number, make: (over: Promise<null>) => Promise<Value>): Promise<Value> {
  const limit = timer(Date.now() + limitMs);
  try {
    return await make(limit.over);
  } finally {
    limit.cancel();
  }
}

/** How long the functions of an author may take that verify, or answer, the call of a webhook: the caller waits no longer. */
export const callLimit: Limit = (made) => upTo(hookLimitMs, made);

/** Asks with a signal that aborts as `stop` does, or once it takes longer. */
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

/** The object, none of whose calls is waited for any longer; what was begun goes on. */
export function limited<Rpc extends object>(object: Rpc, limitMs: number): Rpc {
  return new Proxy(object, {
    get(target, name) {
      const call = Reflect.get(target, name) as unknown;
      if (typeof call !== "function") return call;
      return (...args: unknown[]) => within(Promise.resolve(Reflect.apply(call, target, args)), limitMs);
    },
  });
}

function late(limitMs: number): Error {
  return Object.assign(new Error(`no answer within ${limitMs} ms`), { retryable: true });
}

export function describe(error: unknown): string {
  if (error instanceof HoldfastError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/**
 * Asks again, at growing intervals, where it fails with anything but a HoldfastError.
 * @throws the last error, once that has gone on for a minute or nobody wants it any more
 */
export async function patiently<Value>(
  ask: () => Promise<Value>,
  unwanted: () => boolean,
  failures = 0,
): Promise<Value> {
  const giveUpAt = Date.now() + patienceMs;
  for (let failed = failures; ; failed++) {
    if (failed > 0) await scheduler.wait(Math.min(longestPauseMs, 25 * 2 ** failed));
    try {
      return await ask();
    } catch (error) {
      if (error instanceof HoldfastError || unwanted() || Date.now() > giveUpAt) throw error;
    }
  }
}
