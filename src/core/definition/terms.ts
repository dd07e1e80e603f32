/** The options of a definition as plain data, to be shown. */
import type { Definition, Limits, Rate, Singleton } from "./definition.ts";
import { toMs } from "../duration.ts";
import { resolveRetry } from "./retry.ts";
import type { ResolvedRetry } from "./retry.ts";

/** `keyed`: for each key that the input gives. Spans in ms. */
export type WorkflowTerms = {
  /** Of its steps, unless they say otherwise; null where a function decides. */
  readonly retry: Omit<Extract<ResolvedRetry, { kind: "policy" }>, "kind"> | null;
  readonly timeoutMs: number | null;
  /** How long a finished run is kept. */
  readonly retentionMs: number;
  readonly limits: Required<Limits>;
  /** `limit` null: what was set at run time, or by another workflow. */
  readonly lane: { readonly name: string; readonly limit: number | null } | null;
  readonly concurrency: {
    readonly limit: number;
    readonly scope: "run" | "step";
    readonly hold: boolean;
    readonly keyed: boolean;
  } | null;
  readonly rateLimit: RateTerms | null;
  readonly throttle: RateTerms | null;
  readonly singleton: { readonly mode: Singleton["mode"]; readonly keyed: boolean } | null;
  readonly debounce: { readonly periodMs: number; readonly maxMs: number | null; readonly keyed: boolean } | null;
  /** "input": it depends on the input. */
  readonly priority: number | "input";
};

export type RateTerms = { readonly limit: number; readonly periodMs: number; readonly keyed: boolean };

/** @throws never of a definition that `defineWorkflow` has let pass */
export function termsOf({ retry, timeoutMs, retentionMs, limits, flow }: Definition): WorkflowTerms {
  const { lane, concurrency, rateLimit, throttle, singleton, debounce, priority } = flow;
  return {
    ...{ retry: retryTerms(resolveRetry(retry)), timeoutMs, retentionMs, limits },
    lane: lane === undefined ? null : typeof lane === "string" ? { name: lane, limit: null } : lane,
    concurrency: concurrency === undefined ? null : slotTerms(concurrency),
    rateLimit: rateTerms(rateLimit),
    throttle: rateTerms(throttle),
    singleton: singleton === undefined ? null : { mode: singleton.mode, keyed: singleton.key !== undefined },
    debounce:
      debounce === undefined
        ? null
        : {
            periodMs: toMs(debounce.period),
            maxMs: debounce.max === undefined ? null : toMs(debounce.max),
            keyed: debounce.key !== undefined,
          },
    priority: typeof priority === "function" ? "input" : (priority ?? 0),
  };
}

function retryTerms(retry: ResolvedRetry): WorkflowTerms["retry"] {
  if (retry.kind === "function") return null;
  const { limit, delayMs, backoff, maxDelayMs, jitter } = retry;
  return { limit, delayMs, backoff, maxDelayMs, jitter };
}

function slotTerms(concurrency: NonNullable<Definition["flow"]["concurrency"]>) {
  if (typeof concurrency === "number") return { limit: concurrency, scope: "run" as const, hold: false, keyed: false };
  const { limit, scope = "run", hold = false, key } = concurrency;
  return { limit, scope, hold, keyed: key !== undefined };
}

function rateTerms(rate: Rate<never> | undefined): RateTerms | null {
  if (rate === undefined) return null;
  return { limit: rate.limit, periodMs: toMs(rate.period), keyed: rate.key !== undefined };
}
