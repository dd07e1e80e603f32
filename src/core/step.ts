/**
 * The authoring API: what a handler can ask of `step`. Types only; `src/engine` implements it.
 * Long because it is all of `step` in one place, with what each call means.
 */
import type { Author } from "./author.ts";
import type { Duration, Instant } from "./duration.ts";
import type { LogLevel } from "./entry.ts";
import type { ChildPolicy, ParentRun, ScheduleFiring } from "./origin.ts";
import type { Retry } from "./retry.ts";
import type { Schema } from "./schema.ts";
import type { Webhook, WebhookOptions } from "./webhook.ts";

export type AttemptContext = {
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** The same for every attempt of this step of this run, in printable ASCII; another where it is done again after it was undone. */
  readonly idempotencyKey: string;
  /** Aborts when the attempt times out and when the run ends. */
  readonly signal: AbortSignal;
  /**
   * The W3C `traceparent` of this attempt: sent along with what the step calls, that shows as a part of the run's
   * trace. Every attempt has its own; one that a death cut off has the same when it is made again.
   */
  readonly traceparent: string;
};

export type RunOptions<Result = never> = {
  /** Merged over the workflow's policy. */
  readonly retry?: Retry;
  /** Of one attempt; 10 minutes unless set. */
  readonly timeout?: Duration;
  /**
   * Undoes the step when the run fails, times out, bails out or is cancelled after it completed: a
   * durable step of its own, with this step's retries. The last completed is undone first.
   */
  readonly undo?: (result: Result, context: AttemptContext) => unknown;
  /** Retries and timeout of `undo` instead of the step's: merged over the workflow's policy; 10 minutes unless set. */
  readonly undoPolicy?: { readonly retry?: Retry; readonly timeout?: Duration };
  /** "pause" parks the run for a person instead of failing the step: a retry gives it all its attempts again. */
  readonly onExhausted?: "fail" | "pause";
  /** An attempt cut off by a death of the process fails with step_interrupted and is not made again. */
  readonly atMostOnce?: boolean;
  /** The result is never shown: not in the API, not in logs. */
  readonly sensitive?: boolean;
};

export type MapContext = AttemptContext & {
  /** Which item it is; the first is 0. */
  readonly index: number;
};

export type MapOptions<Item = never, Result = never> = Omit<RunOptions, "undo"> &
  FanOptions & {
    /** As that of `run`, with the item. */
    readonly undo?: (result: Result, context: MapContext & { readonly item: Item }) => unknown;
  };

/** A request as {@link Step.fetch} takes it: data, so that it can be made elsewhere. */
export type FetchRequest = {
  readonly url: string | URL;
  /** GET unless set. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>> | Headers;
  /** Text and bytes go out as they are, URLSearchParams as a form, anything else as JSON. */
  readonly body?: unknown;
};

export type FetchOptions<Body = unknown> = Omit<RunOptions<FetchAnswer<Body>>, "atMostOnce"> & {
  /** Statuses that are answers, besides 200 to 299: what they answer is the result, and no failure. */
  readonly acceptStatus?: readonly number[];
};

export type FetchAnswer<Body = unknown> = {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Record<string, string>;
  /** Parsed JSON, a form's fields, text, bytes, or null when there was no body. */
  readonly body: Body;
};

/** What a map of a workflow takes: each item is a child run. */
export type MapRunsOptions = Omit<InvokeOptions, "id"> & FanOptions;

type FanOptions = {
  /** Items at work at once; 10 unless set. */
  readonly concurrency?: number;
  /** How many items, or below 1 which share of them, may fail for good before the map does; 0 unless set. */
  readonly tolerate?: number;
  /** Answers as `Promise.allSettled` does. */
  readonly settled?: boolean;
};

/** A workflow that a run can start: its definition, or its name. */
export type Invocable<Input = never, Output = unknown> =
  | string
  | {
      readonly name: string;
      /** Says what it takes and gives; nothing is called. */
      start(input: Input, ...rest: never[]): Promise<{ result(): Promise<Output> }>;
    };

export type StartChildOptions = {
  /** Made of this run and the step unless given. */
  readonly id?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /**
   * What becomes of the child when this run ends before it, or stops waiting for it. "cancel" for
   * `invoke` and "abandon" for `start` unless set.
   */
  readonly onParentEnd?: ChildPolicy;
};

export type InvokeOptions = StartChildOptions & {
  /** Counts from the call; past it the call rejects with child_failed. */
  readonly timeout?: Duration;
};

/** The input may be left out where none is needed. */
type Given<Input, Options> = undefined extends Input
  ? [input?: Input, options?: Options]
  : [input: Input, options?: Options];

/** What `race` resolves with. */
export type Raced<Branches extends Readonly<Record<string, () => unknown>>> = {
  readonly [Key in keyof Branches & string]: { readonly key: Key; readonly value: Awaited<ReturnType<Branches[Key]>> };
}[keyof Branches & string];

export type RunInfo = {
  readonly id: string;
  readonly workflow: string;
  readonly version: string;
  /** Epoch ms: when the run was accepted, whatever lives it has had since, and when this life of it began. */
  readonly createdAt: number;
  readonly startedAt: number;
  readonly parent: ParentRun | null;
  readonly schedule: ScheduleFiring | null;
  readonly labels: Readonly<Record<string, string>>;
  /** Who started it: `by` names them, `role` is that of the token that let them in, where they gave a name. */
  readonly author: Author;
  /** How often the run went on as new before this; 0 at first. */
  readonly continued: number;
};

/** Words, and what is to be kept with them as `data`; or that first, with words behind it or none: an object, an error. */
export type LogLine = {
  (message: string, ...data: readonly unknown[]): void;
  (data: object, ...more: readonly unknown[]): void;
};

export type Log = Readonly<Record<LogLevel, LogLine>>;

/** Payload types of a workflow's declared signals, by name. */
export type SignalTypes = Readonly<Record<string, unknown>>;

export interface Step<Signals extends SignalTypes = Record<never, never>> {
  /**
   * Runs a side effect until it succeeds; the result is recorded once and returned ever after.
   * @throws an error with `code` (step_failed, step_timeout, step_crashed, non_retryable,
   * value_uncloneable, value_too_large, name_invalid, limit_exceeded), `step` and `attempts`, and
   * with the name, message and cause of what the last attempt threw.
   */
  run<Result>(
    name: string,
    fn: (context: AttemptContext) => Result,
    options?: RunOptions<NoInfer<Awaited<Result>>>,
  ): Promise<Awaited<Result>>;

  /**
   * A step that is one HTTP request, made elsewhere while the run rests: what it waits for costs the run no time
   * awake. It is sent with an `Idempotency-Key` unless it brings one, at least once as any step, and recorded once.
   * 408, 425, 429 and 5xx are tried again by policy, Retry-After is honoured; other statuses outside 200 to 299
   * fail the step at once (code non_retryable, and the cause has the code `http_404`) unless `acceptStatus` has
   * them. `timeout` is 14 minutes at most.
   * @throws an error as `run` does; options_invalid where the request cannot be sent as it is
   */
  fetch<Body = unknown>(
    name: string,
    target: FetchRequest | string | URL,
    options?: FetchOptions<Body>,
  ): Promise<FetchAnswer<Body>>;

  /**
   * One step for each item, `name`, `name#2` … in their order, at most `concurrency` at once; what succeeded
   * never runs again. Where failures are tolerated, the result of a failed item is undefined. With a workflow
   * instead of a function each item is the input of a child run, as `invoke` starts it.
   * @throws an error with code map_failed, `step` and `errors`, sparse, by index
   */
  map<Output = unknown>(
    name: string,
    items: readonly unknown[],
    workflow: string,
    options?: MapRunsOptions,
  ): Promise<Output[]>;
  map<Input, Output>(
    name: string,
    items: readonly NoInfer<Input>[],
    workflow: Invocable<Input, Output>,
    options: MapRunsOptions & { readonly settled: true },
  ): Promise<PromiseSettledResult<Output>[]>;
  map<Input, Output>(
    name: string,
    items: readonly NoInfer<Input>[],
    workflow: Invocable<Input, Output>,
    options: MapRunsOptions & { readonly tolerate: number; readonly settled?: false },
  ): Promise<(Output | undefined)[]>;
  map<Input, Output>(
    name: string,
    items: readonly NoInfer<Input>[],
    workflow: Invocable<Input, Output>,
    options?: MapRunsOptions & { readonly tolerate?: undefined; readonly settled?: false },
  ): Promise<Output[]>;
  map<Input, Output>(
    name: string,
    items: readonly NoInfer<Input>[],
    workflow: Invocable<Input, Output>,
    options: MapRunsOptions,
  ): Promise<(Output | undefined)[] | PromiseSettledResult<Output>[]>;
  map<Item, Result>(
    name: string,
    items: readonly Item[],
    fn: (item: Item, context: MapContext) => Result,
    options: MapOptions<Item, NoInfer<Awaited<Result>>> & { readonly settled: true },
  ): Promise<PromiseSettledResult<Awaited<Result>>[]>;
  map<Item, Result>(
    name: string,
    items: readonly Item[],
    fn: (item: Item, context: MapContext) => Result,
    options: MapOptions<Item, NoInfer<Awaited<Result>>> & { readonly tolerate: number; readonly settled?: false },
  ): Promise<(Awaited<Result> | undefined)[]>;
  map<Item, Result>(
    name: string,
    items: readonly Item[],
    fn: (item: Item, context: MapContext) => Result,
    options?: MapOptions<Item, NoInfer<Awaited<Result>>> & { readonly tolerate?: undefined; readonly settled?: false },
  ): Promise<Awaited<Result>[]>;
  map<Item, Result>(
    name: string,
    items: readonly Item[],
    fn: (item: Item, context: MapContext) => Result,
    options: MapOptions<Item, NoInfer<Awaited<Result>>>,
  ): Promise<(Awaited<Result> | undefined)[] | PromiseSettledResult<Awaited<Result>>[]>;

  /**
   * Starts a child run and waits for its output.
   * @throws an error with code child_failed, `step`, `child` (its id) and the child's error as cause
   */
  invoke<Output = unknown>(workflow: string, input?: unknown, options?: InvokeOptions): Promise<Output>;
  invoke<Input, Output>(
    workflow: Invocable<Input, Output>,
    ...given: Given<NoInfer<Input>, InvokeOptions>
  ): Promise<Output>;
  /** Starts a child run and does not wait for it. @throws an error with code child_failed */
  start(workflow: string, input?: unknown, options?: StartChildOptions): Promise<{ readonly id: string }>;
  start<Input>(
    workflow: Invocable<Input>,
    ...given: Given<NoInfer<Input>, StartChildOptions>
  ): Promise<{ readonly id: string }>;

  /**
   * Calls every branch; the first to settle settles the race. What the others still wait for is
   * withdrawn, so that a lost race takes no later signal, and stays pending for ever; a step of theirs
   * that is at work goes on to its end, and nothing they call after that begins, or ends the run.
   */
  race<const Branches extends Readonly<Record<string, () => unknown>>>(branches: Branches): Promise<Raced<Branches>>;

  /**
   * Sends a signal to a run, exactly once.
   * @throws an error with code run_not_found, run_ended, signal_invalid, or as `run`
   */
  signal(runId: string, name: string, payload?: unknown): Promise<void>;

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
    options?: WaitOptions & { readonly timeout?: undefined },
  ): Promise<Signals[Name]>;
  waitFor<Name extends keyof Signals & string>(name: Name, options: WaitOptions): Promise<Signals[Name] | null>;
  waitFor<Payload>(name: string, options?: WaitOptions<Payload> & { readonly timeout?: undefined }): Promise<Payload>;
  waitFor<Payload>(name: string, options: WaitOptions<Payload>): Promise<Payload | null>;

  /** An address that anyone may be handed; its first accepted call resolves `received()`. */
  webhook(name: string, options?: WebhookOptions): Promise<Webhook>;

  /** Answers `GET /v1/runs/:id/queries/:name` from the handler's own variables. It changes nothing. */
  query(name: string, fn: () => unknown): void;
  /**
   * Answers `POST /v1/runs/:id/updates/:name` with what `fn` makes of the validated argument; it may
   * change the handler's variables and call `step`. What it throws is the answer, and changes nothing else.
   */
  update<Argument, Result>(name: string, schema: Schema<unknown, Argument>, fn: (argument: Argument) => Result): void;
  update<Argument = unknown, Result = unknown>(
    name: string,
    schema: null | undefined,
    fn: (argument: Argument) => Result,
  ): void;
  /** Takes every signal of that name, in order, from now on and those not yet consumed. What it throws fails the run. */
  onSignal<Name extends keyof Signals & string>(name: Name, fn: (payload: Signals[Name]) => unknown): void;
  onSignal<Payload = unknown>(name: string, fn: (payload: Payload) => unknown): void;

  /** True for runs that came here with the code that has it, false for those that passed here before. */
  patched(id: string): boolean;

  /** The run goes on as new with this input: the same id, an empty history, its unconsumed signals. */
  continueAsNew(input?: unknown): Promise<never>;

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

  /** One history entry a line; silent in replay. @throws value_uncloneable, value_too_large */
  readonly log: Log;
  /** Published with the run; silent in replay. */
  progress(value: unknown): void;
  readonly info: RunInfo;
}

export type WaitOptions<Payload = unknown> = {
  readonly timeout?: Duration;
  /**
   * Validates the payload as it is consumed; one that does not fit rejects with signal_invalid. Where it takes its time
   * (30 s at most), what it says is on record; else it says it again in every replay.
   */
  readonly schema?: Schema<unknown, Payload>;
  /** A name for the wait itself, of at most 256 characters, recorded with it. */
  readonly label?: string;
};
