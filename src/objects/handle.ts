/**
 * Owns: handles to runs: what code in the Worker holds to start, watch and move a run.
 * Does not own: anything about the run itself.
 */
import type { Definition } from "../core/definition.ts";
import { toInstant, toMs } from "../core/duration.ts";
import type { Duration, Instant } from "../core/duration.ts";
import type { ParentRun, ScheduleFiring } from "../core/entry.ts";
import { HoldfastError, reviveError } from "../core/error.ts";
import { checkRunId } from "../core/name.ts";
import { isEnded } from "../core/run.ts";
import type { RunSnapshot, RunStatus, Waiting } from "../core/run.ts";
import type { SignalRequest } from "../core/service.ts";
import type { SignalTypes } from "../core/step.ts";
import { decode, encode } from "../core/value.ts";
import { runObject } from "./address.ts";
import { unwrap } from "./answer.ts";
import { unpack } from "./parcel.ts";
import { broadcastSignal, sendSignal, startRun } from "./service.ts";

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
};

/** A run as code in the Worker sees it: values as they are, instants as dates. */
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
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly updatedAt: Date;
  readonly finishedAt: Date | null;
  readonly waitingFor: readonly Waiting[];
  readonly reason: string | null;
  readonly steps: { readonly completed: number; readonly failed: number; readonly running: number };
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
    payload: Signals[Name],
    options?: SignalOptions,
  ): Promise<void>;
  signal(name: string, payload?: unknown, options?: SignalOptions): Promise<void>;
  /** @throws HoldfastError run_not_found, run_ended */
  cancel(reason?: string): Promise<void>;
}

export type SignalOptions = {
  /** The same key again is the same signal. */
  readonly idempotencyKey?: string;
};

const by = "worker";
const longestWaitMs = 60_000;

/** The handle of a run by its id; nothing is asked of it yet. @throws HoldfastError id_invalid */
export function createHandle<Output = unknown, Signals extends SignalTypes = SignalTypes>(
  id: string,
): RunHandle<Output, Signals> {
  const object = () => runObject(checkRunId(id));
  checkRunId(id);
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
    cancel: async (reason) => {
      unwrap(await object().act({ kind: "cancel", by, reason: reason ?? null }));
    },
  };
}

export async function startWorkflow<Output, Signals extends SignalTypes>(
  definition: Definition,
  input: unknown,
  options: StartOptions = {},
): Promise<RunHandle<Output, Signals>> {
  const { id, delay, startAt, notAfter, labels, ...rest } = options;
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

function toSignal(name: string, payload: unknown, { idempotencyKey }: SignalOptions = {}): SignalRequest {
  const stored = encode(payload, `the payload of signal ${name}`);
  return { name, payload: stored, by, ...(idempotencyKey === undefined ? {} : { key: idempotencyKey }) };
}

function view<Output>(run: RunSnapshot): RunView<Output> {
  const { seq: _seq, ...shown } = run;
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
