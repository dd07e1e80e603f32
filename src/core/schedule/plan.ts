/** Schedules made by a request: from what was asked to a rule, and when two requests ask for the same. */
import { HoldfastError } from "../error.ts";
import { checkSegment } from "../name.ts";
import { createRandom } from "../random.ts";
import { defined } from "../record.ts";
import { settleTiming, timingFields, timingProblem } from "./schedule.ts";
import type { Timing } from "./schedule.ts";
import type { Rule, ScheduleFields, ScheduleRequest } from "../service/schedules.ts";
import { isSame, undefinedValue } from "../value/value.ts";
import type { Stored } from "../value/value.ts";

/** A rule as it is stored, and whether it was made paused: a repetition of its request must say the same. */
export type Plan = { readonly rule: Rule; readonly madePaused: boolean };

/** In stored form. It travels with every list of schedules, and with every start. */
const maxInputLength = 65_536;

/** @throws HoldfastError schedule_invalid, which names the field; name_invalid, value_too_large */
export function makePlan(request: ScheduleRequest): Plan {
  const id = checkSegment(request.id, "schedule");
  const rule = { ...settle(request), id, workflow: request.workflow, input: checkSize(request.input) };
  return { rule: { ...rule, source: "api" }, madePaused: request.paused ?? false };
}

/**
 * The rule with what the request changes; the same object when that is nothing.
 * @throws HoldfastError schedule_invalid, which names the field; value_too_large
 */
export function changeRule(rule: Rule, change: ScheduleFields): Rule {
  const { cron, timezone, overlap, catchUpMs, jitterMs, pauseOnFailure } = rule;
  const before = { cron, timezone, overlap, catchUp: catchUpMs, jitter: jitterMs, pauseOnFailure };
  const next = {
    ...rule,
    ...settle({ ...before, ...defined(change) }),
    workflow: change.workflow ?? rule.workflow,
    input: checkSize(change.input) ?? rule.input,
  };
  return isSameRule(rule, next) ? rule : next;
}

/** Whether the request says something of the schedule that only its code may say. */
export function changesMoreThanPause(change: ScheduleFields): boolean {
  return ([...timingFields, "workflow", "input"] as const).some((field) => change[field] !== undefined);
}

export function isSamePlan(one: Plan, other: Plan): boolean {
  return one.madePaused === other.madePaused && isSameRule(one.rule, other.rule);
}

function isSameRule(one: Rule, other: Rule): boolean {
  return textOf(one) === textOf(other) && isSame(one.input ?? undefinedValue, other.input ?? undefinedValue);
}

function textOf({ id, workflow, cron, timezone, overlap, catchUpMs, jitterMs, pauseOnFailure }: Rule): string {
  return JSON.stringify([id, workflow, cron, timezone, overlap, catchUpMs, jitterMs, pauseOnFailure]);
}

/** What tells the bodies of two requests apart that came with one Idempotency-Key. */
export function digestOf(what: readonly unknown[]): string {
  return createRandom(JSON.stringify(what)).uuid();
}

function settle(timing: Timing) {
  const problem = timingProblem(timing);
  if (problem === null) return settleTiming(timing);
  const issues = [{ path: `/${problem.field}`, message: problem.text }];
  throw new HoldfastError("schedule_invalid", `${problem.field} ${problem.text}`, { issues, cause: problem.cause });
}

function checkSize(input: Stored | undefined): Stored | undefined {
  if (input === undefined || input.length <= maxInputLength) return input;
  const issues = [{ path: "/input", message: `is over ${maxInputLength} characters in stored form` }];
  throw new HoldfastError(
    "value_too_large",
    `the input of a schedule has at most ${maxInputLength} characters in stored form, not ${input.length}`,
    { issues },
  );
}
