/** The authoring API: what a handler can ask of `step`. Types only; `src/engine` implements it. */
import type { Duration, Instant } from "./duration.ts";
import type { LogLevel, ParentRun, ScheduleFiring } from "./entry.ts";
import type { Retry } from "./retry.ts";
import type { Schema } from "./schema.ts";

export type AttemptContext = {
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** The same for every attempt of this step of this run, in printable ASCII. */
  readonly idempotencyKey: string;
  /** Aborts when the attempt times out and when the run ends. */
  readonly signal: AbortSignal;
};

export type RunOptions = {
  /** Merged over the workflow's policy. */
  readonly retry?: Retry;
  /** Of one attempt; 10 minutes unless set. */
  readonly timeout?: Duration;
};

export type WebhookCall = {
  readonly method: string;
  /** Names in lower case. */
  readonly headers: Record<string, string>;
  readonly query: Record<string, string>;
  /** Parsed JSON, a form's fields (a file as `{ name, type, bytes }`), text, bytes, or null when there was no body. */
  readonly body: unknown;
};

export type WebhookOptions = {
  /** Counts from the call of `webhook`. */
  readonly timeout?: Duration;
  /** Refuses a call by answering false or throwing; `raw` is the body as it came. */
  readonly verify?: (call: WebhookCall & { readonly raw: Uint8Array }) => boolean | Promise<boolean>;
  /** What the caller is answered; 202 `{ "accepted": true, "duplicate": false }` unless set. */
  readonly respond?: (call: WebhookCall) => WebhookResponse | Promise<WebhookResponse>;
};

export type WebhookResponse = {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  /** Text goes out as it is, anything else as JSON. */
  readonly body?: unknown;
};

export type Webhook = {
  readonly url: string;
  /** The first accepted call, also one that came before this was asked; null on timeout. */
  received(): Promise<WebhookCall | null>;
};

export type RunInfo = {
  readonly id: string;
  readonly workflow: string;
  readonly version: string;
  /** Epoch ms. */
  readonly startedAt: number;
  readonly parent: ParentRun | null;
  readonly schedule: ScheduleFiring | null;
  readonly labels: Readonly<Record<string, string>>;
};

export type Log = Readonly<Record<LogLevel, (message: string, data?: unknown) => void>>;

/** Payload types of a workflow's declared signals, by name. */
export type SignalTypes = Readonly<Record<string, unknown>>;

export interface Step<Signals extends SignalTypes = Record<never, never>> {
  /**
   * Runs a side effect until it succeeds; the result is recorded once and returned ever after.
   * @throws an error with `code` (step_failed, step_timeout, step_crashed, non_retryable,
   * value_uncloneable, value_too_large, name_invalid, limit_exceeded), `step` and `attempts`, and
   * with the name, message and cause of what the last attempt threw.
   */
  run<Result>(name: string, fn: (context: AttemptContext) => Result, options?: RunOptions): Promise<Awaited<Result>>;

  /** Waits at no cost; 0 and less than nothing are told apart: 0 returns at once, less is an error. */
  sleep(duration: Duration): Promise<void>;
  sleep(name: string, duration: Duration): Promise<void>;

  /** Waits until an instant; one in the past returns at once. */
  sleepUntil(instant: Instant): Promise<void>;
  sleepUntil(name: string, instant: Instant): Promise<void>;

  /**
   * The payload of the next signal of that name that nobody consumed, first in first out; null on
   * timeout and on nothing else. Without `timeout` it is never null.
   */
  waitFor<Name extends keyof Signals & string>(
    name: Name,
    options: WaitOptions & { readonly timeout: Duration },
  ): Promise<Signals[Name] | null>;
  waitFor<Name extends keyof Signals & string>(name: Name, options?: WaitOptions): Promise<Signals[Name]>;
  waitFor<Payload>(
    name: string,
    options: WaitOptions<Payload> & { readonly timeout: Duration },
  ): Promise<Payload | null>;
  waitFor<Payload>(name: string, options?: WaitOptions<Payload>): Promise<Payload>;

  /** An address that anyone may be handed; its first accepted call resolves `received()`. */
  webhook(name: string, options?: WebhookOptions): Promise<Webhook>;

  /** Ends the run as cancelled, at once, through any catch. */
  bail(reason?: string): never;
  /** Ends the run as failed, at once, through any catch, without retries. */
  fail(error: unknown): never;

  /** Epoch ms of the newest event the handler has seen; the same in every replay. */
  now(): number;
  /**
   * In [0, 1); the same in every replay. For the handler: inside a step's function, which replay does
   * not call, use `Math.random`, or the numbers that follow change.
   */
  random(): number;
  /** A version 4 UUID; the same in every replay. For the handler, as `random`. */
  uuid(): string;

  /** One history entry a line; silent in replay. */
  readonly log: Log;
  /** Published with the run; silent in replay. */
  progress(value: unknown): void;
  readonly info: RunInfo;
}

export type WaitOptions<Payload = unknown> = {
  readonly timeout?: Duration;
  /** Validates the payload as it is consumed; one that does not fit rejects with signal_invalid. */
  readonly schema?: Schema<unknown, Payload>;
};
