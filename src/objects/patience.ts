/**
 * Owns: how long one object waits for another, and before it asks again, and how an error is written into the log.
 * Does not own: what is done when there was no answer.
 */
import { HoldfastError } from "../core/error.ts";
import type { Limit } from "../engine/delivery.ts";

/** How long an object is asked that cannot be reached. */
const patienceMs = 60_000;
const longestPauseMs = 5000;
const hookLimitMs = 30_000;

/** The pause before another attempt: from a second on, doubled with each failure, a fifth more or less by chance. */
export function backoff(failures: number, longestMs: number): number {
  return Math.min(longestMs, 500 * 2 ** failures) * (0.8 + 0.4 * Math.random());
}

/** Rejects when the work takes longer; the work goes on. What it rejects with says that asking again makes sense. */
export async function within<Value>(work: Promise<Value>, limitMs: number): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late(limitMs)), limitMs);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** What comes of the work; null where it takes longer. No timer is left behind. */
export async function upTo<Value>(limitMs: number, work: Promise<Value>): Promise<Value | null> {
  const { promise, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), limitMs);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** For functions of authors that judge, or answer, the call of a webhook: whoever calls waits no longer. */
export const callLimit: Limit = (made) => upTo(hookLimitMs, made);

/**
 * Asks with a signal that aborts as `stop` does, or once it takes longer. A timer that is left behind, as that of
 * `AbortSignal.timeout` is, would keep the object awake.
 */
export async function inTime<Answer>(
  stop: AbortSignal,
  limitMs: number,
  ask: (signal: AbortSignal) => Promise<Answer>,
  why = `no answer within ${limitMs} ms`,
): Promise<Answer> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(new Error(why)), limitMs);
  try {
    return await ask(AbortSignal.any([stop, limit.signal]));
  } finally {
    clearTimeout(timer);
  }
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
