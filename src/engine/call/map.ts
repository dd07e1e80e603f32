/**
 * Owns: `step.map`: which item begins when, and what the items come to.
 * Does not own: carrying them out; each is a step, or a child run, like any other (calls).
 * Invariant 1: an item begins in the very turn in which one before it settles, so that replay begins them alike.
 * Invariant 2: work and memory are linear in the items: nothing looks at all of them for each.
 */
import { hide, HoldfastError, messageOf } from "../../core/error.ts";
import { checkName } from "../../core/name.ts";
import type { InvokeOptions, MapContext, RunOptions } from "../../core/definition/options.ts";
import type { Plan, RunPlan } from "./call.ts";
import { childPlan } from "./invocation.ts";
import { fieldsOf, mention, refused } from "../../core/option.ts";

/** What a map is made through. */
export interface Mapper {
  call(name: string, plan: Plan): Promise<unknown>;
  /** Describes the step that an item becomes. @throws HoldfastError options_invalid … */
  runPlan(name: string, fn: unknown, options: RunOptions): RunPlan;
}

type Rules = {
  readonly concurrency: number;
  /** How many items may fail; Infinity where failures are among the results. */
  readonly tolerated: number;
  readonly settled: boolean;
};

const defaultConcurrency = 10;

/** Rejects with map_failed. @throws HoldfastError options_invalid, name_invalid, duration_invalid */
export function map(
  mapper: Mapper,
  name: unknown,
  items: unknown,
  fn: unknown,
  options: unknown = {},
): Promise<unknown> {
  const step = checkName(name, "step");
  const what = `map ${JSON.stringify(step)}`;
  const list = toList(items, what);
  const { concurrency, tolerate, settled, ...rest }: Given = fieldsOf(options, what);
  const rules = toRules({ concurrency, tolerate, settled }, list.length, what);
  const plan = typeof fn === "function" ? stepPlanner(mapper, step, fn, rest) : childPlanner(fn, rest, what);
  const begin = (i: number, item: unknown): Promise<unknown> => mapper.call(step, plan(i, item));
  const mapped = new Promise((resolve, reject) => {
    new Mapping({ step, items: list, rules, begin, resolve, reject }).go();
  });
  // The failures of its items are on record, as a failed step is: it may be awaited later.
  mapped.catch(() => {});
  return mapped;
}

type MapWork = {
  readonly step: string;
  readonly items: readonly unknown[];
  readonly rules: Rules;
  readonly begin: (index: number, item: unknown) => Promise<unknown>;
  readonly resolve: (results: readonly unknown[]) => void;
  readonly reject: (error: unknown) => void;
};

class Mapping {
  readonly #work: MapWork;
  readonly #results: unknown[];
  /** By index, sparse. */
  readonly #errors: object[] = [];
  #failed = 0;
  #begun = 0;
  #inFlight = 0;
  /** The run is cancelled: what is cut short is no failure of an item. */
  #cancelled: unknown = null;

  constructor(work: MapWork) {
    this.#work = work;
    this.#results = Array.from(work.items, () => undefined);
  }

  /** Begins what may begin; settles once nothing is left to wait for. */
  go(): void {
    const { items, rules } = this.#work;
    while (this.#inFlight < rules.concurrency && this.#begun < items.length && !this.#isStopped) this.#begin();
    if (this.#inFlight > 0) return;
    if (this.#cancelled !== null) this.#work.reject(this.#cancelled);
    else if (this.#isStopped) this.#work.reject(this.#failure());
    else this.#work.resolve(this.#results);
  }

  get #isStopped(): boolean {
    return this.#cancelled !== null || this.#failed > this.#work.rules.tolerated;
  }

  #begin(): void {
    const index = this.#begun++;
    const { items, rules } = this.#work;
    this.#inFlight++;
    this.#call(index, items[index]).then(
      (value) => {
        this.#results[index] = rules.settled ? { status: "fulfilled", value } : value;
        this.#ended();
      },
      (error: unknown) => {
        this.#fail(index, error);
        this.#ended();
      },
    );
  }

  /** What cannot be called at all has failed like a call. */
  #call(index: number, item: unknown): Promise<unknown> {
    try {
      return this.#work.begin(index, item);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #ended(): void {
    this.#inFlight--;
    this.go();
  }

  #fail(index: number, thrown: unknown): void {
    const error = typeof thrown === "object" && thrown !== null ? thrown : new Error(String(thrown));
    // Only the engine gives an item this code, and only where the whole run is cancelled.
    if ("code" in error && error.code === "cancelled") this.#cancelled ??= error;
    this.#failed++;
    this.#errors[index] = Object.assign(error, { index });
    if (this.#work.rules.settled) this.#results[index] = { status: "rejected", reason: error };
  }

  #failure(): HoldfastError {
    const { step, items } = this.#work;
    const first = this.#errors.find((each) => each !== undefined);
    const message = messageOf(first);
    const told = `${this.#failed} of ${items.length} items of "${step}" failed; the first: ${message}`;
    const error = Object.assign(new HoldfastError("map_failed", told), { step });
    hide(error, "errors", this.#errors);
    return error;
  }
}

function toList(items: unknown, what: string): readonly unknown[] {
  const isIterable = typeof items === "object" && items !== null && Symbol.iterator in items;
  // A copy: what the handler does to its array later is not the map's to see.
  if (isIterable) return Array.from(items as Iterable<unknown>);
  throw new HoldfastError("options_invalid", `${what} needs an array of items, not ${mention(items)}`);
}

/** The map's own options, not yet checked. */
type OwnOptions = { readonly concurrency?: unknown; readonly tolerate?: unknown; readonly settled?: unknown };

/** Messages about an option that is unknown name these as well. */
export const mapOptions: readonly string[] = ["concurrency", "tolerate", "settled"] satisfies (keyof OwnOptions)[];

/** The rest are those of its steps. */
type Given = RunOptions & InvokeOptions & OwnOptions;

function toRules(
  { concurrency = defaultConcurrency, tolerate, settled }: OwnOptions,
  count: number,
  what: string,
): Rules {
  if (!isCount(concurrency, 1)) throw refused(what, "concurrency", wholeFrom(1));
  if (settled !== undefined && typeof settled !== "boolean") throw refused(what, "settled", "must be true or false");
  const rules = { concurrency, settled: settled === true };
  if (tolerate === undefined) return { ...rules, tolerated: rules.settled ? Infinity : 0 };
  if (isCount(tolerate, 0)) return { ...rules, tolerated: tolerate };
  if (typeof tolerate !== "number" || !(tolerate > 0 && tolerate < 1))
    throw refused(what, "tolerate", `${wholeFrom(0)}, or a share between 0 and 1`);
  // A share is a decimal to whoever wrote it: 0.29 of 100 is 29, whatever binary makes of it.
  return { ...rules, tolerated: Math.floor(tolerate * count + 1e-9) };
}

/** Infinity stands for all of them. */
function isCount(value: unknown, least: number): value is number {
  return typeof value === "number" && value >= least && (Number.isInteger(value) || value === Infinity);
}

function wholeFrom(least: number): string {
  return `must be a whole number, ${least} or more`;
}

type Planner = (index: number, item: unknown) => Plan;

function stepPlanner(mapper: Mapper, name: string, fn: unknown, options: RunOptions): Planner {
  const act = fn as (item: unknown, context: MapContext) => unknown;
  const plan = mapper.runPlan(name, fn, options);
  const undo = plan.undo as ((result: unknown, context: object) => unknown) | null;
  return (index, item) => ({
    ...plan,
    fn: (context) => act(item, Object.assign(context, { index })),
    undo: undo === null ? null : (result, context) => undo(result, Object.assign(context, { item, index })),
  });
}

function childPlanner(workflow: unknown, options: InvokeOptions, what: string): Planner {
  const isWorkflow =
    typeof workflow === "string" || (typeof workflow === "object" && workflow !== null && "name" in workflow);
  if (!isWorkflow)
    throw new HoldfastError("options_invalid", `${what} needs a function, or a workflow, to give the items to`);
  if ("id" in options) throw refused(what, "id", "cannot be the same for every child run");
  // Seen to be right before the first item, and where there is none.
  childPlan(workflow, undefined, options);
  return (_index, item) => childPlan(workflow, item, options);
}
