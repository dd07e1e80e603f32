/**
 * Owns: the `step` of a Cloudflare Workflow; each of its calls makes one of Holdfast's.
 * Does not own: what these do (engine), translating configurations (config).
 */
import type {
  WorkflowSleepDuration,
  WorkflowStep,
  WorkflowStepConfig,
  WorkflowStepContext,
  WorkflowStepRollbackOptions,
} from "cloudflare:workers";
import { toMs } from "../core/duration.ts";
import type { RevivedError } from "../core/error.ts";
import { checkName, toCallId } from "../core/name.ts";
import { checkOptions, refused } from "../core/option.ts";
import type { AttemptContext, RunOptions } from "../core/definition/options.ts";
import type { Step } from "../core/definition/step.ts";
import { contextOf, countOf, placeOf, taskOf, toError, toSpan } from "./config.ts";
import type { Callback } from "./config.ts";
import { fromRecorded } from "./stream.ts";

/** Cloudflare does not limit the names of waits, but labels have at most 256 characters, with their occurrence. */
const longestWaitName = 240;

type Rollback = WorkflowStepRollbackOptions;
type Event = { readonly payload: unknown; readonly timestamp: Date; readonly type: string };
type Options = { readonly type: string; readonly timeout?: WorkflowSleepDuration };

/** The error that the run failed with, for rollbacks. */
export type Failure = { error: unknown };

export function createStep(step: Step, failure: Failure): WorkflowStep {
  const waits = new Map<string, number>();
  const adapted = {
    do: async (name: string, ...rest: readonly unknown[]) => {
      checkName(name, "step");
      const [config = {}, callback, rollback] = typeof rest[0] === "function" ? [{}, ...rest] : rest;
      if (typeof callback !== "function") throw refused(`step ${name}`, "the callback", "must be a function");
      const task = { name, config: config as WorkflowStepConfig, callback: callback as Callback };
      if (rollback === undefined) return fromRecorded(await run(step, task));
      return fromRecorded(await runUndoable(step, task, failure, rollback as Rollback));
    },
    sleep: (name: string, duration: WorkflowSleepDuration) => step.sleep(name, toSpan(duration)),
    sleepUntil: (name: string, timestamp: Date | number) => step.sleepUntil(name, timestamp),
    waitForEvent: async (name: string, options: Options) => {
      const count = (waits.get(name) ?? 0) + 1;
      waits.set(name, count);
      const label = labelOf(name, count);
      checkOptions(options, ["type", "timeout"], `the wait ${label}`);
      const { type, timeout } = options;
      if (typeof type !== "string") throw refused(`the wait ${label}`, "type", "must be that of an event");
      return await waitFor(step, type, timeout || "24 hours", label);
    },
  };
  return adapted as unknown as WorkflowStep;
}

type Task = { readonly name: string; readonly config: WorkflowStepConfig; readonly callback: Callback };

function run(step: Step, { name, config, callback }: Task, more: RunOptions<unknown> = {}): Promise<unknown> {
  const { fn, options } = taskOf(name, config, callback);
  return step.run<unknown>(name, fn, { ...options, ...more });
}

/**
 * Cloudflare also rolls back the step that failed. Holdfast undoes completed steps only, so an empty step is recorded after
 * the failed one, and is undone instead of it.
 */
async function runUndoable(step: Step, task: Task, failure: Failure, options: Rollback): Promise<unknown> {
  const { name, config } = task;
  const { undo, undoPolicy } = undoingOf(name, failure, options);
  try {
    return await run(step, task, {
      undo: (output, context) => undo(contextOf(name, config, placeOf(context)), fromRecorded(output), context),
      undoPolicy,
    });
  } catch (error) {
    const { step: id, attempts = 1 } = error as RevivedError;
    // An error without a step is a refusal of the call: the step never began.
    if (id === undefined) throw error;
    const ctx = contextOf(name, config, { count: countOf(id), attempt: attempts });
    // The result is the id of the failed step, which a subscription needs.
    const nothing = { name: placeholderOf(name), config, callback: () => id };
    await run(step, nothing, { undo: (_nothing, context) => undo(ctx, undefined, context), undoPolicy });
    throw error;
  }
}

/** The name of the empty step that is undone instead of a failed one. */
export function placeholderOf(name: string): string {
  return `failed: ${name.slice(0, 200)}`.toWellFormed();
}

/** The undo of a step and its policy: that of `rollbackConfig`, or the default, but never the policy of the step. */
function undoingOf(name: string, failure: Failure, options: Rollback) {
  const what = `the rollback of step ${name}`;
  checkOptions(options, ["rollback", "rollbackConfig"], what);
  const { rollback, rollbackConfig = {} } = options;
  if (typeof rollback !== "function") throw refused(what, "rollback", "must be a function");
  let rollbackContext: Parameters<Rollback["rollback"]>[0] | null = null;
  const task = taskOf(name, rollbackConfig, () => rollbackContext && rollback(rollbackContext));
  const undo = (ctx: WorkflowStepContext, output: unknown, context: AttemptContext): unknown => {
    rollbackContext = { ctx, output, error: toError(failure.error), stepName: `${name}-${ctx.step.count}` };
    return task.fn(context);
  };
  return { undo, undoPolicy: task.options };
}

/** The label of a wait: its name, cut if necessary, with its occurrence, as `name#2`. The id of the call has the event type. */
export function labelOf(name: unknown, count: number): string {
  return toCallId(String(name).slice(0, longestWaitName).toWellFormed(), count);
}

async function waitFor(step: Step, type: string, timeout: WorkflowSleepDuration, label: string): Promise<Event> {
  const timeoutMs = toMs(toSpan(timeout), `the timeout of the wait for ${type}`);
  const sent = await step.waitFor<unknown>(type, { timeout: timeoutMs, label });
  if (sent === null) throw new Error(`the wait for an event of type ${type} timed out after ${timeoutMs} ms`);
  return isEvent(sent, type) ? sent : { payload: sent, timestamp: new Date(step.now()), type };
}

/** The binding sends the whole event as the payload of a signal; a signal from the API has the event's payload only. */
function isEvent(sent: unknown, wanted: string): sent is Event {
  if (typeof sent !== "object" || sent === null || !("payload" in sent && "timestamp" in sent && "type" in sent)) {
    return false;
  }
  return sent.timestamp instanceof Date && sent.type === wanted;
}
