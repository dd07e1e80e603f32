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
import { HoldfastError, isNonRetryable } from "../core/error.ts";
import { defined } from "../core/record.ts";
import { growth } from "../core/retry.ts";
import type { RetryPolicy } from "../core/retry.ts";
import type { AttemptContext, RunOptions } from "../core/step.ts";
import { isThenable } from "../core/thenable.ts";
import { toKept } from "./stream.ts";

type Retries = NonNullable<WorkflowStepConfig["retries"]>;

/** The default configuration of a step, as Cloudflare documents it. */
const usual = { limit: 5, delay: 10_000, backoff: "exponential" } as const;
const usualTimeout = "10 minutes";

/** On Cloudflare, delays have neither jitter nor a cap; 100 years have the effect of none. */
const exact = { jitter: 0, maxDelay: 100 * 365 * 86_400_000 } as const;

export const usualRetry: RetryPolicy = { ...usual, ...exact };

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
  const isOver = typeof given === "number" ? given < 0 : /^\s*-/.test(given);
  return isOver ? 0 : toDuration(given);
}

/** The occurrence of a step among those of its name, and the attempt. */
type Place = { readonly count: number; readonly attempt: number };

/** The context that the function of a step gets. @param name as it was given */
export function contextOf(name: string, config: WorkflowStepConfig, { count, attempt }: Place): WorkflowStepContext {
  const { retries, timeout = usualTimeout, sensitive } = config;
  const { delay, ...rest } = { ...usual, ...retries };
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
  const { retries, timeout, sensitive, ...rest } = config;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new HoldfastError("options_invalid", `the config of a step has no "${unknown}"`);
  const options = {
    ...(timeout === undefined ? {} : { timeout: toDuration(timeout) }),
    ...(sensitive === "output" ? { sensitive: true } : {}),
  };
  const toContext = (context: Attempted) => contextOf(name, config, placeOf(context));
  const fn = (context: AttemptContext): unknown => toKept(callback(toContext(context)), name, context);
  if (retries === undefined) return { fn, options };
  const { delay, ...others } = retries;
  if (typeof delay !== "function") {
    return { fn, options: { ...options, retry: { ...usualRetry, ...others, delay: toDuration(delay) } } };
  }
  const asked = new Asked(delay, { ...usual, ...others }, toContext);
  return { fn: (context) => asked.attempt(context, fn), options: { ...options, retry: asked.retry } };
}

type Rule = { readonly limit: number; readonly backoff: WorkflowBackoff };

/**
 * A retry delay that is a function, perhaps an asynchronous one. A retry policy is synchronous, so the function is called
 * before the failed attempt ends. Its result grows with the backoff, as a fixed delay does.
 */
class Asked {
  readonly #delay: WorkflowDelayFunction;
  readonly #rule: Rule;
  readonly #contextOf: (context: Attempted) => WorkflowStepContext;
  /** The context of the newest attempt. */
  #seen: WorkflowStepContext;
  /** The newest result of the function, and the attempt that it was called for; a null delay means that it threw. */
  #said: { readonly attempt: number; readonly delay: unknown } | null = null;

  constructor(delay: WorkflowDelayFunction, rule: Rule, toContext: (context: Attempted) => WorkflowStepContext) {
    this.#delay = delay;
    this.#rule = rule;
    this.#contextOf = toContext;
    this.#seen = toContext({ attempt: 1, idempotencyKey: "" });
  }

  async attempt(context: AttemptContext, fn: (context: AttemptContext) => unknown): Promise<unknown> {
    const ctx = (this.#seen = this.#contextOf(context));
    try {
      return await fn(context);
    } catch (error) {
      if (ctx.attempt > this.#rule.limit || isNonRetryable(error)) throw error;
      const delay = await this.#hear(error, ctx).catch(() => null);
      this.#said = { attempt: ctx.attempt, delay };
      throw error;
    }
  }

  readonly retry = (error: unknown, attempt: number): Duration | null => {
    const { limit, backoff } = this.#rule;
    if (attempt > limit) return null;
    const delay = this.#said?.attempt === attempt ? this.#said.delay : this.#answer(error);
    // The engine refuses what is not a duration.
    if (typeof delay !== "string" && typeof delay !== "number") return delay as Duration | null;
    return toMs(toDuration(delay)) * growth(backoff, attempt);
  };

  /** For an attempt that timed out: only a synchronous result can be used, else the usual delay is. */
  #answer(error: unknown): unknown {
    const given: unknown = this.#delay({ ctx: this.#seen, error: toError(error) });
    if (!isThenable(given)) return given;
    void Promise.resolve(given).catch(() => {});
    return usual.delay;
  }

  async #hear(error: unknown, ctx: WorkflowStepContext): Promise<unknown> {
    return await this.#delay({ ctx, error: toError(error) });
  }
}

export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
