/** The rules of schedules: checking them, their ids, the ids and times of their runs. */
import { cronOf, cronProblem, timezoneProblem } from "./cron.ts";
import type { Definition, ScheduleRule } from "../definition/definition.ts";
import { hourMs, toMs } from "../duration.ts";
import { HoldfastError, hasCode, messageOf } from "../error.ts";
import { checkSegment, isRunId } from "../name.ts";
import { checkOptions, isPlain, mention } from "../option.ts";
import type { ScheduleFiring } from "../run/origin.ts";
import { createRandom } from "../random.ts";
import { validate } from "../definition/schema.ts";
import { overlaps } from "../service/schedules.ts";
import type { Rule } from "../service/schedules.ts";
import { encode } from "../value/value.ts";
import type { Stored } from "../value/value.ts";

export const timingFields = ["cron", "timezone", "overlap", "catchUp", "jitter", "pauseOnFailure"] as const;

/** The part of a rule about when and how its runs start; absent fields have defaults. */
export type Timing = Pick<ScheduleRule, (typeof timingFields)[number]>;

const fields: readonly string[] = [...timingFields, "input", "id"];

const defaultCatchUpMs = hourMs;

/**
 * Checks a rule against docs/schedules.md; called by `defineWorkflow`.
 * @throws HoldfastError options_invalid; the message names the field
 */
export function checkRule(rule: ScheduleRule, workflow: string): void {
  if (!isPlain(rule)) throw refused(workflow, "schedule", `is neither a rule nor a cron text, but ${mention(rule)}`);
  checkOptions(rule, fields, `workflow ${JSON.stringify(workflow)}: schedule`);
  const problem = timingProblem(rule);
  if (problem !== null) throw refused(workflow, `schedule.${problem.field}`, problem.text, problem.cause);
  const { id } = rule;
  const bad = id === undefined ? null : problemOf("id", () => checkSegment(id, "schedule"));
  if (bad !== null) throw refused(workflow, "schedule.id", bad.text, bad.cause);
}

/** The field that is wrong, and how, as the end of a sentence. */
export type Problem = { readonly field: string; readonly text: string; readonly cause?: unknown };

/** The first problem; null where there is none. */
export function timingProblem(timing: Timing): Problem | null {
  const { cron, timezone, overlap, catchUp = 0, jitter = 0, pauseOnFailure } = timing;
  const badCron = cronProblem(cron);
  if (badCron !== null) return { field: "cron", text: `${mention(cron)} ${badCron}` };
  const badZone = timezone === undefined ? null : timezoneProblem(timezone);
  if (badZone !== null) return { field: "timezone", text: `${mention(timezone)} ${badZone}` };
  if (overlap !== undefined && !overlaps.includes(overlap)) {
    return { field: "overlap", text: `${mention(overlap)} is none of ${overlaps.join(", ")}` };
  }
  if (pauseOnFailure !== undefined && typeof pauseOnFailure !== "boolean") {
    return { field: "pauseOnFailure", text: "is neither true nor false" };
  }
  return problemOf("catchUp", () => toMs(catchUp, "catchUp")) ?? problemOf("jitter", () => toMs(jitter, "jitter"));
}

function problemOf(field: string, read: () => unknown): Problem | null {
  try {
    read();
    return null;
  } catch (cause) {
    return { field, text: `is not valid: ${messageOf(cause)}`, cause };
  }
}

/** A timing without problems, with defaults filled in. */
export function settleTiming(timing: Timing) {
  const { cron, timezone = "UTC", overlap = "skip" as const, pauseOnFailure = false } = timing;
  const { catchUp = defaultCatchUpMs, jitter = 0 } = timing;
  return { cron, timezone, overlap, catchUpMs: toMs(catchUp), jitterMs: toMs(jitter), pauseOnFailure };
}

/**
 * The rules of all schedules of these definitions. Of a workflow with several versions the last one counts, because new
 * runs begin with it.
 * @throws HoldfastError options_invalid: a bad rule, one id for two schedules, or an input that the
 * workflow's schema refuses
 */
export function collectSchedules(definitions: readonly Definition[]): Rule[] {
  const newest = new Map(definitions.map((definition) => [definition.name, definition]));
  const rules = new Map<string, Rule>();
  for (const definition of newest.values()) {
    let unnamed = 0;
    for (const rule of definition.schedules) {
      checkRule(rule, definition.name);
      if (rule.id === undefined) unnamed += 1;
      const id = rule.id ?? (unnamed === 1 ? definition.name : `${definition.name}#${unnamed}`);
      if (rules.has(id)) {
        throw refused(definition.name, "schedule.id", `${JSON.stringify(id)} is the id of another schedule already`);
      }
      rules.set(id, settle(rule, id, definition));
    }
  }
  return [...rules.values()];
}

function settle(rule: ScheduleRule, id: string, definition: Definition): Rule {
  const { name: workflow } = definition;
  let input: Stored | undefined;
  const bad = problemOf("input", () => {
    if (rule.input !== undefined) input = encode(rule.input, "the input of a schedule");
  });
  if (bad !== null) throw refused(workflow, "schedule.input", bad.text, bad.cause);
  checkInput(rule, id, definition);
  return { ...settleTiming(rule), id, workflow, input, source: "code" };
}

/**
 * The input of a rule is checked here unless the validator is asynchronous, or cannot run before the first request: then it
 * is checked when a run starts.
 * @throws HoldfastError options_invalid
 */
function checkInput(rule: ScheduleRule, id: string, { name, input: schema }: Definition): void {
  try {
    const verdict = validate(schema, rule.input, "input_invalid", "it");
    if (verdict instanceof Promise) verdict.catch(() => undefined);
  } catch (cause) {
    if (!hasCode(cause, "input_invalid")) return;
    throw refused(name, "schedule.input", `of ${JSON.stringify(id)}: ${cause.message}`, cause);
  }
}

function refused(workflow: string, field: string, problem: string, cause?: unknown): HoldfastError {
  return new HoldfastError("options_invalid", `workflow ${JSON.stringify(workflow)}: ${field} ${problem}`, { cause });
}

/** A cache of the last result for each rule: schedules are listed more often than they fire. */
const upcoming = new WeakMap<Rule, { readonly afterAt: number; readonly slots: readonly number[] }>();

/** The next `count` firings strictly after `at`, soonest first. */
export function nextSlots(rule: Rule, at: number, count: number): readonly number[] {
  const known = upcoming.get(rule);
  if (known !== undefined && known.afterAt <= at && (known.slots[0] ?? at) > at && known.slots.length >= count) {
    return known.slots.slice(0, count);
  }
  const slots: number[] = [];
  for (let slot = cronOf(rule).next(at); slot !== null && slots.length < count; slot = cronOf(rule).next(slot)) {
    slots.push(slot);
  }
  upcoming.set(rule, { afterAt: at, slots });
  return slots;
}

/**
 * The id of the one run of a firing: `nightly:20260101T000000Z`. In a schedule id, characters that a run id cannot have are
 * replaced, and a hash is added, which keeps it unique.
 */
export function firingRunId(scheduleId: string, slotAt: number): string {
  const time = new Date(slotAt)
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replaceAll(/[-:]/g, "");
  return runIdOf(scheduleId, time);
}

/** The author of a firing's run. */
export function firingAuthor(scheduleId: string): string {
  return `schedule:${scheduleId}`;
}

/**
 * Whether a run of the schedule was started by a backfill, under the id of its firing: it does not count for the overlap
 * rule.
 */
export function isOfBackfill(run: { readonly id: string; readonly by: string }, { id, at }: ScheduleFiring): boolean {
  return run.id === firingRunId(id, at) && run.by !== firingAuthor(id);
}

/** The id of a run that was started by hand: `nightly:trigger.` and the token, at most 26 letters and digits. */
export function triggerRunId(scheduleId: string, token: string): string {
  return runIdOf(scheduleId, `trigger.${token}`);
}

/** What the ids of its firings' runs begin with, and of those started by hand. */
export function runIdPrefix(scheduleId: string): string {
  const first = firingRunId(scheduleId, 0);
  return first.slice(0, first.lastIndexOf(":") + 1);
}

function runIdOf(scheduleId: string, end: string): string {
  const plain = `${scheduleId}:${end}`;
  if (isRunId(plain)) return plain;
  const cleaned = scheduleId
    .replaceAll(/[^A-Za-z0-9._-]+/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "")
    .slice(0, 80);
  const hash = createRandom(scheduleId).digits().slice(-12);
  return `${cleaned === "" ? "schedule" : cleaned}.${hash}:${end}`;
}

/** When the run of a firing begins: up to `jitterMs` after its nominal time, always the same. */
export function firingStartAt(rule: Rule, slotAt: number): number {
  if (rule.jitterMs === 0) return slotAt;
  return slotAt + Math.floor(createRandom(`${rule.id} ${slotAt}`).next() * (rule.jitterMs + 1));
}
