/** The flow control of a workflow: checks its options, and derives from them what limits a start with a given input. */
import type { Definition, Flow } from "../definition/definition.ts";
import { toMs } from "../duration.ts";
import { HoldfastError, messageOf } from "../error.ts";
import type { LaneNeed } from "./need.ts";
import { isPlain } from "../option.ts";
import { checkLaneName, laneOf } from "./ticket.ts";
import type { LaneKind } from "./ticket.ts";
import { decode } from "../value/value.ts";
import type { Stored } from "../value/value.ts";

type Option = keyof Flow;
/** Throws, saying what is wrong with a field of the option, or with the option itself. */
type Refuse = (why: string, field?: string) => never;
type Fields = Readonly<Record<string, unknown>>;

const checks: Readonly<Record<Option, (value: unknown, refuse: Refuse) => void>> = {
  lane: checkLane,
  concurrency: checkConcurrency,
  rateLimit: checkRate,
  throttle: checkRate,
  singleton: checkSingleton,
  debounce: checkDebounce,
  priority: checkPriority,
};

export const flowOptions: readonly string[] = Object.keys(checks);

/**
 * The options that were given; others are left out.
 * @throws HoldfastError options_invalid, naming the workflow, the option and its field
 */
export function checkFlow(workflow: string, options: { readonly [Each in Option]?: unknown }): Flow<never> {
  const given: [string, unknown][] = [];
  for (const [option, check] of Object.entries(checks)) {
    const value = options[option as Option];
    if (value === undefined) continue;
    check(value, (why, field) => {
      const what = field === undefined ? option : `${option}.${field}`;
      throw new HoldfastError("options_invalid", `workflow ${workflow}: ${what} ${why}`);
    });
    given.push([option, value]);
  }
  if (given.length > 0) checkLaneNames(workflow);
  return Object.fromEntries(given);
}

/** A legal workflow name may be too long for the names of its lanes. */
function checkLaneNames(workflow: string): void {
  try {
    laneOf("concurrency", workflow);
  } catch (cause) {
    throw new HoldfastError("options_invalid", `workflow ${workflow}: ${messageOf(cause)}`, { cause });
  }
}

function checkLane(value: unknown, refuse: Refuse): void {
  const isName = typeof value === "string";
  const { name, limit } = isName ? { name: value } : fieldsOf(value, ["name", "limit"], refuse);
  try {
    checkLaneName(name);
  } catch (error) {
    refuse(`is refused: ${messageOf(error)}`, isName ? undefined : "name");
  }
  if (!isName) checkLimit(limit, refuse);
}

function checkConcurrency(value: unknown, refuse: Refuse): void {
  if (typeof value !== "object") return checkCount(value, refuse);
  const { limit, key, scope, hold } = fieldsOf(value, ["limit", "key", "scope", "hold"], refuse);
  checkLimit(limit, refuse);
  checkKey(key, refuse);
  if (scope !== undefined && scope !== "run" && scope !== "step") refuse('must be "run" or "step"', "scope");
  if (hold !== undefined && typeof hold !== "boolean") refuse("must be true or false", "hold");
  if (hold === true && scope === "step") refuse("is for runs: a step has its slot for as long as it executes", "hold");
}

function checkRate(value: unknown, refuse: Refuse): void {
  const { limit, period, key } = fieldsOf(value, ["limit", "period", "key"], refuse);
  checkLimit(limit, refuse);
  checkSpan(period, "period", refuse);
  checkKey(key, refuse);
}

function checkSingleton(value: unknown, refuse: Refuse): void {
  const { key, mode } = fieldsOf(value, ["key", "mode"], refuse);
  checkKey(key, refuse);
  if (mode !== "skip" && mode !== "replace" && mode !== "queue") refuse('must be "skip", "replace" or "queue"', "mode");
}

function checkDebounce(value: unknown, refuse: Refuse): void {
  const { period, key, max } = fieldsOf(value, ["period", "key", "max"], refuse);
  checkSpan(period, "period", refuse);
  checkKey(key, refuse);
  if (max !== undefined) checkSpan(max, "max", refuse);
}

function checkPriority(value: unknown, refuse: Refuse): void {
  if (typeof value === "function" || (typeof value === "number" && Number.isFinite(value))) return;
  refuse("must be a finite number or a function of the input");
}

function fieldsOf(value: unknown, known: readonly string[], refuse: Refuse): Fields {
  if (!isPlain(value)) return refuse(`must be an object with ${known.slice(0, 2).join(" and ")}`);
  for (const field of Object.keys(value)) {
    if (!known.includes(field)) refuse(`is unknown; there are ${known.join(", ")}`, field);
  }
  return value;
}

function checkLimit(limit: unknown, refuse: Refuse): void {
  checkCount(limit, (why) => refuse(why, "limit"));
}

function checkCount(limit: unknown, refuse: Refuse): void {
  if (!Number.isSafeInteger(limit) || (limit as number) < 1) refuse("must be a whole number, 1 or more");
}

function checkKey(key: unknown, refuse: Refuse): void {
  if (key !== undefined && typeof key !== "function") refuse("must be a function of the input", "key");
}

function checkSpan(span: unknown, field: string, refuse: Refuse): void {
  let ms = 0;
  try {
    ms = toMs(span, field);
  } catch (error) {
    refuse(`is refused: ${messageOf(error)}`, field);
  }
  if (ms === 0) refuse("must be longer than nothing", field);
}

/**
 * The limits of lanes that workflows share; each of `definitions` is what new runs of its workflow
 * begin with.
 * @throws HoldfastError options_invalid: two workflows give one lane different limits
 */
export function checkSharedLanes(definitions: readonly Definition[]): void {
  const seen = new Map<string, { readonly limit: number; readonly workflow: string }>();
  for (const { name: workflow, flow } of definitions) {
    if (flow.lane === undefined || typeof flow.lane === "string") continue;
    const { name, limit } = flow.lane;
    const before = seen.get(name);
    if (before !== undefined && before.limit !== limit) {
      throw new HoldfastError(
        "options_invalid",
        `the lane ${JSON.stringify(name)} has a limit of ${before.limit} in workflow ${before.workflow} and of ${limit} in ${workflow}`,
      );
    }
    seen.set(name, { limit, workflow });
  }
}

type Limited = Pick<Definition, "name" | "flow">;

/** All limits of a start with this input. @throws HoldfastError input_invalid: a key or a priority cannot be made from it */
export function limitsOf(definition: Limited, input: Stored): { readonly lanes: LaneNeed[]; readonly gates: Gates } {
  const value = Object.keys(definition.flow).length === 0 ? undefined : decode(input);
  return { lanes: needsOf(definition, value), gates: gatesOf(definition, value) };
}

/**
 * The slots that a run with this input needs, in the order in which every run asks for them. A run that holds a slot of a
 * shared lane waits only for lanes of its own workflow, so that no two runs wait for each other. The throttle is last, so
 * that a start which it lets through begins at once.
 * @param input as the handler gets it
 * @throws HoldfastError input_invalid: a key or a priority cannot be made from it
 */
export function needsOf(definition: Limited, input: unknown): LaneNeed[] {
  const { lane, concurrency, throttle, singleton } = definition.flow;
  const needs: Omit<LaneNeed, "priority">[] = [];
  if (singleton?.mode === "queue") {
    const own = laneFor(definition, "singleton", singleton.key, input);
    needs.push({ lane: own, scope: "run", limit: 1, periodMs: null, hold: true });
  }
  if (lane !== undefined) {
    const { name, limit } = typeof lane === "string" ? { name: lane, limit: null } : lane;
    needs.push({ lane: name, scope: "run", limit, periodMs: null, hold: false });
  }
  if (concurrency !== undefined) {
    const {
      limit,
      key,
      scope = "run",
      hold = false,
    } = typeof concurrency === "number" ? { limit: concurrency } : concurrency;
    const own = laneFor(definition, scope === "run" ? "concurrency" : "steps", key, input);
    needs.push({ lane: own, scope, limit, periodMs: null, hold });
  }
  if (throttle !== undefined) {
    const own = laneFor(definition, "throttle", throttle.key, input);
    needs.push({ lane: own, scope: "run", limit: throttle.limit, periodMs: toMs(throttle.period), hold: false });
  }
  if (needs.length === 0) return [];
  const priority = priorityOf(definition, input);
  return needs.map((need) => ({ ...need, priority }));
}

/** The limits that a start has to pass before its run is made; null for those that its workflow does not have. */
export type Gates = {
  readonly rateLimit: { readonly lane: string; readonly limit: number; readonly periodMs: number } | null;
  readonly debounce: { readonly lane: string; readonly periodMs: number; readonly maxMs: number | null } | null;
  /** A singleton of mode "queue" is among the lanes that the run needs. */
  readonly singleton: { readonly lane: string; readonly mode: "skip" | "replace" } | null;
};

/** @param input as the handler gets it @throws HoldfastError input_invalid: a key cannot be made from it */
function gatesOf(definition: Limited, input: unknown): Gates {
  const { rateLimit, debounce, singleton } = definition.flow;
  return {
    rateLimit:
      rateLimit === undefined
        ? null
        : {
            lane: laneFor(definition, "rateLimit", rateLimit.key, input),
            limit: rateLimit.limit,
            periodMs: toMs(rateLimit.period),
          },
    debounce:
      debounce === undefined
        ? null
        : {
            lane: laneFor(definition, "debounce", debounce.key, input),
            periodMs: toMs(debounce.period),
            maxMs: debounce.max === undefined ? null : toMs(debounce.max),
          },
    singleton:
      singleton === undefined || singleton.mode === "queue"
        ? null
        : { lane: laneFor(definition, "singleton", singleton.key, input), mode: singleton.mode },
  };
}

type Key = ((input: never) => string) | undefined;

function laneFor({ name }: Limited, kind: LaneKind, key: Key, input: unknown): string {
  if (key === undefined) return laneOf(kind, name);
  const what = `the key of ${kind === "steps" ? "concurrency" : kind} of ${name}`;
  const made = make(key, input, what);
  if (typeof made !== "string" || made === "")
    throw unfit(what, `it must be text of 1 to 256 characters, not ${show(made)}`);
  try {
    return laneOf(kind, name, made);
  } catch (cause) {
    throw unfit(what, messageOf(cause), cause);
  }
}

function priorityOf({ name, flow: { priority = 0 } }: Limited, input: unknown): number {
  if (typeof priority === "number") return priority;
  const what = `the priority of ${name}`;
  const made = make(priority, input, what);
  if (typeof made === "number" && Number.isFinite(made)) return made;
  throw unfit(what, `it must be a finite number, not ${show(made)}`);
}

/** Without a schema the input may be anything, and the author's function may throw on it. */
function make(how: (input: never) => unknown, input: unknown, what: string): unknown {
  try {
    return how(input as never);
  } catch (cause) {
    throw unfit(what, messageOf(cause), cause);
  }
}

function unfit(what: string, why: string, cause?: unknown): HoldfastError {
  const message = `${what} cannot be made from this input: ${why}`;
  return new HoldfastError("input_invalid", message, cause === undefined ? {} : { cause });
}

/** What was made of the input may be a secret. */
function show(value: unknown): string {
  if (value === "") return "empty text";
  if (value === null || typeof value === "undefined" || typeof value === "number") return String(value);
  return value instanceof Promise ? "a promise" : `a value of type ${typeof value}`;
}
