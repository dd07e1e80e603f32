/**
 * Random workflows as data, from a seed, and the handler that performs them through any set of tools: those
 * of the engine, or those of the model. Times are counted in units, so that one program can be performed over
 * days of virtual time and within a second of real time.
 */
import { createRandom } from "../../src/core/random.ts";

/** What one attempt of a step does, and how it ends. */
export type Deed = {
  /** Names the attempt's call among all those of the run. */
  readonly path: string;
  readonly ms: number;
  readonly end: { readonly value: string } | { readonly message: string; readonly lasting: boolean };
};

export type How = {
  readonly limit: number;
  readonly delayMs: number;
  readonly backoff: "exponential" | "linear" | "constant";
  readonly maxDelayMs: number;
  readonly timeoutMs: number;
  readonly once: boolean;
  readonly pauses: boolean;
  /** How the step is undone; null where it cannot be. */
  readonly undo: ((attempt: number) => Deed) | null;
};

export type Fan = { readonly width: number; readonly tolerate: number; readonly settled: boolean };

/** What a handler works with: a small part of `step`, the steps described rather than carried out. */
export interface Tools {
  run(name: string, deed: (attempt: number) => Deed, how: How): Promise<unknown>;
  sleep(name: string, ms: number): Promise<unknown>;
  waitFor(name: string, timeoutMs: number | null): Promise<unknown>;
  map(name: string, items: number, deed: (item: number, attempt: number) => Deed, how: How & Fan): Promise<unknown>;
  race(branches: Readonly<Record<string, () => Promise<void>>>): Promise<{ readonly key: string }>;
  invoke(input: Input): Promise<unknown>;
  update(name: string, fn: (argument: unknown) => unknown): void;
  log(line: string): void;
  /** Does not return. */
  bail(reason: string): Promise<never>;
  /** Does not return. */
  fail(error: Error): Promise<never>;
}

export type Node =
  | {
      readonly t: "run";
      readonly name: string;
      readonly units: number;
      /** How many attempts fail before one succeeds. */
      readonly fails: number;
      readonly limit: number;
      readonly lasting: boolean;
      readonly backoff: How["backoff"];
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
      readonly fan: Fan;
    }
  | { readonly t: "sleep"; readonly name: string; readonly units: number }
  | { readonly t: "wait"; readonly name: string; readonly timeout: number | null }
  | { readonly t: "child"; readonly body: Node }
  | { readonly t: "seq"; readonly nodes: readonly Node[] }
  | { readonly t: "join"; readonly mode: "all" | "allSettled" | "race" | "any"; readonly nodes: readonly Node[] }
  | { readonly t: "race"; readonly nodes: readonly Node[] }
  | { readonly t: "try"; readonly body: Node; readonly rescue: Node | null; readonly last: Node | null }
  | { readonly t: "loop"; readonly count: number; readonly body: Node }
  | { readonly t: "throw" | "bail" | "fail" };

/** What a run is started with. */
export type Input = { readonly body: Node; readonly unitMs: number; readonly asks: boolean };

/** Something that comes from outside; `at` counts units from the start. */
export type Happening = { readonly at: number; readonly key: string } & (
  | { readonly what: "signal"; readonly name: string; readonly payload: string; readonly again: boolean }
  | { readonly what: "update"; readonly argument: number; readonly again: boolean }
  | { readonly what: "pause" | "resume" | "cancel" | "terminate" | "retry" }
  /** The process dies: at once, or as the run writes so many commits more. */
  | { readonly what: "death"; readonly commits: number | null }
  | { readonly what: "eviction" }
);

export type Program = { readonly seed: number; readonly input: Input; readonly history: readonly Happening[] };

const long = 100_000;
const names = ["a", "b", "b", "c#2"] as const;
const signals = ["go", "stop"] as const;

/** The program of this seed, with what happens to it. */
export function makeProgram(seed: number, unitMs: number): Program {
  const random = createRandom(`model ${seed}`);
  const maker = new Maker((limit) => Math.floor(random.next() * limit));
  const body: Node = { t: "seq", nodes: maker.nodes(2 + maker.below(4), 3) };
  return { seed, input: { body, unitMs, asks: maker.below(3) === 0 }, history: maker.history() };
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
        return { t: "join", mode: this.pick(["all", "all", "allSettled", "race", "any"]), nodes: this.nodes(2 + this.below(3), depth) };
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
    add(this.below(7), (at, key) => ({ at, key, what: "signal", name: this.pick(signals), payload: `p ${key}`, again: again() }));
    add(this.below(3), (at, key) => ({ at, key, what: "update", argument: this.below(100), again: again() }));
    if (this.below(3) === 0) add(2 + this.below(3), (at, key) => ({ at, key, what: this.pick(["pause", "resume"]) }));
    if (this.below(4) === 0) add(1 + this.below(2), (at, key) => ({ at, key, what: "retry" }));
    if (this.below(5) === 0) add(1, (at, key) => ({ at, key, what: this.pick(["cancel", "cancel", "cancel", "terminate"]) }));
    if (this.below(2) === 0)
      add(1 + this.below(3), (at, key) => ({ at, key, what: "death", commits: this.below(2) === 0 ? null : 1 + this.below(4) }));
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

/** The handler: does what the input says, and returns what it saw, in order. */
export async function perform(tools: Tools, { body, unitMs, asks }: Input): Promise<unknown> {
  const notes: string[] = [];
  const note = (path: string, what: string): void => {
    notes.push(`${path} ${what}`);
    tools.log(`${path} ${what}`);
  };
  let sum = 0;
  if (asks)
    tools.update("add", (argument) => {
      if (typeof argument !== "number" || argument < 10) throw new RangeError(`not added: ${String(argument)}`);
      note("add", String(argument));
      return (sum += argument);
    });
  await new Player(tools, unitMs, asks, note).play(body, "");
  return { notes, sum };
}

class Player {
  readonly #tools: Tools;
  readonly #unitMs: number;
  readonly #asks: boolean;
  readonly #note: (path: string, what: string) => void;

  constructor(tools: Tools, unitMs: number, asks: boolean, note: (path: string, what: string) => void) {
    this.#tools = tools;
    this.#unitMs = unitMs;
    this.#asks = asks;
    this.#note = note;
  }

  async play(node: Node, path: string): Promise<void> {
    const tools = this.#tools;
    const ms = this.#unitMs;
    switch (node.t) {
      case "run":
        return await this.#watch(path, tools.run(node.name, this.#deed(node, path), this.#how(node, path)));
      case "map":
        return await this.#watch(path, this.#map(node, path));
      case "sleep":
        return await this.#watch(path, tools.sleep(node.name, node.units * ms));
      case "wait":
        return await this.#watch(path, tools.waitFor(node.name, node.timeout === null ? null : node.timeout * ms));
      case "child":
        return await this.#watch(path, tools.invoke({ body: node.body, unitMs: ms, asks: this.#asks }));
      case "seq":
        for (const [i, inner] of node.nodes.entries()) await this.play(inner, `${path}.${i}`);
        return;
      case "loop":
        for (let i = 0; i < node.count; i++) await this.play(node.body, `${path}@${i}`);
        return;
      case "join":
        await joined(node.mode, node.nodes.map((inner, i) => this.play(inner, `${path}|${i}`)));
        return this.#note(path, node.mode);
      case "race": {
        const branches = node.nodes.map((inner, i) => [`k${i}`, () => this.play(inner, `${path}^${i}`)] as const);
        return await this.#watch(path, tools.race(Object.fromEntries(branches)));
      }
      case "try":
        return await this.#guard(node, path);
      case "throw":
        throw new RangeError(`thrown at ${path}`);
      case "bail":
        return await tools.bail(`bailed at ${path}`);
      case "fail":
        return await tools.fail(new SyntaxError(`failed at ${path}`));
      default:
        return node satisfies never;
    }
  }

  async #watch(path: string, work: Promise<unknown>): Promise<void> {
    try {
      this.#note(path, JSON.stringify((await work) ?? null));
    } catch (error) {
      this.#note(path, told(error));
      throw error;
    }
  }

  async #guard({ body, rescue, last }: Extract<Node, { t: "try" }>, path: string): Promise<void> {
    try {
      await this.play(body, `${path}t`);
    } catch (error) {
      this.#note(path, `caught ${told(error)}`);
      if (rescue === null) throw error;
      await this.play(rescue, `${path}c`);
    } finally {
      if (last !== null) await this.play(last, `${path}f`);
    }
  }

  #deed(node: Extract<Node, { t: "run" }>, path: string): (attempt: number) => Deed {
    const { fails, lasting, units } = node;
    return (attempt) => {
      const failed = { message: `${path} ${attempt}`, lasting };
      return { path, ms: units * this.#unitMs, end: attempt > fails ? { value: `done ${path}` } : failed };
    };
  }

  #how({ limit, backoff, timeout, undo, once, pauses, units }: Extract<Node, { t: "run" }>, path: string): How {
    const unit = this.#unitMs;
    const undoing = (fails: number) => (attempt: number) => {
      const end = attempt > fails ? { value: "" } : { message: `not undone ${path} ${attempt}`, lasting: false };
      return { path: `${path} undone`, ms: units * unit, end };
    };
    return {
      ...{ limit, backoff, once, delayMs: 20 * unit, maxDelayMs: 70 * unit, timeoutMs: (timeout ?? long) * unit },
      // One that never has time enough would be tried for ever.
      pauses: pauses && timeout === null,
      undo: undo === null ? null : undoing(undo),
    };
  }

  #map({ name, units, bad, fan }: Extract<Node, { t: "map" }>, path: string): Promise<unknown> {
    const deed = (item: number): Deed => {
      const failed = { message: `${path}:${item}`, lasting: true };
      const end = bad.includes(item) ? failed : { value: `done ${path}:${item}` };
      return { path: `${path}:${item}`, ms: (units[item] ?? 0) * this.#unitMs, end };
    };
    const plain = { limit: 0, backoff: "constant", delayMs: 0, maxDelayMs: 0, once: false, pauses: false } as const;
    return this.#tools.map(name, units.length, deed, { ...plain, timeoutMs: long * this.#unitMs, undo: null, ...fan });
  }
}

/** What the contract says of an error that a handler catches. */
export function told(thrown: unknown): string {
  const error = thrown as Error & Record<"code" | "step" | "attempts" | "errors", unknown>;
  const { name, code, step, attempts, cause, errors } = error;
  switch (code) {
    case undefined:
      if (error instanceof AggregateError) return `any ${error.errors.map(told).join(", ")}`;
      return `${name} ${error.message}`;
    case "step_failed":
    case "non_retryable":
      return [name, error.message, code, step, attempts].map(String).join(" ");
    case "map_failed":
      // By index: those of items that did not fail are missing.
      return `map_failed ${String(step)} ${(errors as unknown[]).filter((each) => each !== undefined).map(told).join(", ")}`;
    case "child_failed":
      return `child_failed ${told(cause)}`;
    case "cancelled":
      return "cancelled";
    default:
      return [code, step, attempts].map(String).join(" ");
  }
}

function joined(mode: "all" | "allSettled" | "race" | "any", branches: readonly Promise<void>[]): Promise<unknown> {
  switch (mode) {
    case "all":
      return Promise.all(branches);
    case "allSettled":
      return Promise.allSettled(branches);
    case "race":
      return Promise.race(branches);
    case "any":
      return Promise.any(branches);
    default:
      return mode satisfies never;
  }
}
