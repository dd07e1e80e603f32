/** The authoring API: the type of `step`, which `src/engine` implements, with all that each call does. */
import type { Author } from "../author.ts";
import type { Duration, Instant } from "../duration.ts";
import type { LogLevel } from "../history/entry.ts";
import type { ParentRun, ScheduleFiring } from "../run/origin.ts";
import type {
  AttemptContext,
  FetchAnswer,
  FetchOptions,
  FetchRequest,
  InvokeOptions,
  MapContext,
  MapOptions,
  MapRunsOptions,
  RunOptions,
  StartChildOptions,
  WaitOptions,
} from "./options.ts";
import type { Schema } from "./schema.ts";
import type { Webhook, WebhookOptions } from "../webhook/webhook.ts";

/** A workflow that a run can start: its definition, or its name. */
export type Invocable<Input = never, Output = unknown> =
  | string
  | {
      readonly name: string;
      /** Only its types are used. */
      start(input: Input, ...rest: never[]): Promise<{ result(): Promise<Output> }>;
    };

/** The input is optional if its type allows undefined. */
type Given<Input, Options> = undefined extends Input
  ? [input?: Input, options?: Options]
  : [input: Input, options?: Options];

/** Of a wait whose payload the workflow's schema has made: a schema of its own would make another. */
type Typed<Options> = Options & { readonly schema?: undefined };

export type RunInfo = {
  readonly id: string;
  readonly workflow: string;
  readonly version: string;
  /** When the run was accepted, epoch ms. */
  readonly createdAt: number;
  /** When it began, epoch ms; if it was continued as new, when it last was. */
  readonly startedAt: number;
  readonly parent: ParentRun | null;
  readonly schedule: ScheduleFiring | null;
  readonly labels: Readonly<Record<string, string>>;
  /** Who started the run. If they gave the name `by` themselves, `role` is the role of their token. */
  readonly author: Author;
  /** How often the run was continued as new before. */
  readonly continued: number;
};

/** Takes a message and data to record with it, or data (an object, an error) and an optional message. */
export type LogLine = {
  (message: string, ...data: readonly unknown[]): void;
  (data: object, ...more: readonly unknown[]): void;
};

export type Log = { readonly [Level in LogLevel]: LogLine };

/** Payload types of a workflow's declared signals, by name. */
export type SignalTypes = Readonly<Record<string, unknown>>;

/**
 * What a handler calls. Methods that return a promise are calls: durable, told apart by name and occurrence (`charge`,
 * `charge#2`). The others return at once. Names are 1 to 256 characters. Values are what structured clone carries, at most
 * 16 MiB each. While a run waits, and after its end, promises of calls stay pending.
 *
 * Besides what a method lists, a call may reject with, and the other methods may throw, a HoldfastError with the code
 * - `name_invalid`, `options_invalid`, `duration_invalid`, `id_invalid`, `value_uncloneable` or `value_too_large`: an
 *   argument is wrong. Nothing was recorded. Not caught, it fails the run.
 *
 * and a call also with the code
 * - `limit_exceeded`: the run has made as many calls as the workflow's `limits` allow;
 * - `step_nested`: it was called inside the function of a step, or inside a schema, as `query`, `update` and
 *   `onSignal` may not be either;
 * - `cancelled`: the run was cancelled while the call was open, or before a call that waits for something. Steps can still
 *   be run to clean up.
 */
export interface Step<Signals extends SignalTypes = Record<never, never>, Input = unknown> {
  /**
   * Runs a side effect until it succeeds. The result is recorded, and every replay returns it. An attempt that a death of the
   * process cut off is made again, with the same `idempotencyKey`.
   * @throws an error with the name, message and cause of the last attempt's error, and with `step` (`charge#2`), `attempts`
   * and `code`: step_failed (no retry is left), non_retryable, step_timeout, step_crashed (the process died in each of the
   * last attempts), step_interrupted (`atMostOnce` only), value_uncloneable or value_too_large (the result),
   * duration_invalid (the delay that a RetryAfterError or a retry function asks for)
   */
  run<Result>(
    name: string,
    fn: (context: AttemptContext) => Result,
    options?: RunOptions<NoInfer<Awaited<Result>>>,
  ): Promise<Awaited<Result>>;

  /**
   * A step that is one HTTP request, sent by another object, so that the run's object need not stay awake for it. Like any
   * step it runs at least once and is recorded once. It carries an `Idempotency-Key`, its own unless it has one.
   * 408, 425, 429 and 5xx are retried by policy, with `Retry-After` respected. Other statuses outside 200 to 299 fail the
   * step at once (code non_retryable, with a cause of code `http_404`), unless `acceptStatus` has them. `timeout` is at most
   * 14 minutes.
   * @throws errors as `run` does, without step_interrupted; options_invalid for a request that cannot be sent
   */
  fetch<Body = unknown>(
    name: string,
    target: FetchRequest | string | URL,
    options?: FetchOptions<Body>,
  ): Promise<FetchAnswer<Body>>;

  /**
   * Runs one step for each item, called `name`, `name#2` … in order, at most `concurrency` at once. Items that succeeded
   * never run again. If failures are tolerated, the result of a failed item is undefined. With a workflow instead of a
   * function, each item is the input of a child run, as of `invoke`.
   * @throws an error with code map_failed, `step` (`name`), and the sparse array `errors`, by index, once more items have
   * failed than are tolerated and those in flight have ended; items that had not begun never begin
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
   * Starts a child run and waits for its output. The name of the call is that of the workflow.
   * @throws an error with code child_failed, `step`, `child` (its id, if it was started) and as cause the child's error, the
   * refusal of its start (workflow_not_found, input_invalid, run_exists, …), or an error with code step_timeout
   */
  invoke<Output = unknown>(workflow: string, input?: unknown, options?: InvokeOptions): Promise<Output>;
  invoke<Input, Output>(
    workflow: Invocable<Input, Output>,
    ...given: Given<NoInfer<Input>, InvokeOptions>
  ): Promise<Output>;
  /**
   * Starts a child run and does not wait for it.
   * @throws an error with code child_failed, `step`, and the refusal of the start as cause
   */
  start(workflow: string, input?: unknown, options?: StartChildOptions): Promise<{ readonly id: string }>;
  start<Input>(
    workflow: Invocable<Input>,
    ...given: Given<NoInfer<Input>, StartChildOptions>
  ): Promise<{ readonly id: string }>;

  /**
   * Calls every branch. The first to settle settles the race. Waits of the other branches are withdrawn, so that they consume
   * no later signal, and their promises stay pending. Their steps that have begun run to their end. Calls that the other
   * branches make after that neither begin nor end the run.
   * @throws what the first branch to settle rejects with; options_invalid unless there is a branch, and each is a function
   */
  race<const Branches extends Readonly<Record<string, () => unknown>>>(
    branches: Branches,
  ): Promise<
    {
      readonly [Key in keyof Branches & string]: {
        readonly key: Key;
        readonly value: Awaited<ReturnType<Branches[Key]>>;
      };
    }[keyof Branches & string]
  >;

  /**
   * Sends a signal to a run, exactly once: a step, named `signal <name> to <runId>`.
   * @throws an error with code run_not_found, run_ended or signal_invalid (its workflow's schema), or as `run`
   */
  signal(runId: string, name: string, payload?: unknown): Promise<void>;

  /** Waits without keeping the run awake. 0 returns at once; a negative duration rejects with duration_invalid. */
  sleep(duration: Duration): Promise<void>;
  sleep(name: string, duration: Duration): Promise<void>;

  /** Waits until an instant; one in the past returns at once, and what is no instant rejects with duration_invalid. */
  sleepUntil(instant: Instant): Promise<void>;
  sleepUntil(name: string, instant: Instant): Promise<void>;

  /**
   * The payload of the next unconsumed signal of that name, first in, first out; it may have come before the call. Null on
   * timeout only, so without `timeout` it is never null.
   * @throws signal_invalid, if the `schema` given here refuses the payload; that signal is consumed
   */
  waitFor<Name extends keyof Signals & string>(
    name: Name,
    options?: Typed<WaitOptions> & { readonly timeout?: undefined },
  ): Promise<Signals[Name]>;
  waitFor<Name extends keyof Signals & string>(name: Name, options: Typed<WaitOptions>): Promise<Signals[Name] | null>;
  waitFor<Payload>(name: string, options?: WaitOptions<Payload> & { readonly timeout?: undefined }): Promise<Payload>;
  waitFor<Payload>(name: string, options: WaitOptions<Payload>): Promise<Payload | null>;

  /**
   * An address that can be given to anyone. Its first accepted call resolves `received()`, also one that came early.
   * @throws webhook_unavailable, if the deployment cannot sign addresses
   */
  webhook(name: string, options?: WebhookOptions): Promise<Webhook>;

  /** Answers `GET /v1/runs/:id/queries/:name` from the handler's variables. `fn` must not change them. */
  query(name: string, fn: () => unknown): void;
  /**
   * Answers `POST /v1/runs/:id/updates/:name` with the result of `fn` for the validated argument. `fn` may change the
   * handler's variables and call `step`. An error that it throws is the answer, and does not fail the run. Without a schema it
   * takes any argument.
   */
  update<Argument, Result>(name: string, schema: Schema<unknown, Argument>, fn: (argument: Argument) => Result): void;
  update<Argument = unknown, Result = unknown>(
    name: string,
    schema: null | undefined,
    fn: (argument: Argument) => Result,
  ): void;
  /** Consumes all signals of that name in order, also those that came before. An error that `fn` throws fails the run. */
  onSignal<Name extends keyof Signals & string>(name: Name, fn: (payload: Signals[Name]) => unknown): void;
  /** A signal for which the workflow declares no schema. */
  onSignal<Payload = unknown, Name extends string = string>(
    name: Name extends keyof Signals ? never : Name,
    fn: (payload: Payload) => unknown,
  ): void;

  /** False for runs that passed this place before the code had this call, else true. */
  patched(id: string): boolean;

  /**
   * Restarts the run with this input, under the same id, with an empty history and its unconsumed signals. Never resolves.
   * @throws input_invalid or label_invalid, if the workflow refuses the input; cancelled, if the run was cancelled
   */
  continueAsNew(input?: Input): Promise<never>;

  /** Ends the run as cancelled, at once, through any catch: its error has code bailed, and the reason as message. */
  bail(reason?: string): never;
  /**
   * Ends the run as failed, at once, through any catch, without retries. The run's error has code handler_failed, or its own
   * if it comes from a call of `step`.
   */
  fail(error: unknown): never;

  /** Epoch ms of the newest event that was delivered to the handler; the same in every replay. */
  now(): number;
  /**
   * A number in [0, 1), the same in every replay; in a step's function, in every attempt. Never a secret: it follows from
   * the run's id and the time of its creation.
   */
  random(): number;
  /** A version 4 UUID, the same in every replay; in a step's function as `random`. */
  uuid(): string;

  /** Each line is one entry of the history; a replay does not repeat it. */
  readonly log: Log;
  /** Published with the run; a replay does not repeat it. */
  progress(value: unknown): void;
  readonly info: RunInfo;
}
