/**
 * Owns: what Cloudflare's configuration of a step means in the words of Holdfast.
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
import { HoldfastError } from "../core/error.ts";
import { defined } from "../core/record.ts";
import { growth } from "../core/retry.ts";
import type { Retry, RetryPolicy } from "../core/retry.ts";
import type { AttemptContext, RunOptions } from "../core/step.ts";

type Retries = NonNullable<WorkflowStepConfig["retries"]>;

/** What a step has that says nothing, as Cloudflare documents it. */
const usual = { limit: 5, delay: 10_000, backoff: "exponential" } as const;
const usualTimeout = "10 minutes";

/** Delays are neither spread nor capped there; 100 years are no cap. */
const exact = { jitter: 0, maxDelay: 100 * 365 * 86_400_000 } as const;

export const usualRetry: RetryPolicy = { ...usual, ...exact };

const longMs = { month: 30 * 86_400_000, year: 365.25 * 86_400_000 } as const;

/** Months and years, which only Cloudflare has, in milliseconds; what else there is means the same. */
export function toDuration(given: Duration): Duration {
  const [, count, unit] =
    typeof given === "string" ? (/^\s*(\d+(?:\.\d+)?)\s*(month|year)s?\s*$/.exec(given) ?? []) : [];
  return unit === "month" || unit === "year" ? Number(count) * longMs[unit] : given;
}

/** Which of its name a step is, and which attempt of it. */
type Place = { readonly count: number; readonly attempt: number };

/** What the function of a step is told of it. @param name as it was given */
export function contextOf(name: string, config: WorkflowStepConfig, { count, attempt }: Place): WorkflowStepContext {
  const { retries, timeout = usualTimeout, sensitive } = config;
  const { delay, ...rest } = { ...usual, ...retries };
  return {
    step: { name, count },
    attempt,
    config: {
      // A delay that is a function is told to nobody.
      retries: (typeof delay === "function" ? rest : { ...rest, delay }) as Retries & { delay: number },
      timeout,
      ...defined({ sensitive }),
    },
  };
}

export function placeOf({ attempt, idempotencyKey }: AttemptContext): Place {
  return { attempt, count: countOf(idempotencyKey) };
}

/** By the end of a step's id, or of its key: `charge#2`, and no such end where it is the first of its name. */
export function countOf(id: string): number {
  return Number(/#(\d+)(?::undo)?$/.exec(id)?.[1] ?? 1);
}

/** @param seen the context of the newest attempt @throws HoldfastError options_invalid */
export function optionsOf(config: WorkflowStepConfig, seen: () => WorkflowStepContext): Omit<RunOptions, "undo"> {
  const { retries, timeout, sensitive, ...rest } = config;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new HoldfastError("options_invalid", `the config of a step has no "${unknown}"`);
  return {
    ...(retries === undefined ? {} : { retry: retryOf(retries, seen) }),
    ...(timeout === undefined ? {} : { timeout: toDuration(timeout) }),
    ...(sensitive === "output" ? { sensitive: true } : {}),
  };
}

function retryOf({ delay, ...rest }: Retries, seen: () => WorkflowStepContext): Retry {
  if (typeof delay !== "function") return { ...usualRetry, ...rest, delay: toDuration(delay) };
  const { limit, backoff } = { ...usual, ...rest };
  return (error, attempt) => (attempt > limit ? null : delayed(delay, backoff, { error, attempt, ctx: seen() }));
}

type Failed = { readonly error: unknown; readonly attempt: number; readonly ctx: WorkflowStepContext };

/** What the function says grows as a delay that is none does. */
function delayed(delay: WorkflowDelayFunction, backoff: WorkflowBackoff, { error, attempt, ctx }: Failed): Duration {
  const given: unknown = delay({ ctx, error: error instanceof Error ? error : new Error(String(error)) });
  // What is no duration the engine refuses, and a promise of one is none: nobody hears what becomes of it.
  if (given instanceof Promise) given.catch(() => {});
  if (typeof given !== "string" && typeof given !== "number") return given as Duration;
  return toMs(toDuration(given)) * growth(backoff, attempt);
}
