/** What a run of the chaos does, drawn from its seed alone: the programs of the runs, and the lives of the Worker. */
import { createRandom } from "../../src/core/random.ts";

/** One thing that a program does. Names are told apart within a run. */
export type Op =
  | {
      readonly t: "step";
      readonly name: string;
      readonly ms: number;
      /** How many attempts fail before one succeeds. */
      readonly fails: number;
      readonly undo: boolean;
    }
  | { readonly t: "fetch"; readonly name: string; readonly ms: number }
  | { readonly t: "nap"; readonly name: string; readonly ms: number }
  | { readonly t: "wait" }
  | { readonly t: "hook"; readonly name: string }
  | { readonly t: "all"; readonly name: string; readonly ms: readonly number[] }
  | { readonly t: "race"; readonly name: string; readonly ms: readonly number[] }
  | { readonly t: "map"; readonly name: string; readonly ms: readonly number[]; readonly concurrency: number }
  | { readonly t: "invoke" | "start"; readonly name: string; readonly ops: readonly Op[] }
  | { readonly t: "send"; readonly to: string }
  | { readonly t: "log" };

export type Input = {
  readonly ops: readonly Op[];
  /** Updates that are made of it; it does not end before they have come. */
  readonly updates: number;
  readonly end: "return" | "throw" | "bail" | "park";
  /** How often it goes on as new. */
  readonly rounds: number;
  /** Which limit it shares with others. */
  readonly lane: string;
};

/** What is done to a run from outside, so many ms after it was started. */
export type Act = {
  readonly afterMs: number;
  readonly do:
    | { readonly t: "signal"; readonly number: number; readonly twice: boolean }
    | { readonly t: "update"; readonly number: number }
    | { readonly t: "pause" | "resume" | "cancel" | "read" };
};

export type RunPlan = {
  readonly id: string;
  readonly workflow: "voyage" | "laned" | "pinned";
  readonly input: Input;
  readonly startAfterMs: number;
  readonly acts: readonly Act[];
};

/** One life of the Worker. */
export type LifePlan = {
  /** How long it lasts once it has done something. */
  readonly ms: number;
  /** It is ended whether it has done something or not. */
  readonly brief: boolean;
  /** Which versions of the workflow "pinned" its code has. */
  readonly code: "both" | "one" | "two";
  /** It is a new deployment. */
  readonly fresh: boolean;
  /** By how much its clock jumped while nothing ran. */
  readonly jumpMs: number;
};

/** @returns the run of this number */
export function planRun(seed: string, index: number): RunPlan {
  return new Planner(`${seed}/run/${index}`).run(`r${index}`);
}

/** @returns the life of this number; the first is 0 */
export function planLife(seed: string, index: number): LifePlan {
  return new Planner(`${seed}/life/${index}`).life(index);
}

const lanes = ["north", "east", "south", "west"];

class Planner {
  readonly #next: () => number;
  #names = 0;

  constructor(seed: string) {
    const random = createRandom(seed);
    this.#next = () => random.next();
  }

  life(index: number): LifePlan {
    // Two in a row would hold a death against steps that did nothing.
    const brief = index % 4 === 3 && this.#chance(0.6);
    const ms = brief ? this.#below(200) : 50 + this.#below(600);
    const code = this.#pick(["both", "both", "both", "one", "two"] as const);
    return { ms, brief, code, fresh: this.#chance(0.3), jumpMs: this.#jump() };
  }

  #jump(): number {
    if (!this.#chance(0.12)) return 0;
    return this.#chance(0.5) ? -this.#below(4000) : this.#pick([1500, 20_000, 400_000, 3_700_000]);
  }

  run(id: string): RunPlan {
    const workflow = this.#pick(["voyage", "voyage", "voyage", "voyage", "laned", "pinned"] as const);
    const end = workflow === "voyage" ? this.#pick(ends) : "return";
    const rounds = end === "return" && workflow === "voyage" && this.#chance(0.1) ? 2 : 0;
    const ops = this.#ops(id, workflow === "voyage" && rounds === 0 && end !== "park");
    const updates = workflow === "voyage" && rounds === 0 && this.#chance(0.3) ? 1 + this.#below(3) : 0;
    const input = { ops, updates, end, rounds, lane: workflow === "laned" ? this.#pick(lanes) : "" };
    return { id, workflow, input, startAfterMs: this.#below(700), acts: this.#acts(input, workflow) };
  }

  /** @param all whatever needs somebody outside as well */
  #ops(id: string, all: boolean): Op[] {
    const count = 2 + this.#below(5);
    const ops = Array.from({ length: count }, () => this.#op(2, all));
    // A signal to itself comes out of one of its steps: it must not come twice, whatever dies.
    if (all && this.#chance(0.2)) return [...ops, { t: "send", to: id }];
    return ops;
  }

  #op(depth: number, all: boolean): Op {
    const name = `s${this.#names++}`;
    const kind = this.#below(all ? 100 : 62);
    if (kind < 28) return this.#step(name);
    if (kind < 34) return { t: "fetch", name, ms: this.#below(250) };
    if (kind < 42) return { t: "nap", name, ms: 20 + this.#below(1500) };
    if (kind < 50) return { t: "all", name, ms: this.#times(2 + this.#below(4)) };
    if (kind < 56) return { t: "race", name, ms: this.#times(2) };
    if (kind < 59) return { t: "map", name, ms: this.#times(3 + this.#below(6)), concurrency: 1 + this.#below(4) };
    if (kind < 62) return { t: "log" };
    if (kind < 78) return { t: "wait" };
    if (kind < 86) return { t: "hook", name };
    if (depth === 0) return this.#step(name);
    const ops = Array.from({ length: 1 + this.#below(3) }, () => this.#op(depth - 1, false));
    return { t: this.#pick(["invoke", "invoke", "start"] as const), name, ops };
  }

  #step(name: string): Op {
    const fails = this.#chance(0.2) ? 1 + this.#below(2) : 0;
    return { t: "step", name, ms: this.#below(250), fails, undo: this.#chance(0.4) };
  }

  #acts({ ops, updates, end }: Input, workflow: RunPlan["workflow"]): Act[] {
    const acts: Act[] = [];
    const add = (afterMs: number, act: Act["do"]): void => void acts.push({ afterMs, do: act });
    const waits = ops.filter(({ t }) => t === "wait").length;
    for (let number = 1; number <= waits; number++)
      add(this.#below(700), { t: "signal", number, twice: this.#chance(0.2) });
    for (let number = 1; number <= updates; number++) add(this.#below(800), { t: "update", number });
    if (workflow !== "pinned" && this.#chance(0.15)) {
      add(this.#below(1500), { t: "pause" });
      add(this.#below(1500), { t: "resume" });
    }
    if (end === "park") add(500 + this.#below(2500), { t: "cancel" });
    if (this.#chance(0.3)) add(this.#below(1000), { t: "read" });
    return acts;
  }

  #times(count: number): number[] {
    return Array.from({ length: count }, () => this.#below(200));
  }

  #below(limit: number): number {
    return Math.floor(this.#next() * limit);
  }

  #chance(share: number): boolean {
    return this.#next() < share;
  }

  #pick<Item>(items: readonly Item[]): Item {
    return items[this.#below(items.length)] as Item;
  }
}

const ends = ["return", "return", "return", "return", "return", "throw", "bail", "park"] as const;
