/** Schedules as they stand in the code: what a rule may say, what it is called, what its runs are called. */
import { cronProblem, parseCron, timezoneProblem } from "./cron.ts";
import type { Cron } from "./cron.ts";
import type { Definition, ScheduleRule } from "./definition.ts";
import { toMs } from "./duration.ts";
import { HoldfastError } from "./error.ts";
import { checkName } from "./name.ts";
import { createRandom } from "./random.ts";
import type { Overlap } from "./service.ts";
import { encode } from "./value.ts";
import type { Stored } from "./value.ts";

/** A schedule with everything settled that its rule left open. */
export type Rule = {
  readonly id: string;
  readonly workflow: string;
  readonly cron: string;
  /** IANA name. */
  readonly timezone: string;
  /** Undefined where the rule gives none. */
  readonly input: Stored | undefined;
  readonly overlap: Overlap;
  readonly catchUpMs: number;
  readonly jitterMs: number;
};

const overlaps: readonly Overlap[] = [
  "skip",
  "buffer-one",
  "buffer-all",
  "cancel-other",
  "terminate-other",
  "allow-all",
];

const fields: ReadonlySet<string> = new Set(["cron", "timezone", "input", "overlap", "catchUp", "jitter", "id"]);

const defaultCatchUpMs = 3_600_000;

/**
 * Holds a rule to what docs/schedules.md allows, as early as `defineWorkflow`.
 * @throws HoldfastError options_invalid; the message names the field
 */
export function checkRule(rule: ScheduleRule, workflow: string): void {
  if (typeof rule !== "object" || rule === null)
    throw refused(workflow, "schedule", "is neither a rule nor a cron text");
  const unknown = Object.keys(rule).find((field) => !fields.has(field));
  if (unknown !== undefined) throw refused(workflow, `schedule.${unknown}`, "is not an option of a schedule");
  const cron = cronProblem(rule.cron);
  if (cron !== null) throw refused(workflow, "schedule.cron", `${JSON.stringify(rule.cron)} ${cron}`);
  const timezone = rule.timezone === undefined ? null : timezoneProblem(rule.timezone);
  if (timezone !== null) throw refused(workflow, "schedule.timezone", `${JSON.stringify(rule.timezone)} ${timezone}`);
  if (rule.overlap !== undefined && !overlaps.includes(rule.overlap)) {
    throw refused(workflow, "schedule.overlap", `${JSON.stringify(rule.overlap)} is none of ${overlaps.join(", ")}`);
  }
  orRefuse(workflow, "schedule.catchUp", () => toMs(rule.catchUp ?? 0, "catchUp"));
  orRefuse(workflow, "schedule.jitter", () => toMs(rule.jitter ?? 0, "jitter"));
  if (rule.id !== undefined) orRefuse(workflow, "schedule.id", () => checkName(rule.id, "schedule"));
}

/**
 * Every schedule of these definitions. A workflow given in several versions is scheduled as its last
 * one says, because that is the version new runs begin with.
 * @throws HoldfastError options_invalid: a bad rule, or one id for two schedules
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
      rules.set(id, settle(rule, id, definition.name));
    }
  }
  return [...rules.values()];
}

function settle(rule: ScheduleRule, id: string, workflow: string): Rule {
  return {
    id,
    workflow,
    cron: rule.cron,
    timezone: rule.timezone ?? "UTC",
    input:
      rule.input === undefined
        ? undefined
        : orRefuse(workflow, "schedule.input", () => encode(rule.input, "the input of a schedule")),
    overlap: rule.overlap ?? "skip",
    catchUpMs: rule.catchUp === undefined ? defaultCatchUpMs : toMs(rule.catchUp),
    jitterMs: toMs(rule.jitter ?? 0),
  };
}

function orRefuse<Value>(workflow: string, field: string, read: () => Value): Value {
  try {
    return read();
  } catch (cause) {
    throw refused(workflow, field, `is not valid: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
}

function refused(workflow: string, field: string, problem: string, cause?: unknown): HoldfastError {
  return new HoldfastError("options_invalid", `workflow ${JSON.stringify(workflow)}: ${field} ${problem}`, { cause });
}

/** Parsed once for each rule; a rule never changes. */
const crons = new WeakMap<Rule, Cron>();

export function cronOf(rule: Rule): Cron {
  const known = crons.get(rule);
  if (known !== undefined) return known;
  const cron = parseCron(rule.cron, rule.timezone);
  crons.set(rule, cron);
  return cron;
}

/** The next `count` firings strictly after `at`, soonest first. */
export function nextSlots(rule: Rule, at: number, count: number): number[] {
  const slots: number[] = [];
  for (let slot = cronOf(rule).next(at); slot !== null && slots.length < count; slot = cronOf(rule).next(slot)) {
    slots.push(slot);
  }
  return slots;
}

const runId = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

/**
 * The id of the one run of a firing: `nightly:20260101T000000Z`. A schedule id that no run id can
 * hold is cleaned, and told apart from its like by a hash.
 */
export function firingRunId(scheduleId: string, slotAt: number): string {
  const time = new Date(slotAt)
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replaceAll(/[-:]/g, "");
  const plain = `${scheduleId}:${time}`;
  if (runId.test(plain)) return plain;
  const cleaned = scheduleId
    .replaceAll(/[^A-Za-z0-9._-]+/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "")
    .slice(0, 80);
  const hash = createRandom(scheduleId).uuid().replaceAll("-", "").slice(-12);
  return `${cleaned === "" ? "schedule" : cleaned}.${hash}:${time}`;
}

/** When the run of a firing begins: up to `jitterMs` after its nominal time, always the same. */
export function firingStartAt(rule: Rule, slotAt: number): number {
  if (rule.jitterMs === 0) return slotAt;
  return slotAt + Math.floor(createRandom(`${rule.id} ${slotAt}`).next() * (rule.jitterMs + 1));
}
