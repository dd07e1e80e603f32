/**
 * Owns: handles of runs, with which code in the Worker starts, watches and controls a run.
 * Does not own: the run itself.
 */
import { readKey, readReason } from "../../core/author.ts";
import type { Definition } from "../../core/definition/definition.ts";
import { toInstant, toMs } from "../../core/duration.ts";
import { HoldfastError, reviveError } from "../../core/error.ts";
import type {
  ForkOptions,
  RunHandle,
  RunView,
  SignalOptions,
  StartOptions,
  UpdateOptions,
} from "../../core/definition/handle.ts";
import { checkName, checkRunId } from "../../core/name.ts";
import { checkOptions, isPlain, refused } from "../../core/option.ts";
import { defined } from "../../core/record.ts";
import { isEnded } from "../../core/run/run.ts";
import type { RunSnapshot } from "../../core/run/run.ts";
import type { BroadcastOutcome, ForkRequest, RunAction, SignalRequest } from "../../core/service/service.ts";
import type { SignalTypes } from "../../core/definition/step.ts";
import { acceptTrace } from "../../core/trace/trace.ts";
import { decode, encode } from "../../core/value/value.ts";
import type { Stored } from "../../core/value/value.ts";
import { runObject } from "../address.ts";
import { callingRun } from "../../engine/call/scope.ts";
import { unwrap } from "../answer.ts";
import { checkListed } from "./catalog.ts";
import { unpack } from "../packing.ts";
import { askQuery, broadcastSignal, forkRun, makeUpdate, sendSignal, startRun } from "../service.ts";

const by = "worker";
const longestWaitMs = 60_000;
const startOptions: readonly string[] = [
  ...["id", "delay", "startAt", "notAfter", "labels", "notify", "signal", "traceparent"],
];

/** The handle of a run by its id; makes no call. @throws HoldfastError id_invalid */
export function getRun<Output = unknown, Signals extends SignalTypes = SignalTypes>(
  id: string,
): RunHandle<Output, Signals> {
  checkRunId(id);
  const object = () => runObject(id);
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
      // Whoever answers is a replay of the handler: it would ask in turn, and so on.
      if (callingRun() === id)
        throw new HoldfastError("query_impure", `run ${id} queries itself, which it can only inside of a step`);
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
    fork: async (options) => getRun((await forkRun(id, toFork(options))).run.id),
  };
}

/** Repeats the request with its key while the update is in progress. */
async function updateRun(id: string, name: string, argument: unknown, options: UpdateOptions = {}): Promise<Stored> {
  const what = `update ${checkName(name, "update")}`;
  checkOptions(options, ["idempotencyKey"], what);
  const key = readKey(options.idempotencyKey) ?? crypto.randomUUID();
  const request = { name, argument: encode(argument, `the argument of ${what}`), key, by };
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
  checkListed(definition);
  checkOptions(options, startOptions, "start");
  const { id, delay, startAt, notAfter, labels, notify, signal, traceparent } = options;
  if (delay !== undefined && startAt !== undefined) {
    throw new HoldfastError("options_invalid", "a run is started with delay or with startAt, not with both");
  }
  const delayMs = delay === undefined ? undefined : toMs(delay, "delay");
  const instant = startAt === undefined ? undefined : toInstant(startAt, "startAt");
  const beginAt = delayMs === undefined ? instant : Date.now() + delayMs;
  const { run } = await startRun(definition, {
    input: encode(input, `the input of ${definition.name}`),
    by,
    ...defined({ id, startAt: beginAt, delayMs, labels }),
    ...(notAfter === undefined ? {} : { notAfter: toInstant(notAfter, "notAfter") }),
    ...(notify === undefined ? {} : { notify: Array.isArray(notify) ? notify : [notify] }),
    ...(signal === undefined ? {} : { signal: toStartSignal(signal) }),
    ...acceptTrace(traceparent),
  });
  return getRun(run.id);
}

/**
 * Sends a signal to every run that waits for the name. If none does, it is kept for the next one, for a day.
 * `getRun(id).signal(name, payload)` sends a signal to one run.
 * @throws HoldfastError name_invalid, signal_invalid, idempotency_conflict, value_too_large
 */
export async function signalAll(name: string, payload?: unknown, options?: SignalOptions): Promise<BroadcastOutcome> {
  return await broadcastSignal(toSignal(name, payload, options));
}

function toStartSignal(signal: NonNullable<StartOptions["signal"]>): { name: string; payload: Stored } {
  checkOptions(signal, ["name", "payload"], "the signal of start");
  const { name, payload } = signal;
  return { name, payload: toPayload(name, payload) };
}

function toSignal(name: string, payload: unknown, options: SignalOptions = {}): SignalRequest {
  const stored = toPayload(name, payload);
  checkOptions(options, ["idempotencyKey", "traceparent"], `signal ${name}`);
  const key = readKey(options.idempotencyKey);
  return { name, payload: stored, by, ...defined({ key }), ...acceptTrace(options.traceparent) };
}

function toPayload(name: string, payload: unknown): Stored {
  return encode(payload, `the payload of signal ${checkName(name, "signal")}`);
}

function toFork(options: ForkOptions = {}): ForkRequest {
  checkOptions(options, ["from", "input", "results", "id", "reason", "idempotencyKey"], "fork");
  const { from = null, results = {}, id, reason } = options;
  if (from !== null && typeof from !== "string") throw refused("fork", "from", "must be the name of a step");
  if (!isPlain(results)) throw refused("fork", "results", "must be an object of values, each by the name of its step");
  const key = readKey(options.idempotencyKey);
  return {
    from,
    results: new Map(Object.entries(results).map(([step, value]) => [step, encode(value, `the result of ${step}`)])),
    by,
    reason: readReason(reason),
    ...("input" in options ? { input: encode(options.input, "the input") } : {}),
    ...defined({ id, key }),
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
