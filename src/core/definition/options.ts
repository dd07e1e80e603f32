/** What the calls of `step` are given besides names and functions, and what they give those functions. */
import type { Duration } from "../duration.ts";
import type { ChildPolicy } from "../run/origin.ts";
import type { Retry } from "./retry.ts";
import type { Schema } from "./schema.ts";

export type AttemptContext = {
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** In printable ASCII, the same for all attempts of this step of this run; another one if it runs again after its undo. */
  readonly idempotencyKey: string;
  /** Aborts when the attempt times out and when the run ends. */
  readonly signal: AbortSignal;
  /**
   * The W3C `traceparent` of this attempt. Requests that carry it are shown as parts of the run's trace. Each attempt has its
   * own; an attempt that is repeated after a death of the process has the same.
   */
  readonly traceparent: string;
};

export type RunOptions<Result = never> = {
  /** Merged over the workflow's policy, which is merged over the default: 5 retries from 1 s on, doubling, at most 1 hour. */
  readonly retry?: Retry;
  /** The limit for one attempt; 10 minutes unless set. An attempt over it has failed with step_timeout, and may be retried. */
  readonly timeout?: Duration;
  /**
   * Undoes the completed step when the run fails, times out, bails out or is cancelled. It runs as a durable step of its own,
   * with this step's retries. Steps are undone in reverse order of completion; one that cannot be undone does not stop the
   * rest. Not called when the run is terminated, nor for a step that failed: if the function passes its `signal` on, a
   * cancellation fails it, though the other side may have done what was asked.
   */
  readonly undo?: (result: Result, context: AttemptContext) => unknown;
  /** Retries and timeout of `undo`, if not those of the step: merged over the workflow's policy; 10 minutes unless set. */
  readonly undoPolicy?: { readonly retry?: Retry; readonly timeout?: Duration };
  /**
   * "fail" unless set. "pause": after its last attempt the step does not fail, but pauses the run; a retry of the run grants all
   * attempts again.
   */
  readonly onExhausted?: "fail" | "pause";
  /** An attempt that a death of the process, or the end of the run, cut off is not repeated: the step fails with step_interrupted. */
  readonly atMostOnce?: boolean;
  /** The result is shown neither by the API nor in logs. */
  readonly sensitive?: boolean;
};

export type MapContext = AttemptContext & {
  /** The index of the item, from 0. */
  readonly index: number;
};

export type MapOptions<Item = never, Result = never> = Omit<RunOptions, "undo"> &
  FanOptions & {
    /** Like `undo` of `run`, with the item. */
    readonly undo?: (result: Result, context: MapContext & { readonly item: Item }) => unknown;
  };

/** A request for `step.fetch`, as plain data, because another object sends it. */
export type FetchRequest = {
  readonly url: string | URL;
  /** GET unless set; one that the platform can send. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>> | Headers;
  /** Text and bytes are sent as they are, URLSearchParams as a form, anything else as JSON. */
  readonly body?: unknown;
};

export type FetchOptions<Body = unknown> = Omit<RunOptions<FetchAnswer<Body>>, "atMostOnce"> & {
  /** Statuses, besides 200 to 299, whose response is a result and not a failure. */
  readonly acceptStatus?: readonly number[];
};

export type FetchAnswer<Body = unknown> = {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Record<string, string>;
  /** Parsed JSON, a form's fields, text, bytes, or null when there was no body. */
  readonly body: Body;
};

/** Options of `map` with a workflow, where each item is a child run. */
export type MapRunsOptions = Omit<InvokeOptions, "id"> & FanOptions;

type FanOptions = {
  /** How many items run at once, 1 or more, `Infinity` for all of them; 10 unless set. */
  readonly concurrency?: number;
  /** How many items may fail for good before the map fails; a number below 1 is a share of the items. 0 unless set. */
  readonly tolerate?: number;
  /** Resolves with results like those of `Promise.allSettled`. */
  readonly settled?: boolean;
};

export type StartChildOptions = {
  /** Derived from the ids of this run and of the step unless given. */
  readonly id?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /**
   * What happens to the child when this run ends first, or stops waiting for it. Unless set, "cancel" for `invoke` and
   * "abandon" for `start`.
   */
  readonly onParentEnd?: ChildPolicy;
};

export type InvokeOptions = StartChildOptions & {
  /** Counts from the call. When it is over, the call rejects with child_failed. */
  readonly timeout?: Duration;
};

export type WaitOptions<Payload = unknown> = {
  /** Counts from the call; no limit unless set. */
  readonly timeout?: Duration;
  /**
   * Validates the payload when it is consumed; an invalid one rejects with signal_invalid. The result of an asynchronous
   * schema, which may take up to 30 s, is recorded; a synchronous one is called again in every replay.
   */
  readonly schema?: Schema<unknown, Payload>;
  /** A name for the wait itself, of at most 256 characters, recorded with it. */
  readonly label?: string;
};
