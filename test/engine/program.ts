/** Random workflows, made as data from a seed, and the handler that interprets them. */
import { NonRetryableError, RetryAfterError } from "../../src/core/error.ts";
import { createRandom } from "../../src/core/random.ts";
import type { Schema } from "../../src/core/definition/schema.ts";
import type { AttemptContext, Step } from "../../src/core/definition/step.ts";
import type { Caught } from "./caught.ts";
import { joined } from "../model/player.ts";
import { makeChild, tell } from "./childprogram.ts";
import type { ChildProgram, ChildNode, TellNode } from "./childprogram.ts";
import { receive } from "./receiver.ts";
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

const hourMs = 3_600_000;
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

type MapNode = Extract<Wide, { t: "map" }>;

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

type Verdict = { readonly value: unknown } | { readonly issues: readonly { readonly message: string }[] };

/** What a life did: in which order, and after which outcome. */
export type Life = {
  /** Which side of a change each handler took that asked, in which life of the run. */
  readonly patched: { readonly round: number; readonly answer: boolean }[];
  /** Of each handler that began in it, after how many retries of the failed run, and in which of its lives. */
  readonly handlers: { readonly episode: number; readonly round: number }[];
  readonly trace: { readonly text: string; readonly outcome: number; readonly handler: number }[];
  readonly effects: {
    readonly path: string;
    readonly key: string;
    readonly attempt: number;
    readonly outcome: number;
    /** After how many retries of the failed run. */
    readonly episode: number;
    /** What tells the attempt to stop; null where somebody else makes it. */
    readonly signal: AbortSignal | null;
  }[];
};

export function newLife(): Life {
  return { handlers: [], patched: [], trace: [], effects: [] };
}

export type Surroundings = {
  /** Resolves once virtual time has passed. */
  readonly after: (ms: number) => Promise<void>;
  readonly turn: () => Promise<void>;
  /** How long a schema takes this time, virtual ms. */
  readonly lag: () => number;
  /** The `seq` of the newest outcome on record. */
  readonly outcome: () => number;
  /** How often the run has failed and was retried, by the record. What fails, fails ever less. */
  readonly episode: () => number;
  /** How often the run has gone on as new, by the record. */
  readonly round: () => number;
};

/** What a life of the run goes on with; a child brings along what it does. */
export type Carried = { readonly round: number; readonly sum: number; readonly born?: ChildProgram };

type Handler = (input: Carried | undefined, step: Step) => Promise<unknown>;

export function interpret(program: Program, life: Life, around: Surroundings): Handler {
  return async (input = { round: 0, sum: 0 }, step) => {
    const player = new Player(step, life, around, program, input);
    step.query("trace", () => player.trace);
    const { round, born = program } = input;
    const body = [born.body, ...born.next][round] ?? { t: "throw" };
    if (program.next.length === 0 && !program.asks) await player.play(body, "");
    else await player.live(body, `life ${round} ${step.info.continued} `);
    return life.trace.length;
  };
}

class Player {
  readonly step: Step;
  readonly life: Life;
  readonly around: Surroundings;
  readonly handler: number;
  readonly program: Program;
  readonly input: Carried;
  sum: number;

  constructor(step: Step, life: Life, around: Surroundings, program: Program, input: Carried) {
    this.step = step;
    this.life = life;
    this.around = around;
    this.program = program;
    this.input = input;
    this.sum = input.sum;
    this.handler = life.handlers.push({ episode: around.episode(), round: around.round() }) - 1;
  }

  /** One of several lives of the run. */
  async live(body: Node, path: string): Promise<void> {
    const add = (argument: number): number => {
      this.note(path, `${this.sum} and ${argument}`);
      return (this.sum += argument);
    };
    this.note(path, this.sum);
    if (this.program.asks) {
      this.step.update("add", null, add as never);
      this.step.update("weigh", this.weighing(), add as never);
      this.step.onSignal("heard", (payload) => this.note(path, `heard ${String(payload)}`));
    }
    this.life.patched.push({ round: this.input.round, answer: this.step.patched("change") });
    await this.play(body, path);
  }

  /** Takes its time, another in every life. */
  weighing(): Schema {
    const validate = async (argument: unknown): Promise<Verdict> => {
      await this.around.after(this.around.lag());
      return Number(argument) % 4 === 0 ? { issues: [{ message: "too much" }] } : { value: argument };
    };
    return { "~standard": { version: 1, vendor: "test", validate } };
  }

  /** @returns at once where it does not wait, or has no other life */
  async renew({ waits }: Extract<Wide, { t: "renew" }>): Promise<unknown> {
    const { round, born = this.program } = this.input;
    if (round >= born.next.length) return "the last life";
    const renewed = this.step.continueAsNew({ ...this.input, round: round + 1, sum: this.sum });
    if (waits) return await renewed;
    renewed.catch(() => {});
    return "to go on as new";
  }

  get trace(): string[] {
    return this.life.trace.filter(({ handler }) => handler === this.handler).map(({ text }) => text);
  }

  note(path: string, text: unknown): void {
    this.life.trace.push({ text: `${path} ${String(text)}`, outcome: this.around.outcome(), handler: this.handler });
  }

  async play(node: Node, path: string): Promise<void> {
    const { step } = this;
    switch (node.t) {
      case "run":
        return await this.attempt(node, path);
      case "sleep":
        return this.note(path, await (node.name === null ? step.sleep(node.ms) : step.sleep(node.name, node.ms)));
      case "wait":
        return this.note(
          path,
          await step.waitFor(node.name, node.timeoutMs === null ? {} : { timeout: node.timeoutMs }),
        );
      case "seq":
        for (const [i, inner] of node.nodes.entries()) await this.play(inner, `${path}.${i}`);
        return;
      case "loop":
        for (let i = 0; i < node.count; i++) await this.play(node.body, `${path}@${i}`);
        return;
      case "par":
        await joined(
          node.mode,
          node.nodes.map((inner, i) => this.play(inner, `${path}|${i}`)),
        );
        return this.note(path, node.mode);
      case "try":
        return await this.guard(node, path);
      case "patch":
        return await (step.patched(node.id) ? this.play(node.is, `${path}p`) : this.play(node.was, path));
      case "map":
      case "contest":
      case "until":
      case "hook":
      case "fetch":
      case "judged":
      case "own":
      case "renew":
      case "kin":
      case "tell":
      case "address":
      case "listener":
        return await this.watch(path, this.wide(node, path));
      default:
        return this.aside(node.t, path);
    }
  }

  async watch(path: string, work: Promise<unknown>): Promise<void> {
    try {
      this.note(path, JSON.stringify((await work) ?? null));
    } catch (error) {
      const { message, code, errors = [] } = error as Caught;
      this.note(path, `${message} ${String(code)} ${errors.map(({ index }) => index).join(" ")}`);
      throw error;
    }
  }

  async wide(node: Wide, path: string): Promise<unknown> {
    const { step } = this;
    switch (node.t) {
      case "map":
        return await this.map(node, path);
      case "contest": {
        const branches = node.nodes.map((inner, i) => [`k${i}`, () => this.play(inner, `${path}^${i}`)] as const);
        return (await step.race(Object.fromEntries(branches))).key;
      }
      case "until":
        return await step.sleepUntil(new Date(step.now() + node.ms));
      case "hook": {
        const options = node.timeoutMs === null ? {} : { timeout: node.timeoutMs };
        const hook = await step.webhook(node.name, options);
        this.note(path, hook.url);
        return (await hook.received())?.body;
      }
      case "fetch":
        return await this.fetch(node, path);
      case "judged": {
        const validate = async (payload: unknown): Promise<Verdict> => {
          await this.around.after(this.around.lag());
          if (node.refuses && /[13579]$/.test(String(payload)))
            return { issues: [{ message: `not ${String(payload)}` }] };
          return { value: `${String(payload)} judged` };
        };
        const schema = { "~standard": { version: 1, vendor: "test", validate } } as const;
        return await step.waitFor(node.name, {
          schema,
          ...(node.timeoutMs === null ? {} : { timeout: node.timeoutMs }),
        });
      }
      case "own": {
        const fn = (context: AttemptContext): string => {
          const { attempt } = context;
          this.effect(path, context);
          if (attempt + this.around.episode() > node.fails) return `own ${attempt}`;
          throw node.how === "after" ? new RetryAfterError(`${path} ${attempt}`, 5000) : new TypeError(path);
        };
        const told = (_error: unknown, attempt: number): string | null => (attempt > 2 ? null : `${attempt} s`);
        return await step.run(node.name, fn, { retry: node.how === "after" ? { limit: 2 } : told });
      }
      case "renew":
        return await this.renew(node);
      case "kin":
        return await makeChild(step, node, path);
      case "tell":
        return await tell(step, node, path);
      case "address":
      case "listener":
        return await receive(step, node, path, {
          around: this.around,
          note: (text) => this.note(path, text),
          effect: (own, context) => this.effect(own, context),
        });
      default:
        return node satisfies never;
    }
  }

  async fetch({ name, ms, fails, undo }: Extract<Wide, { t: "fetch" }>, path: string): Promise<unknown> {
    const request = { url: `https://example.com/${ms}/${fails}`, method: "POST", body: { path } };
    const retry = { limit: 2, delay: 700, jitter: 0.5 };
    const options = { retry, timeout: "10 m", ...(undo ? { undo: this.undo(path, 0) } : {}) };
    try {
      return (await this.step.fetch(name, request, options)).body;
    } catch (error) {
      if (ms < hourMs) throw error;
      // Whether its own time ends it, or its courier does in a pause, how long that lasts decides.
      this.note(path, (error as Error).message);
      throw new RangeError(`${path} was not answered`);
    }
  }

  async map({ name, spans: times, bad, fan, undo }: MapNode, path: string): Promise<unknown> {
    const item = async (ms: number, context: AttemptContext & { index: number }) => {
      const { index } = context;
      this.effect(`${path}:${index}`, context);
      await this.around.after(ms);
      if (bad.includes(index) && this.around.episode() <= index % 2) throw new NonRetryableError(`${path}:${index}`);
      return index;
    };
    // An item gives its index.
    const undone = (index: number, context: AttemptContext) => this.undo(`${path}:${index}`, 0)(index, context);
    const options = { ...fan, ...(undo ? { undo: undone } : {}) };
    const results: readonly unknown[] = await this.step.map(name, times, item, options);
    return fan.settled ? (results as readonly PromiseSettledResult<number>[]).map(outcomeOf) : results;
  }

  effect(path: string, { idempotencyKey: key, attempt, signal }: AttemptContext): void {
    const { outcome, episode } = this.around;
    this.life.effects.push({ path, key, attempt, outcome: outcome(), episode: episode(), signal });
  }

  undo(path: string, ms: number): (result: unknown, context: AttemptContext) => Promise<void> {
    return async (_result, context) => {
      this.effect(`${path} undone`, context);
      await this.around.after(ms);
    };
  }

  async attempt(
    { name, fails, limit, lasting, ms, turns, timeoutMs, value, ...how }: Extract<Node, { t: "run" }>,
    path: string,
  ): Promise<void> {
    const { around, step } = this;
    const undo = async (_result: unknown, context: AttemptContext): Promise<void> => {
      this.effect(`${path} undone`, context);
      await around.after(ms);
      if (context.attempt <= fails) throw new Error(`not undone: ${path}`);
    };
    const effect = async (context: AttemptContext): Promise<unknown> => {
      const { attempt } = context;
      this.effect(path, context);
      await around.after(ms);
      for (let i = 0; i < turns; i++) await around.turn();
      if (attempt + around.episode() > fails) return values[value];
      if (lasting) throw new NonRetryableError(`${path} for good`);
      throw new TypeError(`${path} ${attempt}`);
    };
    try {
      const retry = { limit, delay: 700, jitter: 0.5 };
      const result = await step.run(name, effect, {
        retry,
        timeout: timeoutMs,
        atMostOnce: how.once,
        onExhausted: how.exhaust ? "pause" : "fail",
        ...(how.undo ? { undo } : {}),
      });
      this.note(path, typeof result === "object" && result !== null ? Object.prototype.toString.call(result) : result);
    } catch (error) {
      const {
        name: kind,
        message,
        code,
        step: id,
        attempts,
      } = error as Error & Record<"code" | "step" | "attempts", unknown>;
      this.note(path, `${kind} ${message} ${String(code)} ${String(id)} ${String(attempts)}`);
      throw error;
    }
  }

  async guard({ body, rescue, last }: Extract<Node, { t: "try" }>, path: string): Promise<void> {
    try {
      await this.play(body, `${path}t`);
    } catch (error) {
      this.note(path, `caught ${(error as Error).message}`);
      if (rescue === null) throw error;
      await this.play(rescue, `${path}c`);
    } finally {
      if (last !== null) await this.play(last, `${path}f`);
    }
  }

  aside(kind: "peek" | "log" | "progress" | "throw" | "bail" | "fail", path: string): void {
    const { step } = this;
    switch (kind) {
      case "peek":
        return this.note(path, `${step.now()} ${step.random()} ${step.uuid()}`);
      case "log":
        this.note(path, "log");
        return step.log.info(path, { path });
      case "progress":
        this.note(path, "progress");
        return step.progress(path);
      case "throw":
        throw new RangeError(`thrown at ${path}`);
      case "bail":
        return step.bail(`bailed at ${path}`);
      case "fail":
        return step.fail(new SyntaxError(`failed at ${path}`));
      default:
        return kind satisfies never;
    }
  }
}

function outcomeOf(result: PromiseSettledResult<number>): unknown {
  return result.status === "fulfilled" ? result.value : (result.reason as Caught).message;
}

const values: readonly unknown[] = [
  undefined,
  null,
  0,
  "text",
  new Date(0),
  new Map([[1, new Set([2])]]),
  12n,
  Number.NaN,
];
