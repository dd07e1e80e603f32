/**
 * Owns: translating Cloudflare's configuration of a step to options of Holdfast.
 * Does not own: retrying, timing out (engine).
 */
import type {
  WorkflowBackoff,
  WorkflowDelayFunction,
  WorkflowStepConfig,
  WorkflowStepContext,
} from "cloudflare:workers";
import { toMs } from "../core/duration.ts";
import type { Duration } from "../core/duration.ts";
import { isNonRetryable } from "../core/error.ts";
import { checkOptions, refused } from "../core/option.ts";
import { defined } from "../core/record.ts";
import { growth, retryOf } from "../core/definition/retry.ts";
import type { RetryPolicy } from "../core/definition/retry.ts";
import type { AttemptContext, RunOptions } from "../core/definition/options.ts";
import { isThenable } from "../core/thenable.ts";
import { toRecorded } from "./stream.ts";

type Retries = NonNullable<WorkflowStepConfig["retries"]>;

/** The default configuration of a step, as Cloudflare documents it. */
const defaults = { limit: 5, delay: 10_000, backoff: "exponential" } as const;
const defaultTimeout = "10 minutes";

/** On Cloudflare, delays have neither jitter nor a cap; 100 years have the effect of none. */
const exact = { jitter: 0, maxDelay: 100 * 365 * 86_400_000 } as const;

export const defaultRetry: RetryPolicy = { ...defaults, ...exact };

const longMs = { month: 30 * 86_400_000, year: 365.25 * 86_400_000 } as const;

/** Months, years and numeric text, which only Cloudflare takes, in milliseconds. Every other duration means the same here. */
export function toDuration(given: Duration): Duration {
  if (typeof given === "string" && given.trim() !== "" && !Number.isNaN(Number(given))) return Number(given);
  const [, count, unit] =
    typeof given === "string" ? (/^\s*(\d+(?:\.\d+)?)\s*(month|year)s?\s*$/.exec(given) ?? []) : [];
  return unit === "month" || unit === "year" ? Number(count) * longMs[unit] : given;
}

/** The length of a sleep or a wait: a negative one is over at once, as on Cloudflare. */
export function toSpan(given: Duration): Duration {
  const isOver = typeof given === "number" ? given < 0 : typeof given === "string" && /^\s*-/.test(given);
  return isOver ? 0 : toDuration(given);
}

/** The occurrence of a step among those of its name, and the attempt. */
type Place = { readonly count: number; readonly attempt: number };

/** The context that the function of a step gets. @param name as it was given */
export function contextOf(name: string, config: WorkflowStepConfig, { count, attempt }: Place): WorkflowStepContext {
  const { retries, timeout = defaultTimeout, sensitive } = config;
  const { delay, ...rest } = { ...defaults, ...retries };
  return {
    step: { name, count },
    attempt,
    config: {
      // A delay that is a function is not shown.
      retries: (typeof delay === "function" ? rest : { ...rest, delay }) as Retries & { delay: number },
      timeout,
      ...defined({ sensitive }),
    },
  };
}

type Attempted = Pick<AttemptContext, "attempt" | "idempotencyKey">;

export function placeOf({ attempt, idempotencyKey }: Attempted): Place {
  return { attempt, count: countOf(idempotencyKey) };
}

/** Reads the occurrence from the end of a step's id, or of its key: `charge#2`; the first one has no number. */
export function countOf(id: string): number {
  return Number(/#(\d+)(?::undo)?$/.exec(id)?.[1] ?? 1);
}

export type Callback = (ctx: WorkflowStepContext) => unknown;

type Options = Pick<RunOptions, "retry" | "timeout" | "sensitive">;

/** The function and the options that `step.run` takes for a `step.do`. @throws HoldfastError options_invalid */
export function taskOf(
  name: string,
  config: WorkflowStepConfig,
  callback: Callback,
): { readonly fn: (context: AttemptContext) => unknown; readonly options: Options } {
  const what = `the config of step ${name}`;
  checkOptions(config, ["retries", "timeout", "sensitive"], what);
  const { retries, timeout, sensitive } = config;
  if (sensitive !== undefined && sensitive !== "output") throw refused(what, "sensitive", 'must be "output"');
  const options = {
    ...(timeout === undefined ? {} : { timeout: toDuration(timeout) }),
    ...(sensitive === undefined ? {} : { sensitive: true }),
  };
  const toContext = (context: Attempted) => contextOf(name, config, placeOf(context));
  const fn = (context: AttemptContext): unknown => toRecorded(callback(toContext(context)), name, context);
  if (retries === undefined) return { fn, options };
  checkOptions(retries, ["limit", "delay", "backoff"], `${what}: retries`);
  const { delay, ...others } = retries;
  if (typeof delay !== "function") {
    return { fn, options: { ...options, retry: { ...defaultRetry, ...others, delay: toDuration(delay) } } };
  }
  // The policy is a function: what is beside it is checked here.
  retryOf(what, others);
  const computed = new ComputedDelay(delay, { ...defaults, ...defined(others) }, toContext);
  return { fn: (context) => computed.attempt(context, fn), options: { ...options, retry: computed.retry } };
}

type Rule = { readonly limit: number; readonly backoff: WorkflowBackoff };

/**
 * A retry delay that is a function, perhaps an asynchronous one. A retry policy is synchronous, so the function is called
 * before the failed attempt ends. Its result grows with the backoff, as a fixed delay does.
 */
class ComputedDelay {
  readonly #delay: WorkflowDelayFunction;
  readonly #rule: Rule;
  readonly #contextOf: (context: Attempted) => WorkflowStepContext;
  /** The context of the newest attempt. */
  #context: WorkflowStepContext;
  /** The newest result of the function, and the attempt that it was called for; a null delay means that it threw. */
  #newest: { readonly attempt: number; readonly delay: unknown } | null = null;

  constructor(delay: WorkflowDelayFunction, rule: Rule, toContext: (context: Attempted) => WorkflowStepContext) {
    this.#delay = delay;
    this.#rule = rule;
    this.#contextOf = toContext;
    this.#context = toContext({ attempt: 1, idempotencyKey: "" });
  }

  async attempt(context: AttemptContext, fn: (context: AttemptContext) => unknown): Promise<unknown> {
    const ctx = (this.#context = this.#contextOf(context));
    try {
      return await fn(context);
    } catch (error) {
      if (ctx.attempt > this.#rule.limit || isNonRetryable(error)) throw error;
      const delay = await this.#compute(error, ctx).catch(() => null);
      this.#newest = { attempt: ctx.attempt, delay };
      throw error;
    }
  }

  readonly retry = (error: unknown, attempt: number): Duration | null => {
    const { limit, backoff } = this.#rule;
    if (attempt > limit) return null;
    const delay = this.#newest?.attempt === attempt ? this.#newest.delay : this.#computeNow(error);
    // If it is not a duration, the engine refuses it.
    if (typeof delay !== "string" && typeof delay !== "number") return delay as Duration | null;
    return toMs(toDuration(delay)) * growth(backoff, attempt);
  };

  /** For an attempt that timed out, which cannot wait: an asynchronous result is replaced by the default delay. */
  #computeNow(error: unknown): unknown {
    const given: unknown = this.#delay({ ctx: this.#context, error: toError(error) });
    if (!isThenable(given)) return given;
    void Promise.resolve(given).catch(() => {});
    return defaults.delay;
  }

  async #compute(error: unknown, ctx: WorkflowStepContext): Promise<unknown> {
    return await this.#delay({ ctx, error: toError(error) });
  }
}

export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
