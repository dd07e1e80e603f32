/** Retries and timeouts that fit what steps commonly call; to be spread into the options of a step. */
import type { RetryPolicy } from "./retry.ts";
import type { RunOptions } from "./options.ts";

export type Preset = Required<Pick<RunOptions, "timeout">> & { readonly retry: Required<RetryPolicy> };

/**
 * `step.run("draft", fn, { ...presets.ai })`; what follows the preset in the options replaces it. Each
 * says everything about its retries, so that the workflow's own policy does not change it.
 */
export const presets = Object.freeze({
  /** Models are slow, and each attempt is paid for: few retries, far apart, and time to answer at length. */
  ai: preset("10 minutes", { limit: 3, delay: "2 s", backoff: "exponential", maxDelay: "1 minute", jitter: 0.2 }),
  /** Locks and lost connections pass within moments: many quick retries, and no attempt that hangs. */
  database: preset("30 s", { limit: 5, delay: "100 ms", backoff: "exponential", maxDelay: "10 s", jitter: 0.2 }),
  /** APIs of others are slow or overloaded at times: wide jitter, so that many runs do not come back at once. */
  http: preset("60 s", { limit: 3, delay: "1 s", backoff: "exponential", maxDelay: "1 minute", jitter: 0.5 }),
  /** An index that is rebuilt or throttles needs seconds, and a search that is late is of little use. */
  search: preset("2 minutes", { limit: 2, delay: "5 s", backoff: "exponential", maxDelay: "1 minute", jitter: 0.2 }),
  /** Receivers restart and are down for a while, but answer at once when they are up: wide jitter, and patience. */
  webhook: preset("30 s", { limit: 5, delay: "1 s", backoff: "exponential", maxDelay: "10 minutes", jitter: 0.5 }),
  /** Converting takes long and fails for the same reason again: few retries, and time to finish. */
  media: preset("5 minutes", { limit: 2, delay: "5 s", backoff: "exponential", maxDelay: "1 minute", jitter: 0.2 }),
});

function preset(timeout: string, retry: Required<RetryPolicy>): Preset {
  return Object.freeze({ retry: Object.freeze(retry), timeout });
}
