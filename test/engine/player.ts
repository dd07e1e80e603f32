/** The handler that interprets a random workflow, and what is noted of it. */
import { NonRetryableError, RetryAfterError } from "../../src/core/error.ts";
import type { Schema } from "../../src/core/definition/schema.ts";
import type { AttemptContext } from "../../src/core/definition/options.ts";
import type { Step } from "../../src/core/definition/step.ts";
import type { Caught } from "./caught.ts";
import { joined } from "../model/player.ts";
import { makeChild, tell } from "./childprogram.ts";
import type { ChildProgram } from "./childprogram.ts";
import { hourMs } from "./program.ts";
import type { MapNode, Node, Program, Wide } from "./program.ts";
import { receive } from "./receiver.ts";
import { chainOf, secret, shown, valueOf } from "./values.ts";
import type { Payload } from "./values.ts";

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
    /** It is that of a step that can be undone. */
    readonly undoable: boolean;
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
    return { notes: life.trace.length, beside: valueOf(`${round}`) };
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
      this.step.onSignal("heard", (payload) => this.note(path, `heard ${shown(payload)}`));
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

  async play(given: Node, at: string): Promise<void> {
    const { step } = this;
    const { node, path } = this.side(given, at);
    switch (node.t) {
      case "run":
        return await this.attempt(node, path);
      case "sleep":
        return this.note(path, await (node.name === null ? step.sleep(node.ms) : step.sleep(node.name, node.ms)));
      case "wait":
        return this.note(
          path,
          shown(await step.waitFor(node.name, node.timeoutMs === null ? {} : { timeout: node.timeoutMs })),
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

  /** What is played in its place, no microtask later than by the code before the change. */
  side(node: Node, path: string): { readonly node: Exclude<Node, { t: "patch" }>; readonly path: string } {
    if (node.t !== "patch") return { node, path };
    return this.step.patched(node.id) ? this.side(node.is, `${path}p`) : this.side(node.was, path);
  }

  async watch(path: string, work: Promise<unknown>): Promise<void> {
    try {
      this.note(path, shown(await work));
    } catch (error) {
      const { code, errors = [] } = error as Caught;
      this.note(path, `${chainOf(error)} ${String(code)} ${errors.map(({ index }) => index).join(" ")}`);
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
          const { text, beside } = payload as Payload;
          if (node.refuses && /[13579]$/.test(text)) return { issues: [{ message: `not ${text}` }] };
          return { value: { text: `${text} judged`, beside } };
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
          const options = { cause: valueOf(path) };
          throw node.how === "after"
            ? new RetryAfterError(`${path} ${attempt}`, 5000, options)
            : new TypeError(path, options);
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
    const request = { url: `https://example.com/${ms}/${fails}/${undo ? "undo" : ""}`, method: "POST", body: { path } };
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
      this.effect(`${path}:${index}`, context, undo);
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

  effect(path: string, { idempotencyKey: key, attempt, signal }: AttemptContext, undoable = false): void {
    const { outcome, episode } = this.around;
    this.life.effects.push({ path, key, attempt, outcome: outcome(), episode: episode(), signal, undoable });
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
    const sensitive = value > 5;
    const given = sensitive ? [secret, valueOf(path)] : value === 0 ? undefined : valueOf(path);
    const undo = async (result: unknown, context: AttemptContext): Promise<void> => {
      const isOwn = shown(result) === shown(given);
      this.effect(`${path} undone${isOwn ? "" : ` of ${shown(result)}`}`, context);
      await around.after(ms);
      if (context.attempt <= fails) throw new Error(`not undone: ${path}`);
    };
    const effect = async (context: AttemptContext): Promise<unknown> => {
      const { attempt } = context;
      this.effect(path, context, how.undo);
      await around.after(ms);
      for (let i = 0; i < turns; i++) await around.turn();
      if (attempt + around.episode() > fails) return given;
      const options = value % 2 === 0 ? {} : { cause: valueOf(path) };
      if (lasting) throw new NonRetryableError(`${path} for good`, options);
      throw new TypeError(`${path} ${attempt}`, options);
    };
    try {
      const retry = { limit, delay: 700, jitter: 0.5 };
      const result = await step.run(name, effect, {
        retry,
        timeout: timeoutMs,
        atMostOnce: how.once,
        onExhausted: how.exhaust ? "pause" : "fail",
        sensitive,
        ...(how.undo ? { undo } : {}),
      });
      this.note(path, shown(result));
    } catch (error) {
      const { code, step: id, attempts } = error as Caught;
      this.note(path, `${chainOf(error)} ${String(code)} ${String(id)} ${String(attempts)}`);
      throw error;
    }
  }

  async guard({ body, rescue, last }: Extract<Node, { t: "try" }>, path: string): Promise<void> {
    try {
      await this.play(body, `${path}t`);
    } catch (error) {
      this.note(path, `caught ${chainOf(error)}`);
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
        throw new RangeError(`thrown at ${path}`, { cause: valueOf(path) });
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
