/** Random workflows, made as data from a seed. */
import { createRandom } from "../../src/core/random.ts";
import type { ChildNode, TellNode } from "./childprogram.ts";
import type { Receiver } from "./receiver.ts";

export type Node =
  | {
      readonly t: "run";
      readonly name: string;
      /** How many attempts fail before one succeeds. */
      readonly fails: number;
      readonly limit: number;
      readonly lasting: boolean;
      /** How long an attempt takes: milliseconds, and turns of the event loop. */
      readonly ms: number;
      readonly turns: number;
      readonly timeoutMs: number;
      /** Another is of another kind; one that is over 5 is not to be shown. */
      readonly value: number;
      readonly undo: boolean;
      /** Without an attempt left it waits for a person, who has it tried again. */
      readonly exhaust: boolean;
      readonly once: boolean;
    }
  | { readonly t: "sleep"; readonly name: string | null; readonly ms: number }
  | { readonly t: "wait"; readonly name: string; readonly timeoutMs: number | null }
  | { readonly t: "seq"; readonly nodes: readonly Node[] }
  | { readonly t: "par"; readonly mode: "all" | "allSettled" | "race" | "any"; readonly nodes: readonly Node[] }
  | { readonly t: "try"; readonly body: Node; readonly rescue: Node | null; readonly last: Node | null }
  | { readonly t: "loop"; readonly count: number; readonly body: Node }
  | { readonly t: "peek" | "log" | "progress" | "throw" | "bail" | "fail" }
  /** A change of the code: which side of it a run takes, `patched` says. */
  | { readonly t: "patch"; readonly id: string; readonly was: Node; readonly is: Node }
  | Wide;

/** How many items are at work at once, how many may fail, and whether the rest is told of those. */
export type Fan = { readonly concurrency: number; readonly tolerate?: number; readonly settled?: true };

/** What wide programs have besides. */
export type Wide =
  | {
      readonly t: "map";
      readonly name: string;
      /** How long each item takes. */
      readonly spans: readonly number[];
      readonly bad: readonly number[];
      readonly fan: Fan;
      readonly undo: boolean;
    }
  | { readonly t: "contest"; readonly nodes: readonly Node[] }
  | { readonly t: "until"; readonly ms: number }
  | { readonly t: "hook"; readonly name: string; readonly timeoutMs: number | null }
  /** `fails` requests are refused before one is answered. */
  | { readonly t: "fetch"; readonly name: string; readonly ms: number; readonly fails: number; readonly undo: boolean }
  /** A wait whose schema takes its time, another in every life, and may refuse what comes. */
  | { readonly t: "judged"; readonly name: string; readonly timeoutMs: number | null; readonly refuses: boolean }
  /** Retried as a function says, or as the error does. */
  | { readonly t: "own"; readonly name: string; readonly how: "function" | "after"; readonly fails: number }
  /** The run goes on as new, if there is another life for it, whether or not the handler waits for that. */
  | { readonly t: "renew"; readonly waits: boolean }
  | ChildNode
  | TellNode
  | Receiver;

export type Program = {
  readonly seed: number;
  /** The deployment whose code it is. */
  readonly deployment: string;
  readonly tame: boolean;
  readonly body: Node;
  readonly signals: readonly PlannedSignal[];
  readonly pauses: readonly Pause[];
  /** When somebody cancels the run, counted from its start. */
  readonly cancelAt: number | null;
  /** How long the run may take; null for ever. */
  readonly timeoutMs: number | null;
  /** When webhooks are called, counted from its start. */
  readonly calls: readonly { readonly at: number; readonly webhook: string }[];
  /** What the lives to come do, once it goes on as new. */
  readonly next: readonly Node[];
  /** It takes updates, and hears signals of its own. */
  readonly asks: boolean;
  /** When it is asked for updates, each with another argument, counted from its start. */
  readonly updates: readonly { readonly at: number; readonly argument: number }[];
  /** What it goes on with is judged by a schema that takes its time. */
  readonly judged: boolean;
  /** Calls that each life may make, in all and of a step by name. */
  readonly steps: number;
  readonly perStep: Readonly<Record<string, number>>;
  readonly jolts: readonly Jolt[];
  /** How often somebody has it tried again once it has failed; what happened to it then happens once more. */
  readonly retries: number;
};

/** From `at` on, counted from the start of the run, for `ms`. */
export type Pause = { readonly at: number; readonly ms: number };

/** So many turns of the event loop behind the write of this number. */
export type Jolt = {
  readonly write: number;
  readonly turns: number;
  readonly what: "pause" | "cancel" | "terminate" | "signal" | "update" | "heard" | "call";
};

/** `at` counts from the start of the run. */
export type PlannedSignal = {
  readonly at: number;
  readonly name: string;
  readonly payload: string;
  readonly key: string;
};

export const hourMs = 3_600_000;
const spans: readonly number[] = [0, 0, 1, 250, 1000, 60_000, hourMs, 26 * hourMs, 9 * 24 * hourMs];
const signalNames: readonly string[] = ["go", "stop"];

/**
 * The program of this seed. A tame one has nothing that a shift in time decides, so it ends the same
 * way however often its process dies; a wild one may use everything.
 */
export function makeProgram(seed: number): Program {
  const random = createRandom(`program ${seed}`);
  return made(seed, new Maker((limit) => Math.floor(random.next() * limit), seed % 2 === 0));
}

/** One that also has what steps are besides functions: items of a map, requests, webhooks, branches of a race. */
export function makeWideProgram(seed: number): Program {
  const random = createRandom(`wide program ${seed}`);
  return made(seed, new WideMaker((limit) => Math.floor(random.next() * limit), seed % 2 === 0));
}

/** A wide one, each of whose waits has a schema that takes its time. */
export function makeJudgedProgram(seed: number): Program {
  const random = createRandom(`judged program ${seed}`);
  return made(seed, new JudgedMaker((limit) => Math.floor(random.next() * limit), seed % 2 === 0));
}

export function made(seed: number, maker: Maker): Program {
  const body: Node = { t: "seq", nodes: maker.nodes(2 + maker.below(4), 3, false) };
  const [signals, pauses, cancelAt] = [maker.signals(), maker.pauses(), maker.cancelAt()];
  const retries = [1, 0, 2, 0][Math.floor(seed / 2) % 4] ?? 0;
  const timeoutMs = maker.tame || seed % 6 !== 1 ? null : 30 * hourMs;
  const own = {
    deployment: "one",
    next: [],
    asks: false,
    updates: maker.updates(),
    judged: false,
    steps: 100_000,
    perStep: {},
    jolts: [],
  };
  return { seed, tame: maker.tame, body, signals, pauses, cancelAt, timeoutMs, calls: maker.calls(), retries, ...own };
}

class Maker {
  readonly below: (limit: number) => number;
  readonly tame: boolean;
  /** How long things take and wait, ms. */
  readonly spans: readonly number[] = spans;

  constructor(below: (limit: number) => number, tame: boolean) {
    this.below = below;
    this.tame = tame;
  }

  nodes(count: number, depth: number, parallel: boolean): Node[] {
    return Array.from({ length: count }, () => this.node(depth, parallel));
  }

  node(depth: number, parallel: boolean): Node {
    const kind = this.below(100);
    if (kind < 34) return this.run();
    if (kind < 44)
      return { t: "sleep", name: this.below(2) === 0 ? null : this.pick(["nap", "a"]), ms: this.pick(this.spans) };
    if (kind < 54) return this.wait();
    if (kind < 59) return { t: "peek" };
    if (kind < 64) return { t: this.pick(["log", "progress"] as const) };
    if (kind < 67 && !(this.tame && parallel)) return { t: this.pick(["throw", "bail", "fail"] as const) };
    return depth === 0 ? this.run() : this.branch(depth - 1, parallel);
  }

  branch(depth: number, parallel: boolean): Node {
    switch (this.below(5)) {
      case 0:
        return { t: "seq", nodes: this.nodes(1 + this.below(3), depth, parallel) };
      case 1:
        return { t: "loop", count: 1 + this.below(3), body: this.node(depth, parallel) };
      case 2: {
        const rescue = this.below(4) === 0 ? null : this.node(depth, parallel);
        return {
          t: "try",
          body: this.node(depth, parallel),
          rescue,
          last: this.below(2) === 0 ? null : this.node(depth, parallel),
        };
      }
      default: {
        const mode = this.pick(
          this.tame ? (["all", "allSettled"] as const) : (["all", "allSettled", "race", "any"] as const),
        );
        return { t: "par", mode, nodes: this.nodes(2 + this.below(3), depth, true) };
      }
    }
  }

  run(): Node {
    const fails = this.below(4) === 0 ? 1 + this.below(3) : 0;
    const ms = this.below(3) === 0 ? this.pick(this.spans) : 0;
    const timeoutMs = this.below(5) === 0 ? this.pick([100, 5000]) : 30 * 24 * hourMs;
    const name = this.pick(["a", "b", "b", "c#2"]);
    const once = !this.tame && this.below(8) === 0;
    return {
      t: "run",
      name: once ? "once" : name,
      once,
      undo: this.below(3) === 0,
      // A time that is never enough would be tried for ever.
      exhaust: this.below(8) === 0 && timeoutMs > 24 * hourMs * 10,
      fails,
      limit: this.below(4),
      lasting: this.below(6) === 0,
      ms,
      turns: this.below(3),
      timeoutMs,
      value: this.below(8),
    };
  }

  wait(): Node {
    return {
      t: "wait",
      name: this.pick(signalNames),
      timeoutMs: this.tame || this.below(2) === 0 ? null : this.pick(this.spans),
    };
  }

  signals(): PlannedSignal[] {
    return Array.from({ length: this.below(7) }, (_unused, i) => {
      const at = this.below(3) === 0 ? 0 : this.pick(this.spans) + this.below(3);
      return { at, name: this.pick(signalNames), payload: `p${i}`, key: `key-${i}` };
    });
  }

  pauses(): Pause[] {
    if (this.tame || this.below(2) === 0) return [];
    return Array.from({ length: 1 + this.below(2) }, () => ({ at: this.pick(this.spans), ms: this.pick(this.spans) }));
  }

  cancelAt(): number | null {
    return this.tame || this.below(4) > 0 ? null : this.pick(this.spans) + this.below(3);
  }

  calls(): Program["calls"] {
    return [];
  }

  updates(): Program["updates"] {
    return [];
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }
}

export type MapNode = Extract<Wide, { t: "map" }>;

export class WideMaker extends Maker {
  /** How long requests take, ms. */
  readonly requestSpans: readonly number[] = [0, 1, 250, 60_000, hourMs];

  override node(depth: number, parallel: boolean): Node {
    return this.below(3) > 0 ? super.node(depth, parallel) : this.wide(depth, parallel);
  }

  wide(depth: number, parallel: boolean): Node {
    switch (this.below(this.tame || depth === 0 ? 6 : 8)) {
      case 0:
      case 1:
        return this.fetch();
      case 2:
        return this.map();
      case 3:
        return { t: "until", ms: this.pick(this.spans) - 60_000 };
      case 4: {
        const timeoutMs = this.tame || this.below(2) === 0 ? null : this.pick(this.spans);
        return { t: "hook", name: this.pick(hookNames), timeoutMs };
      }
      case 5:
        return { t: "own", name: "own", how: this.pick(["function", "after"] as const), fails: this.below(4) };
      default:
        return { t: "contest", nodes: this.nodes(2 + this.below(2), depth - 1, parallel) };
    }
  }

  fetch(): Node {
    const fails = this.below(3) === 0 ? 1 + this.below(3) : 0;
    return { t: "fetch", name: "ask", ms: this.pick(this.requestSpans), fails, undo: this.below(3) === 0 };
  }

  map(): MapNode {
    const times = Array.from({ length: 1 + this.below(4) }, () => this.pick(this.spans));
    // Which items of several that fail are begun at all, time decides.
    const bad = times.flatMap((_ms, item) => (!this.tame && this.below(4) === 0 ? [item] : []));
    const fan = { concurrency: 1 + this.below(3), tolerate: this.below(2) };
    return { t: "map", name: this.pick(["each", "b"]), spans: times, bad, fan, undo: this.below(3) === 0 };
  }

  judged(): Node {
    const timeoutMs = this.tame || this.below(2) === 0 ? null : this.pick(this.spans);
    return { t: "judged", name: this.pick(signalNames), timeoutMs, refuses: !this.tame && this.below(3) === 0 };
  }

  override calls(): Program["calls"] {
    return Array.from({ length: this.below(5) }, () => {
      const nth = 1 + this.below(2);
      const name = this.pick(hookNames);
      return { at: this.pick(this.spans) + this.below(3), webhook: nth === 1 ? name : `${name}#${nth}` };
    });
  }
}

class JudgedMaker extends WideMaker {
  override node(depth: number, parallel: boolean): Node {
    return this.below(4) > 0 ? super.node(depth, parallel) : this.wait();
  }

  override wait(): Node {
    return this.judged();
  }
}

export const hookNames: readonly string[] = ["paid", "signed"];
