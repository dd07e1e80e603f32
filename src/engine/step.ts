/**
 * Owns: the step API as a handler sees it: checks arguments and describes the work.
 * Does not own: doing any of it; that is the execution's.
 * Invariant 1: what needs no record (now, random, uuid, info) is derived from what is on record,
 * and so is the same in every replay.
 * Invariant 2: a call is made in the very turn the handler makes it, so that occurrences are
 * counted in the handler's order.
 */
import { toInstant, toMs } from "../core/duration.ts";
import type { Duration } from "../core/duration.ts";
import type { Definition } from "../core/definition.ts";
import type { Fact, LogLevel } from "../core/entry.ts";
import { HoldfastError } from "../core/error.ts";
import type { StoredError } from "../core/error.ts";
import { checkName } from "../core/name.ts";
import { createRandom } from "../core/random.ts";
import { resolveRetry } from "../core/retry.ts";
import type { ResolvedRetry } from "../core/retry.ts";
import { validate } from "../core/schema.ts";
import type { RunState, spoken } from "../core/state.ts";
import type { AttemptContext, RunInfo, RunOptions, Step, WaitOptions, WebhookOptions } from "../core/step.ts";
import { encode } from "../core/value.ts";
import type { Plan } from "./call.ts";

/** The handler's side of an execution: what a call of the step API is made through. */
export interface Caller {
  readonly definition: Definition;
  readonly state: RunState;
  /** The policy of steps that set none of their own. */
  readonly retry: ResolvedRetry;
  /** The instant of the newest outcome the handler has seen. */
  readonly seenAt: number;
  call(name: string, plan: Plan): Promise<unknown>;
  say(fact: Parameters<typeof spoken>[0]): void;
  conclude(fact: Fact): void;
  runError(thrown: unknown): StoredError;
}

const defaultAttemptMs = 10 * 60_000;

/** What bail and fail throw to leave the handler; the run's end is on record before. */
const left = new Error("the run has ended");

export function createStep(caller: Caller): Step {
  const random = createRandom(`${caller.state.created?.id}:${caller.state.created?.at}`);
  const step = {
    run: (name: unknown, fn: unknown, options?: RunOptions) =>
      make(caller, name, () => runPlan(caller, name, fn, options)),
    sleep: (...args: unknown[]) => sleep(caller, args, (value) => afterPlan(toMs(value))),
    sleepUntil: (...args: unknown[]) => sleep(caller, args, (value) => untilPlan(toInstant(value))),
    waitFor: (name: unknown, options?: WaitOptions) => waitFor(caller, name, options),
    webhook: (name: unknown, options?: WebhookOptions) => make(caller, name, () => webhookPlan(name, options)),
    bail: (reason?: string) => bail(caller, reason),
    fail: (error: unknown) => fail(caller, error),
    now: () => caller.seenAt,
    random: () => random.next(),
    uuid: () => random.uuid(),
    log: createLog(caller),
    progress: (value: unknown) => progress(caller, value),
    info: createInfo(caller),
  };
  return step as unknown as Step;
}

/** Makes the call, or rejects with what is wrong with its arguments. */
function make(caller: Caller, name: unknown, plan: () => Plan): Promise<unknown> {
  try {
    return caller.call(checkName(name, "step"), plan());
  } catch (error) {
    return Promise.reject(error);
  }
}

function runPlan(caller: Caller, name: unknown, fn: unknown, options: RunOptions = {}): Plan {
  if (typeof fn !== "function")
    throw new HoldfastError("options_invalid", `step ${String(name)} needs a function to run`);
  checkOptions(options, ["retry", "timeout"], `step ${String(name)}`);
  const { retry, timeout } = options;
  return {
    kind: "run",
    fn: fn as (context: AttemptContext) => unknown,
    retry: retry === undefined ? caller.retry : resolveRetry(caller.definition.retry, retry),
    timeoutMs: timeout === undefined ? defaultAttemptMs : toMs(timeout, `the timeout of step ${String(name)}`),
  };
}

function afterPlan(ms: number): Plan {
  return { kind: "sleep", wakeAt: (now) => now + ms };
}

function untilPlan(at: number): Plan {
  return { kind: "sleep", wakeAt: () => at };
}

function sleep(caller: Caller, args: readonly unknown[], plan: (value: unknown) => Plan): Promise<unknown> {
  const [name, value] = args.length > 1 ? args : ["sleep", args[0]];
  return make(caller, name, () => plan(value));
}

function waitFor(caller: Caller, name: unknown, options: WaitOptions = {}): Promise<unknown> {
  const payload = make(caller, name, () => {
    checkOptions(options, ["timeout", "schema"], `the wait for ${String(name)}`);
    return { kind: "wait", timeoutMs: waitMs(options, `the wait for ${String(name)}`) };
  });
  const { schema } = options ?? {};
  if (schema === undefined) return payload;
  return payload.then((value) =>
    value === null ? null : validate(schema, value, "signal_invalid", `the payload of signal ${String(name)}`),
  );
}

function webhookPlan(name: unknown, options: WebhookOptions = {}): Plan {
  checkOptions(options, ["timeout", "verify", "respond"], `webhook ${String(name)}`);
  return { kind: "webhook", timeoutMs: waitMs(options, `webhook ${String(name)}`), options };
}

function waitMs({ timeout }: { readonly timeout?: Duration }, what: string): number | null {
  return timeout === undefined ? null : toMs(timeout, `the timeout of ${what}`);
}

/** Refuses what would otherwise be passed over in silence. */
function checkOptions(options: object, known: readonly string[], what: string): void {
  if (typeof options !== "object" || options === null) {
    throw new HoldfastError("options_invalid", `the options of ${what} must be an object`);
  }
  for (const option of Object.keys(options)) {
    if (known.includes(option)) continue;
    throw new HoldfastError("options_invalid", `${what} has no option "${option}"; it takes ${known.join(", ")}`);
  }
}

function bail(caller: Caller, reason: string | undefined): never {
  const error = { name: "Bailed", message: reason ?? "the workflow bailed out", code: "bailed" };
  caller.conclude({ kind: "run.cancelled", error, by: "workflow", reason: reason ?? null });
  throw left;
}

function fail(caller: Caller, error: unknown): never {
  caller.conclude({ kind: "run.failed", error: caller.runError(error) });
  throw left;
}

function createLog(caller: Caller): Step["log"] {
  const write = (level: LogLevel) => (message: unknown, data?: unknown) => {
    const fact = { kind: "log.written", level, message: String(message) } as const;
    caller.say(data === undefined ? fact : { ...fact, data: encode(data, "the data of a log line") });
  };
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}

function progress(caller: Caller, value: unknown): void {
  caller.say({ kind: "progress.published", value: encode(value, "the progress") });
}

function createInfo(caller: Caller): RunInfo {
  const { created, startedAt } = caller.state;
  if (created === null) throw new Error("a run that was never created has no handler");
  const { id, workflow, version, parent, schedule, labels } = created;
  return Object.freeze({ id, workflow, version, startedAt: startedAt ?? created.at, parent, schedule, labels });
}
