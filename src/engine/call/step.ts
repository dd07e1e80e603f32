/**
 * Owns: the step API as a handler sees it: checks arguments and describes the work.
 * Does not own: doing any of it (calls, work).
 * Invariant 1: what needs no record (now, random, uuid, info) is derived from what is on record,
 * and so is the same in every replay.
 * Invariant 2: a call is made in the very turn the handler makes it, so that occurrences are
 * counted in the handler's order.
 */
import { authorOf } from "../../core/author.ts";
import { toInstant, toMs } from "../../core/duration.ts";
import type { Definition } from "../../core/definition/definition.ts";
import type { LogLevel } from "../../core/history/entry.ts";
import { HoldfastError, storeError } from "../../core/error.ts";
import { checkName, maxLabelLength } from "../../core/name.ts";
import { firstCreatedAt } from "../../core/run/origin.ts";
import { messageFrom } from "../../core/definition/message.ts";
import { defined } from "../../core/record.ts";
import { retryOf } from "../../core/definition/retry.ts";
import type { ResolvedRetry } from "../../core/definition/retry.ts";
import { isSchema } from "../../core/definition/schema.ts";
import { isLonger } from "../../core/size.ts";
import type {
  FetchOptions,
  InvokeOptions,
  RunOptions,
  StartChildOptions,
  WaitOptions,
} from "../../core/definition/options.ts";
import type { RunInfo, Step } from "../../core/definition/step.ts";
import { encode } from "../../core/value/value.ts";
import { isVerifier } from "../../core/webhook/webhook.ts";
import type { WebhookOptions } from "../../core/webhook/webhook.ts";
import type { MessageHandlers } from "../ask/handlers.ts";
import type { Plan, RunPlan } from "./call.ts";
import type { Calls } from "./calls.ts";
import type { Course } from "../turn/course.ts";
import type { End } from "../end/ending.ts";
import { handlerLeft } from "../errors.ts";
import type { Errors } from "../errors.ts";
import { createChance } from "./chance.ts";
import { elsewhere, fetchPlan } from "./fetch.ts";
import { childPlan, sending, workflowName } from "./invocation.ts";
import { checkOptions, refused } from "../../core/option.ts";
import { map, mapOptions } from "./map.ts";
import type { Mapper } from "./map.ts";
import type { Patches } from "./patch.ts";
import { race } from "./race.ts";
import type { RaceOwner } from "./race.ts";
import type { Renewal } from "../end/renewal.ts";
import type { Publisher } from "./publisher.ts";
import { orRefuse } from "./refusal.ts";
import { checkPlace } from "./scope.ts";

/** The handler's side of an execution: what a call of the step API is made through. */
export interface Caller extends RaceOwner {
  readonly definition: Definition;
  readonly course: Course;
  /** The policy of steps that set none of their own. */
  readonly retry: ResolvedRetry;
  readonly calls: Pick<Calls, "make" | "refuses" | "scope" | "isInVain" | "seenAt">;
  readonly errors: Errors;
  readonly publisher: Pick<Publisher, "publish">;
  readonly messageHandlers: Pick<MessageHandlers, "query" | "update" | "listen">;
  readonly patches: Patches;
  readonly renewal: Renewal;
}

const defaultAttemptMs = 10 * 60_000;
/** A step without options. */
const plain: Omit<RunPlan, "fn" | "retry"> = {
  ...{ kind: "run", timeoutMs: defaultAttemptMs, undo: null, onExhausted: "fail" },
  ...{ atMostOnce: false, sensitive: false },
};

/** What bail and fail throw in a branch that has lost its race, and end nothing. */
const branchLost = new Error("the race was won by others");

export function createStep(caller: Caller): Step {
  const { calls, course } = caller;
  const { id, at, seed = `${id}:${at}` } = course.state.creation;
  const chance = createChance(seed);
  const step = {
    run: (name: unknown, fn: unknown, options?: RunOptions) =>
      make(caller, name, () => runPlan(caller, name, fn, options)),
    fetch: (name: unknown, target: unknown, options?: FetchOptions) =>
      make(caller, name, () => fetchPlan(name, target, options, (rest) => runPlan(caller, name, elsewhere, rest))),
    map: (name: unknown, items: unknown, fn: unknown, options?: unknown) =>
      orRefuse(caller, () => map(mapper(caller, String(name)), name, items, fn, options)),
    race: (branches: unknown) => orRefuse(caller, () => race(caller, branches)),
    sleep: (...args: unknown[]) => sleep(caller, args, after),
    sleepUntil: (...args: unknown[]) => sleep(caller, args, until),
    waitFor: (name: unknown, options?: WaitOptions) => waitFor(caller, name, options),
    webhook: (name: unknown, options?: WebhookOptions) => make(caller, name, () => webhookPlan(name, options)),
    invoke: (workflow: unknown, input?: unknown, options?: InvokeOptions) =>
      make(caller, workflow, () => childPlan(workflow, input, options), workflowName),
    start: (workflow: unknown, input?: unknown, options?: StartChildOptions) =>
      make(caller, workflow, () => childPlan(workflow, input, options, true), workflowName),
    signal: (runId: unknown, name: unknown, payload?: unknown) => signal(caller, runId, name, payload),
    patched: (id: unknown) => caller.patches.has(id),
    continueAsNew: (input: unknown) => continueAsNew(caller, input),
    query: (name: unknown, fn: unknown) => messages(caller, "query").query(name, fn),
    update: (name: unknown, schema: unknown, fn: unknown) => messages(caller, "update").update(name, schema, fn),
    onSignal: (name: unknown, fn: unknown) => messages(caller, "onSignal").listen(name, fn),
    bail: (reason?: unknown) => bail(caller, reason),
    fail: (error: unknown) => fail(caller, error),
    now: () => calls.seenAt,
    random: () => chance(calls.scope).next(),
    uuid: () => chance(calls.scope).uuid(),
    log: createLog(caller),
    progress: (value: unknown) =>
      caller.publisher.publish({ kind: "progress.published", value: encode(value, "the progress") }),
    info: createInfo(caller),
  };
  return step as unknown as Step;
}

/** For a method that is the handler's alone: a replay skips functions of steps. @throws HoldfastError step_nested */
function messages({ calls, messageHandlers }: Caller, method: string): Caller["messageHandlers"] {
  checkPlace(calls.scope, method);
  return messageHandlers;
}

/** @throws HoldfastError step_nested */
function mapper(caller: Caller, name: string): Mapper {
  checkPlace(caller.calls.scope, name);
  const mapping: Mapper = {
    call: (name, plan) => orRefuse(caller, () => caller.calls.make(name, plan, mapping)),
    runPlan: (name, fn, options) => runPlan(caller, name, fn, options, mapOptions),
  };
  return mapping;
}

function make(
  caller: Caller,
  name: unknown,
  plan: () => Plan,
  toName = (given: unknown): string => checkName(given, "step"),
): Promise<unknown> {
  return orRefuse(caller, () => caller.calls.make(toName(name), plan()));
}

const runOptions = ["retry", "timeout", "undo", "undoPolicy", "onExhausted", "atMostOnce", "sensitive"];

/** @param more options that messages are to name, those of the caller's own */
function runPlan(
  caller: Caller,
  name: unknown,
  fn: unknown,
  options?: RunOptions,
  more: readonly string[] = [],
): RunPlan {
  if (typeof fn !== "function")
    throw new HoldfastError("options_invalid", `step ${String(name)} needs a function to run`);
  if (options === undefined) return { ...plain, fn: fn as RunPlan["fn"], retry: caller.retry };
  const what = `step ${String(name)}`;
  checkOptions(options, [...runOptions, ...more], what);
  const { undo, undoPolicy, onExhausted = "fail", atMostOnce = false, sensitive = false } = options;
  if (undo !== undefined && typeof undo !== "function") throw refused(what, "undo", "must be a function");
  if (onExhausted !== "fail" && onExhausted !== "pause")
    throw refused(what, "onExhausted", 'must be "fail" or "pause"');
  if (typeof atMostOnce !== "boolean") throw refused(what, "atMostOnce", "must be true or false");
  if (typeof sensitive !== "boolean") throw refused(what, "sensitive", "must be true or false");
  return {
    kind: "run",
    fn: fn as RunPlan["fn"],
    ...policyOf(caller, options, what),
    undo: undo ?? null,
    ...(undoPolicy === undefined ? {} : { undoing: undoingOf(caller, undoPolicy, `the undoPolicy of ${what}`) }),
    onExhausted,
    atMostOnce,
    sensitive,
  };
}

function policyOf({ retry: usual, definition }: Caller, { retry, timeout }: Policy, what: string): Tried {
  return {
    retry: retry === undefined ? usual : retryOf(what, definition.retry, retry),
    timeoutMs: timeout === undefined ? defaultAttemptMs : toMs(timeout, `the timeout of ${what}`),
  };
}

function undoingOf(caller: Caller, policy: Policy, what: string): Tried {
  checkOptions(policy, ["retry", "timeout"], what);
  return policyOf(caller, policy, what);
}

type Policy = NonNullable<RunOptions["undoPolicy"]>;
type Tried = Pick<RunPlan, "retry" | "timeoutMs">;

/** Reads the argument of a sleep; `what` names it. The result says when the sleep ends. */
type Wake = (value: unknown, what: string) => (now: number) => number;

const after: Wake = (value, what) => {
  const ms = toMs(value, what);
  return (now) => now + ms;
};

const until: Wake = (value, what) => {
  const at = toInstant(value, what);
  return () => at;
};

function sleep(caller: Caller, args: readonly unknown[], wake: Wake): Promise<unknown> {
  const [name, value] = args.length > 1 ? args : ["sleep", args[0]];
  return make(caller, name, () => ({ kind: "sleep", wakeAt: wake(value, `step ${String(name)}:`) }));
}

function waitFor(caller: Caller, name: unknown, options: WaitOptions = {}): Promise<unknown> {
  return make(caller, name, () => {
    const what = `the wait for ${String(name)}`;
    checkOptions(options, ["timeout", "schema", "label"], what);
    const { schema, label } = options;
    const { longLabels } = caller.course.state;
    if (
      label !== undefined &&
      (typeof label !== "string" || (isLonger(label, maxLabelLength) && !longLabels.has(label)))
    )
      throw refused(what, "label", `must be text of at most ${maxLabelLength} characters`);
    // Checked now, because a signal that was already consumed would be lost.
    if (schema !== undefined && !isSchema(schema))
      throw refused(what, "schema", "must be a Standard Schema, such as zod makes");
    return { kind: "wait", timeoutMs: waitMs(options, what), schema: schema ?? null, marks: defined({ label }) };
  });
}

function webhookPlan(name: unknown, options: WebhookOptions = {}): Plan {
  const what = `webhook ${String(name)}`;
  checkOptions(options, ["timeout", "verify", "respond"], what);
  const { verify, respond } = options;
  if (verify !== undefined && typeof verify !== "function" && !isVerifier(verify)) {
    throw refused(what, "verify", "must be a function, or one of those that `verify` makes");
  }
  if (respond !== undefined && typeof respond !== "function") throw refused(what, "respond", "must be a function");
  return { kind: "webhook", timeoutMs: waitMs(options, what), options };
}

function waitMs({ timeout }: Pick<WaitOptions, "timeout">, what: string): number | null {
  return timeout === undefined ? null : toMs(timeout, `the timeout of ${what}`);
}

function signal(caller: Caller, runId: unknown, name: unknown, payload: unknown): Promise<unknown> {
  return orRefuse(caller, () => {
    const { world, state } = caller.course;
    const sent = sending(world, state.creation.id, runId, name, payload);
    return caller.calls.make(sent.name, runPlan(caller, sent.name, sent.fn));
  });
}

/** A reason that is no text is told as if it had been thrown: an error by its message. */
function bail(caller: Caller, given: unknown): never {
  const reason = given === undefined || given === null ? null : storeError(given).message;
  const error = { name: "Bailed", message: reason ?? "the workflow bailed out", code: "bailed" };
  return leave(caller, { kind: "run.cancelled", error, by: "workflow", reason });
}

function fail(caller: Caller, error: unknown): never {
  return leave(caller, { kind: "run.failed", error: caller.errors.toRunError(error) });
}

/** A branch that lost its race gets no further: how the run goes on is no longer its to say. */
function leave({ calls, renewal }: Caller, end: End): never {
  if (calls.isInVain) throw branchLost;
  renewal.leave(end);
  throw handlerLeft;
}

function continueAsNew({ calls, renewal }: Caller, input: unknown): Promise<never> {
  return calls.isInVain ? new Promise(() => {}) : renewal.request(input);
}

function createLog(caller: Caller): Step["log"] {
  const write =
    (level: LogLevel) =>
    (...said: readonly unknown[]) =>
      caller.publisher.publish({ kind: "log.written", level, ...messageFrom(said) });
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}

function createInfo(caller: Caller): RunInfo {
  const { creation: created, startedAt } = caller.course.state;
  const { id, workflow, version, continuation } = created;
  // Copies: what the run itself goes by is not the handler's to change.
  const [parent, schedule] = [frozen(created.parent), frozen(created.schedule)];
  const [labels, author] = [Object.freeze({ ...created.labels }), Object.freeze(authorOf(created))];
  return Object.freeze({
    ...{ id, workflow, version, createdAt: firstCreatedAt(created), startedAt: startedAt ?? created.at },
    ...{ parent, schedule, labels, author, continued: continuation?.count ?? 0 },
  });
}

function frozen<Value extends object>(value: Value | null): Readonly<Value> | null {
  return value === null ? null : Object.freeze({ ...value });
}
