/**
 * Random workflows as data, from a seed, with what happens to them. Times are counted in units, so that one
 * program can be performed over days of virtual time and within a second of real time.
 */
import { createRandom } from "../../src/core/random.ts";

export type Node =
  | {
      readonly t: "run";
      readonly name: string;
      readonly units: number;
      /** How many attempts fail before one succeeds. */
      readonly fails: number;
      readonly limit: number;
      readonly lasting: boolean;
      readonly backoff: "exponential" | "linear" | "constant";
      /** Units an attempt may take; null for long enough. */
      readonly timeout: number | null;
      /** How many attempts to undo it fail; null where it cannot be undone. */
      readonly undo: number | null;
      readonly once: boolean;
      readonly pauses: boolean;
    }
  | {
      readonly t: "map";
      readonly name: string;
      readonly units: readonly number[];
      readonly bad: readonly number[];
      readonly fan: { readonly width: number; readonly tolerate: number; readonly settled: boolean };
    }
  | { readonly t: "sleep"; readonly name: string; readonly units: number }
  | { readonly t: "wait"; readonly name: string; readonly timeout: number | null }
  /** A webhook, asked for its call so long behind; whoever judges a call takes that long. */
  | {
      readonly t: "hook";
      readonly name: string;
      readonly timeout: number | null;
      readonly nap: number;
      readonly judging: number;
    }
  /** From here on each signal of this name is heard, and this is done about it. */
  | { readonly t: "listen"; readonly name: string; readonly body: Node }
  | { readonly t: "child"; readonly body: Node }
  | { readonly t: "seq"; readonly nodes: readonly Node[] }
  | { readonly t: "join"; readonly mode: "all" | "allSettled" | "race" | "any"; readonly nodes: readonly Node[] }
  | { readonly t: "race"; readonly nodes: readonly Node[] }
  | { readonly t: "try"; readonly body: Node; readonly rescue: Node | null; readonly last: Node | null }
  | { readonly t: "loop"; readonly count: number; readonly body: Node }
  | { readonly t: "throw" | "bail" | "fail" }
  /** The run goes on as new, if there is another life for it, whether or not the handler waits for that. */
  | { readonly t: "renew"; readonly waits: boolean };

/** What a run is started with, or goes on with; `apart`: no two of its calls have one name. */
export type Input = {
  readonly body: Node;
  /** What the lives to come do. */
  readonly next: readonly Node[];
  /** How many went before, and what they have counted. */
  readonly round: number;
  readonly sum: number;
  readonly unitMs: number;
  readonly asks: boolean;
  readonly apart: boolean;
};

/** Something that comes from outside; `at` counts units from the start. */
export type Happening = { readonly at: number; readonly key: string } & (
  | { readonly what: "signal"; readonly name: string; readonly payload: string; readonly again: boolean }
  | { readonly what: "update"; readonly argument: number; readonly again: boolean }
  /** Of a webhook; one that is not `good` is refused. */
  | { readonly what: "call"; readonly webhook: string; readonly good: boolean; readonly again: boolean }
  | { readonly what: "pause" | "resume" | "cancel" | "terminate" | "retry" }
  /** The process dies: at once, or as the run writes so many commits more. */
  | { readonly what: "death"; readonly commits: number | null }
  | { readonly what: "eviction" }
);

export type Program = {
  readonly seed: number;
  readonly input: Input;
  readonly history: readonly Happening[];
  /** How often somebody has it tried again once it has failed; what happened to it then happens once more. */
  readonly retries: number;
};

const names = ["a", "b", "b", "c#2"] as const;
export const signals = ["go", "stop"] as const;

/** The program of this seed, with what happens to it. */
export function makeProgram(seed: number, unitMs: number): Program {
  const random = createRandom(`model ${seed}`);
  const maker = new Maker((limit) => Math.floor(random.next() * limit));
  const body = maker.body();
  return made(seed, unitMs, maker, [body]);
}

/** One that goes on as new, up to three times, wherever it happens to do so. */
export function makeRenewedProgram(seed: number, unitMs: number): Program {
  const random = createRandom(`renewed model ${seed}`);
  const maker = new RenewedMaker((limit) => Math.floor(random.next() * limit));
  return made(seed, unitMs, maker, maker.lives());
}

/** One that is cancelled, in units so short that most steps in flight end before they are given up. */
export function makeCancelledProgram(seed: number, unitMs: number): Program {
  const { history, ...program } = makeProgram(seed, unitMs / 300);
  const at = Math.floor(createRandom(`cancelled model ${seed}`).next() * 200);
  const cancelled = [...history, { at, key: "cancel", what: "cancel" } as const];
  return { ...program, history: cancelled.toSorted((one, other) => one.at - other.at) };
}

export function made(seed: number, unitMs: number, maker: Maker, [body, ...next]: readonly [Node, ...Node[]]): Program {
  const lives = { body, next, round: 0, sum: 0 };
  const input = { ...lives, unitMs, asks: maker.below(3) === 0, apart: seed % 4 === 3 };
  return { seed, input, history: maker.history(), retries: seed % 3 };
}

class Maker {
  readonly below: (limit: number) => number;
  #kin = 0;
  #spare = 0;
  /** Nobody can say in which order the branches of a cancelled run clean up: their steps have names of their own. */
  #tidies = 0;

  constructor(below: (limit: number) => number) {
    this.below = below;
  }

  body(): Node {
    return { t: "seq", nodes: this.nodes(2 + this.below(4), 3) };
  }

  nodes(count: number, depth: number): Node[] {
    return Array.from({ length: count }, () => this.node(depth));
  }

  node(depth: number): Node {
    const kind = this.below(100);
    if (kind < 32) return this.run();
    if (kind < 42) return { t: "sleep", name: this.name(["nap", "a"]), units: this.units() };
    if (kind < 54) return { t: "wait", name: this.pick(signals), timeout: this.below(2) === 0 ? null : this.units() };
    if (kind < 60) return this.map();
    if (kind < 63) return { t: this.pick(["throw", "bail", "fail"] as const) };
    return depth === 0 ? this.run() : this.branch(depth - 1);
  }

  branch(depth: number): Node {
    switch (this.below(7)) {
      case 0:
        return { t: "seq", nodes: this.nodes(1 + this.below(3), depth) };
      case 1:
        return { t: "loop", count: 1 + this.below(3), body: this.node(depth) };
      case 2:
      case 3:
        return this.guard(depth);
      case 4:
        return { t: "race", nodes: this.nodes(2 + this.below(2), depth) };
      case 5:
        return this.#kin === 2 ? this.run() : this.child();
      default:
        return {
          t: "join",
          mode: this.pick(["all", "all", "allSettled", "race", "any"]),
          nodes: this.nodes(2 + this.below(3), depth),
        };
    }
  }

  run(): Node {
    const fails = this.below(4) === 0 ? 1 + this.below(3) : 0;
    const once = this.below(8) === 0;
    return {
      t: "run",
      name: this.name(once ? ["once"] : names),
      units: this.below(3) === 0 ? 0 : this.units(),
      fails,
      limit: this.below(4),
      lasting: this.below(6) === 0,
      backoff: this.pick(["exponential", "linear", "constant"]),
      timeout: this.below(6) === 0 ? 1 + this.units() : null,
      undo: this.below(3) === 0 ? this.below(3) : null,
      once,
      pauses: this.below(8) === 0,
    };
  }

  map(): Node {
    const units = Array.from({ length: 1 + this.below(5) }, () => this.units());
    const bad = units.flatMap((_unit, item) => (this.below(5) === 0 ? [item] : []));
    const fan = { width: 1 + this.below(3), tolerate: this.below(3), settled: this.below(3) === 0 };
    return { t: "map", name: this.name(["each", "b"]), units, bad, fan };
  }

  child(): Node {
    this.#kin++;
    return { t: "child", body: { t: "seq", nodes: this.nodes(1 + this.below(3), 1) } };
  }

  guard(depth: number): Node {
    const body = this.node(depth);
    this.#tidies++;
    const rescue = this.below(4) === 0 ? null : this.node(depth);
    const last = this.below(2) === 0 ? null : this.node(depth);
    this.#tidies--;
    return { t: "try", body, rescue, last };
  }

  history(): Happening[] {
    const history: Happening[] = [];
    const add = (count: number, make: (at: number, key: string) => Happening): void => {
      for (let i = 0; i < count; i++) history.push(make(this.units() * (1 + this.below(3)), `key-${history.length}`));
    };
    const again = (): boolean => this.below(3) === 0;
    add(this.below(7), (at, key) => ({
      at,
      key,
      what: "signal",
      name: this.pick(signals),
      payload: `p ${key}`,
      again: again(),
    }));
    add(this.below(3), (at, key) => ({ at, key, what: "update", argument: this.below(100), again: again() }));
    if (this.below(3) === 0) add(2 + this.below(3), (at, key) => ({ at, key, what: this.pick(["pause", "resume"]) }));
    if (this.below(4) === 0) add(1 + this.below(2), (at, key) => ({ at, key, what: "retry" }));
    if (this.below(5) === 0)
      add(1, (at, key) => ({ at, key, what: this.pick(["cancel", "cancel", "cancel", "terminate"]) }));
    if (this.below(2) === 0)
      add(1 + this.below(3), (at, key) => ({
        at,
        key,
        what: "death",
        commits: this.below(2) === 0 ? null : 1 + this.below(4),
      }));
    add(this.below(3), (at, key) => ({ at, key, what: "eviction" }));
    return history.toSorted((one, other) => one.at - other.at);
  }

  name(among: readonly string[]): string {
    return this.#tidies > 0 ? `tidy ${this.#spare++}` : this.pick(among);
  }

  units(): number {
    return this.below(5) === 0 ? 0 : 1 + this.below(150);
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }
}

export class RenewedMaker extends Maker {
  override node(depth: number): Node {
    return this.below(9) === 0 ? this.renewal() : super.node(depth);
  }

  /** Whatever does not wait for it goes on at once: where several do, the model does not say in which order. */
  renewal(waits = true): Node {
    return { t: "renew", waits };
  }

  lives(): [Node, ...Node[]] {
    const more = Array.from({ length: 1 + this.below(3) }, () => this.renewed());
    return [this.renewed(), ...more];
  }

  /** What begins just before may still be at work, and what comes behind is never come to. */
  renewed(): Node {
    const before = this.nodes(1 + this.below(3), 2);
    const renewal = this.renewal(this.below(3) > 0);
    const beside: Node = {
      t: "join",
      mode: this.pick(["all", "allSettled", "race"]),
      nodes: [this.node(1), this.renewal()],
    };
    return { t: "seq", nodes: [...before, this.pick([renewal, renewal, beside]), ...this.nodes(this.below(2), 1)] };
  }
}
