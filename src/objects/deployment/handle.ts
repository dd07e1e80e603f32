/**
 * Owns: handles of runs, with which code in the Worker starts, watches and controls a run.
 * Does not own: the run itself.
 */
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
import { checkRunId } from "../../core/name.ts";
import { defined } from "../../core/record.ts";
import { isEnded } from "../../core/run/run.ts";
import type { RunSnapshot } from "../../core/run/run.ts";
import type { BroadcastOutcome, ForkRequest, RunAction, SignalRequest } from "../../core/service/service.ts";
import type { SignalTypes } from "../../core/definition/step.ts";
import { acceptTrace } from "../../core/trace/trace.ts";
import { isLonger } from "../../core/size.ts";
import { decode, encode } from "../../core/value/value.ts";
import type { Stored } from "../../core/value/value.ts";
import { runObject } from "../address.ts";
import { unwrap } from "../answer.ts";
import { checkListed } from "./catalog.ts";
import { unpack } from "../packing.ts";
import { askQuery, broadcastSignal, forkRun, makeUpdate, sendSignal, startRun } from "../service.ts";

const by = "worker";
const longestWaitMs = 60_000;
/** In characters, as over HTTP. */
const longestKey = 256;

/** The handle of a run by its id; makes no call. @throws HoldfastError id_invalid */
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

/** Repeats the request with its key while the update is in progress. */
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
  checkListed(definition);
  if (delay !== undefined && startAt !== undefined) {
    throw new HoldfastError("options_invalid", "a run is started with delay or with startAt, not with both");
  }
  const delayMs = delay === undefined ? undefined : toMs(delay);
  const instant = startAt === undefined ? undefined : toInstant(startAt);
  const beginAt = delayMs === undefined ? instant : Date.now() + delayMs;
  const { run } = await startRun(definition, {
    input: encode(input, `the input of ${definition.name}`),
    by,
    ...defined({ id, startAt: beginAt, delayMs, labels }),
    ...(notAfter === undefined ? {} : { notAfter: toInstant(notAfter) }),
    ...(notify === undefined ? {} : { notify: typeof notify === "string" ? [notify] : notify }),
    ...(signal === undefined ? {} : { signal: toStartSignal(signal) }),
    ...acceptTrace(traceparent),
  });
  return createHandle(run.id);
}

/**
 * Sends a signal to every run that waits for the name. If none does, it is kept for the next one, for a day.
 * `getRun(id).signal(name, payload)` sends a signal to one run.
 * @throws HoldfastError name_invalid, signal_invalid, idempotency_conflict, value_too_large
 */
export async function signalAll(name: string, payload?: unknown, options?: SignalOptions): Promise<BroadcastOutcome> {
  return await broadcastSignal(toSignal(name, payload, options));
}

function toStartSignal({ name, payload }: NonNullable<StartOptions["signal"]>): { name: string; payload: Stored } {
  return { name, payload: encode(payload, `the payload of signal ${name}`) };
}

function toSignal(name: string, payload: unknown, options: SignalOptions = {}): SignalRequest {
  const { idempotencyKey, traceparent } = options;
  const stored = encode(payload, `the payload of signal ${name}`);
  const key = readText(idempotencyKey, "the idempotency key", longestKey);
  return { name, payload: stored, by, ...defined({ key }), ...acceptTrace(traceparent) };
}

/** Returns null also for an empty reason. @throws HoldfastError options_invalid */
function readReason(reason: unknown): string | null {
  return reason === "" || reason === null ? null : (readText(reason, "the reason", 4096) ?? null);
}

/** @throws HoldfastError options_invalid: not text, empty, or too long */
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
