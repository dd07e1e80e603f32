/**
 * Owns: handles to runs: what code in the Worker holds to start, watch and move a run.
 * Does not own: anything about the run itself.
 */
import type { Definition } from "../core/definition.ts";
import { toInstant, toMs } from "../core/duration.ts";
import type { Duration, Instant } from "../core/duration.ts";
import type { ParentRun, ScheduleFiring } from "../core/origin.ts";
import { HoldfastError, reviveError } from "../core/error.ts";
import { checkRunId } from "../core/name.ts";
import { isEnded } from "../core/run.ts";
import type { ActiveAttempt, RunSnapshot, RunStatus, Waiting } from "../core/run.ts";
import type { ForkRequest, RunAction, SignalRequest } from "../core/service.ts";
import type { SignalTypes } from "../core/step.ts";
import { acceptTrace } from "../core/trace.ts";
import type { Usage } from "../core/usage.ts";
import { isLonger } from "../core/size.ts";
import { decode, encode } from "../core/value.ts";
import type { Stored } from "../core/value.ts";
import { runObject } from "./address.ts";
import { unwrap } from "./answer.ts";
import { unpack } from "./parcel.ts";
import { askQuery, broadcastSignal, forkRun, makeUpdate, sendSignal, startRun } from "./service.ts";

export type StartOptions = {
  /** `[A-Za-z0-9][A-Za-z0-9._:-]{0,127}`; the same id again finds the same run. */
  readonly id?: string;
  /** Begin this much later. */
  readonly delay?: Duration;
  /** Begin at this instant; not beside `delay`. */
  readonly startAt?: Instant;
  /** Cancel the run instead of beginning it after this instant. */
  readonly notAfter?: Instant;
  readonly labels?: Readonly<Record<string, string>>;
  /** Addresses that are told of its end, at most 10, beside those that the workflow names; see docs/webhooks.md. */
  readonly notify?: string | readonly string[];
  /** Sent in one with the start; or to the run of this id that there is already, whatever its input was. */
  readonly signal?: { readonly name: string; readonly payload?: unknown };
  /** The W3C trace that the run becomes a part of, as the header of a request has it; ignored where it is not valid. */
  readonly traceparent?: string | null;
};

/** A run as code in the Worker sees it: values as they are, its own instants as dates. */
export type RunView<Output = unknown> = {
  readonly id: string;
  readonly workflow: string;
  readonly version: string;
  readonly status: RunStatus;
  readonly input: unknown;
  /** Null until the run has completed. */
  readonly output: Output | null;
  readonly error: Error | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly progress: unknown;
  readonly parent: ParentRun | null;
  readonly schedule: ScheduleFiring | null;
  /** The run whose history this one began with, and the step from which on it goes its own way. */
  readonly fork: { readonly id: string; readonly step: string | null } | null;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly updatedAt: Date;
  readonly finishedAt: Date | null;
  /** `since` and `until` are epoch ms. */
  readonly waitingFor: readonly Waiting[];
  readonly reason: string | null;
  readonly steps: { readonly completed: number; readonly failed: number; readonly running: number };
  /** Attempts in flight, the oldest first, at most 20; `since` is epoch ms. */
  readonly active: readonly ActiveAttempt[];
  /** W3C traceparent of the run's own span. */
  readonly trace: string;
  /** What it took of the platform so far; the `cost` of the API is made of it, with a price. */
  readonly usage: Usage;
};

export interface RunHandle<Output = unknown, Signals extends SignalTypes = SignalTypes> {
  readonly id: string;
  /** @throws HoldfastError run_not_found */
  status(): Promise<RunView<Output>>;
  /**
   * The output, once the run has completed; waits for it as long as it takes.
   * @throws the run's error when it failed or was cancelled, with its `code`; run_not_found
   */
  result(): Promise<Output>;
  /** @throws HoldfastError run_not_found, run_ended, signal_invalid, idempotency_conflict */
  signal<Name extends keyof Signals & string>(
    name: Name,
    ...args: undefined extends Signals[Name]
      ? [payload?: Signals[Name], options?: SignalOptions]
      : [payload: Signals[Name], options?: SignalOptions]
  ): Promise<void>;
  /** One that the workflow declares no schema for. */
  signal<Name extends string>(
    name: Name extends keyof Signals ? never : Name,
    payload?: unknown,
    options?: SignalOptions,
  ): Promise<void>;
  /**
   * What the function registered with `step.query` answers; it changes nothing, also after the run's end.
   * @throws what the function threw; HoldfastError run_not_found, query_not_found, query_timeout, version_missing
   */
  query<Result = unknown>(name: string): Promise<Result>;
  /**
   * What the function registered with `step.update` makes of the argument; waits for it as long as it takes.
   * @throws what the function threw; HoldfastError run_not_found, update_not_found, update_invalid, run_paused,
   * run_ended, version_missing, idempotency_conflict
   */
  update<Result = unknown>(name: string, argument?: unknown, options?: UpdateOptions): Promise<Result>;
  /** @throws HoldfastError run_not_found, run_ended */
  cancel(reason?: string): Promise<void>;
  /** Ends the run at once, without undoing anything. @throws HoldfastError run_not_found, run_ended */
  terminate(reason?: string): Promise<void>;
  /** Nothing begins any more until `resume`. @throws HoldfastError run_not_found, run_ended */
  pause(reason?: string): Promise<void>;
  /** @throws HoldfastError run_not_found, run_ended */
  resume(reason?: string): Promise<void>;
  /** A failed run goes on from what failed; one that waits for its next attempt makes it now. @throws HoldfastError run_not_found, not_retryable, singleton_held */
  retry(reason?: string): Promise<void>;
  /**
   * Starts a run with this one's history up to a step; this one goes on as it was.
   * @throws HoldfastError run_not_found, fork_invalid, input_invalid, id_invalid, run_exists, rate_limited
   */
  fork(options?: ForkOptions): Promise<RunHandle<Output, Signals>>;
}

export type ForkOptions = {
  /** The call to go on from, as `charge` or `charge#2`; from the start unless given. */
  readonly from?: string;
  /** Takes the place of the input. */
  readonly input?: unknown;
  /** Results of steps by their names, in the place of what they gave, or of what they would give. */
  readonly results?: Readonly<Record<string, unknown>>;
  /** Of the new run. */
  readonly id?: string;
  readonly reason?: string;
  /** The same key again finds the same run. */
  readonly idempotencyKey?: string;
};

export type SignalOptions = {
  /** The same key again is the same signal. */
  readonly idempotencyKey?: string;
  /** The W3C trace that has a part in the run by it; ignored where it is not valid. */
  readonly traceparent?: string | null;
};

export type UpdateOptions = {
  /** The same key again is the same update. */
  readonly idempotencyKey?: string;
};

const by = "worker";
const longestWaitMs = 60_000;
/** Characters, as over HTTP. */
const longestKey = 256;

/** The handle of a run by its id; nothing is asked of it yet. @throws HoldfastError id_invalid */
export function createHandle<Output = unknown, Signals extends SignalTypes = SignalTypes>(
  id: string,
): RunHandle<Output, Signals> {
  const object = () => runObject(checkRunId(id));
  checkRunId(id);
  const act = async (kind: RunAction["kind"], reason?: string): Promise<void> => {
    unwrap(await object().act({ kind, by, reason: readReason(reason) }));
  };
  return {
    id,
    status: async () => view<Output>(await unpack(unwrap(await object().read(0)))),
    result: async () => {
      for (;;) {
        const run = await unpack(unwrap(await object().read(longestWaitMs)));
        if (run.error !== null && isEnded(run.status)) throw reviveError(run.error);
        if (run.output !== null) return decode(run.output) as Output;
      }
    },
    signal: async (name: string, payload?: unknown, options?: SignalOptions) => {
      await sendSignal(id, toSignal(name, payload, options));
    },
    query: async <Result>(name: string) => {
      const answer = await askQuery(id, name);
      if (answer.kind === "failed") throw reviveError(answer.error);
      return decode(answer.result) as Result;
    },
    update: async <Result>(name: string, argument?: unknown, options?: UpdateOptions) =>
      decode(await updateRun(id, name, argument, options)) as Result,
    cancel: (reason) => act("cancel", reason),
    terminate: (reason) => act("terminate", reason),
    pause: (reason) => act("pause", reason),
    resume: (reason) => act("resume", reason),
    retry: (reason) => act("retry", reason),
    fork: async (options) => createHandle((await forkRun(id, toFork(options))).run.id),
  };
}

/** Asks again, by its key, for as long as the update is under way. */
async function updateRun(id: string, name: string, argument: unknown, options: UpdateOptions = {}): Promise<Stored> {
  const idempotencyKey = readText(options.idempotencyKey, "the idempotency key", longestKey) ?? crypto.randomUUID();
  const request = { name, argument: encode(argument, `the argument of update ${name}`), key: idempotencyKey, by };
  for (;;) {
    const answer = await makeUpdate(id, request);
    if (answer.kind === "completed") return answer.result;
    if (answer.kind === "failed") throw reviveError(answer.error);
  }
}

export async function startWorkflow<Output, Signals extends SignalTypes>(
  definition: Definition,
  input: unknown,
  options: StartOptions = {},
): Promise<RunHandle<Output, Signals>> {
  const { id, delay, startAt, notAfter, labels, notify, signal, traceparent, ...rest } = options;
  for (const option of Object.keys(rest)) throw new HoldfastError("options_invalid", `start has no option "${option}"`);
  if (delay !== undefined && startAt !== undefined) {
    throw new HoldfastError("options_invalid", "a run is started with delay or with startAt, not with both");
  }
  const beginAt =
    delay === undefined ? (startAt === undefined ? undefined : toInstant(startAt)) : Date.now() + toMs(delay);
  const { run } = await startRun(definition, {
    input: encode(input, `the input of ${definition.name}`),
    by,
    ...(id === undefined ? {} : { id }),
    ...(beginAt === undefined ? {} : { startAt: beginAt }),
    ...(notAfter === undefined ? {} : { notAfter: toInstant(notAfter) }),
    ...(labels === undefined ? {} : { labels }),
    ...(notify === undefined ? {} : { notify: typeof notify === "string" ? [notify] : notify }),
    ...(signal === undefined ? {} : { signal: toBrought(signal) }),
    ...acceptTrace(traceparent),
  });
  return createHandle(run.id);
}

/**
 * To every run that waits for the name now; kept for the next that does, for a day, if none does.
 * A signal to one run is `getRun(id).signal(name, payload)`.
 * @throws HoldfastError name_invalid, signal_invalid, idempotency_conflict, value_too_large
 */
export async function signalAll(
  name: string,
  payload?: unknown,
  options?: SignalOptions,
): Promise<{ readonly delivered: number; readonly buffered: boolean }> {
  return await broadcastSignal(toSignal(name, payload, options));
}

function toBrought({ name, payload }: NonNullable<StartOptions["signal"]>): { name: string; payload: Stored } {
  return { name, payload: encode(payload, `the payload of signal ${name}`) };
}

function toSignal(name: string, payload: unknown, options: SignalOptions = {}): SignalRequest {
  const { idempotencyKey, traceparent } = options;
  const stored = encode(payload, `the payload of signal ${name}`);
  const key = readText(idempotencyKey, "the idempotency key", longestKey);
  return { name, payload: stored, by, ...(key === undefined ? {} : { key }), ...acceptTrace(traceparent) };
}

/** An empty one is none. @throws HoldfastError options_invalid */
function readReason(reason: unknown): string | null {
  return reason === "" || reason === null ? null : (readText(reason, "the reason", 4096) ?? null);
}

/** @throws HoldfastError options_invalid: it is no text, empty, or too long */
function readText(value: unknown, what: string, longest: number): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "string" && value !== "" && !isLonger(value, longest)) return value;
  throw new HoldfastError("options_invalid", `${what} must be text of 1 to ${longest} characters`);
}

function toFork(options: ForkOptions = {}): ForkRequest {
  const { from, results = {}, id, reason, idempotencyKey, input: _input, ...rest } = options;
  const key = readText(idempotencyKey, "the idempotency key", longestKey);
  for (const option of Object.keys(rest)) throw new HoldfastError("options_invalid", `fork has no option "${option}"`);
  return {
    from: from ?? null,
    results: new Map(Object.entries(results).map(([step, value]) => [step, encode(value, `the result of ${step}`)])),
    by,
    reason: readReason(reason),
    ...("input" in options ? { input: encode(options.input, "the input") } : {}),
    ...(id === undefined ? {} : { id }),
    ...(key === undefined ? {} : { key }),
  };
}

function view<Output>(run: RunSnapshot): RunView<Output> {
  const { seq: _seq, tallies: _tallies, ...shown } = run;
  return {
    ...shown,
    input: decode(run.input),
    output: run.output === null ? null : (decode(run.output) as Output),
    error: run.error === null ? null : reviveError(run.error),
    progress: run.progress === null ? null : decode(run.progress),
    createdAt: new Date(run.createdAt),
    startedAt: toDate(run.startedAt),
    updatedAt: new Date(run.updatedAt),
    finishedAt: toDate(run.finishedAt),
  };
}

function toDate(at: number | null): Date | null {
  return at === null ? null : new Date(at);
}
