/** Retry policies: how they merge, and when the next attempt begins. */
import { maxDurationMs, toMs } from "../duration.ts";
import type { Duration } from "../duration.ts";
import { HoldfastError, isNonRetryable, retryAfterOf } from "../error.ts";
import { checkOptions, isPlain, mention } from "../option.ts";

/** Every field is optional; policies merge default ← workflow ← step. */
export type RetryPolicy = {
  /** Retries after the first attempt: 4 means 5 attempts. */
  readonly limit?: number;
  readonly delay?: Duration;
  readonly backoff?: "exponential" | "linear" | "constant";
  /** 1 hour unless somebody sets it, but then no less than `delay`: what an author wrote is kept. */
  readonly maxDelay?: Duration;
  /** A fraction: 0.2 spreads the delay over ±20 %, after `maxDelay`. */
  readonly jitter?: number;
};

/** The delay before the next attempt, or null to give up; `attempt` is the one that failed, from 1. */
export type RetryFunction = (error: unknown, attempt: number) => Duration | null;

export type Retry = RetryPolicy | RetryFunction;

type Backoff = NonNullable<RetryPolicy["backoff"]>;

/** A policy with nothing left open. */
export type ResolvedRetry =
  | {
      readonly kind: "policy";
      /** A count, or Infinity. */
      readonly limit: number;
      readonly delayMs: number;
      readonly backoff: Backoff;
      /** Null: not set by anybody, so 1 hour, or `delayMs` where that is longer. */
      readonly maxDelayMs: number | null;
      readonly jitter: number;
    }
  | { readonly kind: "function"; readonly decide: RetryFunction };

type ResolvedPolicy = Extract<ResolvedRetry, { kind: "policy" }>;

const defaultMaxDelayMs = 3_600_000;

/** 5 retries: 1 s, doubling, ±20 %, capped at 1 hour. */
export const defaultRetry: ResolvedPolicy = {
  kind: "policy",
  limit: 5,
  delayMs: 1000,
  backoff: "exponential",
  maxDelayMs: null,
  jitter: 0.2,
};

/**
 * Merges the policies over the default, in order. A function replaces everything before it; a policy after a function begins
 * again from the default.
 * @throws HoldfastError options_invalid naming the field, duration_invalid for `delay` and `maxDelay`
 */
export function resolveRetry(...policies: readonly (Retry | undefined)[]): ResolvedRetry {
  let resolved: ResolvedRetry = defaultRetry;
  for (const policy of policies) {
    if (policy === undefined) continue;
    if (typeof policy === "function") resolved = { kind: "function", decide: policy };
    else resolved = merge(resolved.kind === "policy" ? resolved : defaultRetry, policy);
  }
  return resolved;
}

/** As {@link resolveRetry}; the message of an error names whose policy it is. */
export function retryOf(whose: string, ...policies: readonly (Retry | undefined)[]): ResolvedRetry {
  try {
    return resolveRetry(...policies);
  } catch (error) {
    throw error instanceof HoldfastError ? new HoldfastError(error.code, `${whose}: ${error.message}`) : error;
  }
}

const fields: readonly string[] = ["limit", "delay", "backoff", "maxDelay", "jitter"] satisfies (keyof RetryPolicy)[];

function merge(base: ResolvedPolicy, policy: RetryPolicy): ResolvedPolicy {
  if (!isPlain(policy)) {
    throw new HoldfastError("options_invalid", `retry must be a policy object or a function, not ${mention(policy)}`);
  }
  checkOptions(policy, fields, "retry");
  const { limit, delay, backoff, maxDelay, jitter } = policy;
  return {
    kind: "policy",
    limit: limit === undefined ? base.limit : checkLimit(limit),
    delayMs: delay === undefined ? base.delayMs : toMs(delay, "retry.delay"),
    backoff: backoff === undefined ? base.backoff : checkBackoff(backoff),
    maxDelayMs: maxDelay === undefined ? base.maxDelayMs : toMs(maxDelay, "retry.maxDelay"),
    jitter: jitter === undefined ? base.jitter : checkJitter(jitter),
  };
}

function checkLimit(limit: unknown): number {
  if (limit === Number.POSITIVE_INFINITY) return limit;
  if (typeof limit === "number" && Number.isInteger(limit) && limit >= 0) return limit;
  throw new HoldfastError("options_invalid", "retry.limit must be a whole number of retries, 0 or more, or Infinity");
}

function checkBackoff(backoff: unknown): Backoff {
  if (backoff === "exponential" || backoff === "linear" || backoff === "constant") return backoff;
  throw new HoldfastError("options_invalid", 'retry.backoff must be "exponential", "linear" or "constant"');
}

function checkJitter(jitter: unknown): number {
  if (typeof jitter === "number" && jitter >= 0 && jitter <= 1) return jitter;
  throw new HoldfastError("options_invalid", "retry.jitter must be a fraction from 0 to 1");
}

/**
 * Whole milliseconds until the next attempt, or null to give up. `attempt` is the one that failed,
 * from 1; `random` gives numbers in [0, 1). The delay of a RetryAfterError is kept whole, and its
 * attempt counts as any other.
 * @throws HoldfastError duration_invalid if a retry function or a RetryAfterError gives an invalid delay: the step then
 * fails with this error, whose cause is the step's own.
 */
export function nextDelayMs(
  retry: ResolvedRetry,
  error: unknown,
  attempt: number,
  random: () => number,
): number | null {
  if (isNonRetryable(error)) return null;
  const asked = retryAfterOf(error);
  switch (retry.kind) {
    case "policy":
      if (attempt > retry.limit) return null;
      return asked === null ? backOff(retry, attempt, random) : delayOf(asked, error);
    case "function": {
      const decided = ask(retry.decide, error, attempt);
      return decided === null ? null : delayOf(asked ?? decided, error);
    }
    default:
      return retry satisfies never;
  }
}

/** How many attempts the policy allows in all; null where it sets no limit, or a function decides. */
export function attemptLimit(retry: ResolvedRetry): number | null {
  return retry.kind === "policy" && Number.isFinite(retry.limit) ? retry.limit + 1 : null;
}

/** A function that throws gives up: there is no next attempt. */
function ask(decide: RetryFunction, error: unknown, attempt: number): Duration | null {
  try {
    return decide(error, attempt);
  } catch {
    return null;
  }
}

function delayOf(delay: unknown, error: unknown): number {
  try {
    return toMs(delay, "the delay before the next attempt");
  } catch (refused) {
    if (!(refused instanceof HoldfastError)) throw refused;
    throw new HoldfastError(refused.code, refused.message, { cause: error });
  }
}

function backOff(retry: ResolvedPolicy, attempt: number, random: () => number): number {
  const cap = retry.maxDelayMs ?? Math.max(defaultMaxDelayMs, retry.delayMs);
  const delay = Math.min(cap, retry.delayMs * growth(retry.backoff, attempt));
  return Math.max(0, Math.round(delay * (1 + retry.jitter * (2 * random() - 1))));
}

/** The factor by which the delay after this attempt is longer than that after the first. */
export function growth(backoff: Backoff, attempt: number): number {
  switch (backoff) {
    case "exponential":
      // Bounded, because 0 times Infinity would be NaN.
      return 2 ** Math.min(attempt - 1, 64);
    case "linear":
      return attempt;
    case "constant":
      return 1;
    default:
      return backoff satisfies never;
  }
}

/**
 * The delay of a `Retry-After` header in ms: seconds or a date (RFC 9110, 10.2.3); null for anything else, and for one that
 * no attempt can wait for: whoever answers must not be able to fail the step at once.
 * @param at when it came, epoch ms
 */
export function readRetryAfter(header: string | null, at: number): number | null {
  if (header === null) return null;
  const text = header.trim();
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - at;
  return Number.isSafeInteger(ms) && ms >= 0 && ms <= maxDurationMs ? ms : null;
}
