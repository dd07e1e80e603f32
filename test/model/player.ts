/**
 * The handler that performs a program through any set of tools, those of the engine or those of the model, and
 * says what it sees.
 */
import type { Input, Node } from "./program.ts";

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

/**
 * What a handler works with: a small part of `step`, the steps described rather than carried out. An `episode` is how
 * often the run has failed and was retried: what fails, fails ever less.
 */
export interface Tools {
  run(name: string, deed: (attempt: number, episode: number) => Deed, how: How): Promise<unknown>;
  sleep(name: string, ms: number): Promise<unknown>;
  waitFor(name: string, timeoutMs: number | null): Promise<unknown>;
  /** Whoever judges a call takes so long. */
  webhook(name: string, timeoutMs: number | null, judgingMs: number): Promise<Hook>;
  listen(name: string, fn: (payload: unknown) => Promise<unknown>): void;
  map(name: string, items: number, deed: (item: number, episode: number) => Deed, how: How & Fan): Promise<unknown>;
  race(branches: Readonly<Record<string, () => Promise<void>>>): Promise<{ readonly key: string }>;
  invoke(input: Input): Promise<unknown>;
  /** Rejects where the run is cancelled; else it never settles. */
  renew(input: Input): Promise<never>;
  update(name: string, fn: (argument: unknown) => unknown): void;
  log(line: string): void;
  /** Does not return. */
  bail(reason: string): Promise<never>;
  /** Does not return. */
  fail(error: Error): Promise<never>;
}

/** `received` answers the body of its call. */
export type Hook = { readonly received: () => Promise<unknown> };

/** Units an attempt may take where it has no timeout. */
const long = 100_000;

/** The handler: does what the input says, and returns what it saw, in order. */
export async function perform(tools: Tools, input: Input): Promise<unknown> {
  const notes: string[] = [];
  const note = (path: string, what: string): void => {
    notes.push(`${path} ${what}`);
    tools.log(`${path} ${what}`);
  };
  let { sum } = input;
  if (input.asks)
    tools.update("add", (argument) => {
      if (typeof argument !== "number" || argument < 10) throw new RangeError(`not added: ${String(argument)}`);
      note("add", String(argument));
      return (sum += argument);
    });
  const life = input.round === 0 ? "" : `life ${input.round}`;
  await new Player(tools, input, note, () => sum).play(input.body, life);
  return { notes, sum };
}

class Player {
  readonly #tools: Tools;
  readonly #input: Input;
  readonly #unitMs: number;
  readonly #note: (path: string, what: string) => void;
  readonly #sum: () => number;

  constructor(tools: Tools, input: Input, note: (path: string, what: string) => void, sum: () => number) {
    this.#tools = tools;
    this.#input = input;
    this.#unitMs = input.unitMs;
    this.#note = note;
    this.#sum = sum;
  }

  async play(node: Node, path: string): Promise<void> {
    const tools = this.#tools;
    const ms = this.#unitMs;
    switch (node.t) {
      case "run":
        return await this.#watch(
          path,
          tools.run(this.#name(node, path), this.#deed(node, path), this.#how(node, path)),
        );
      case "map":
        return await this.#watch(path, this.#map(node, path));
      case "sleep":
        return await this.#watch(path, tools.sleep(this.#name(node, path), node.units * ms));
      case "wait":
        return await this.#watch(path, tools.waitFor(node.name, node.timeout === null ? null : node.timeout * ms));
      case "hook":
        return await this.#watch(path, this.#hook(node, path));
      case "listen":
        this.#listen(node, path);
        // Which of several branches that are over at once comes first, nobody says.
        return void (await tools.sleep(this.#name({ name: "nap" }, path), 0));
      case "child":
        return await this.#watch(path, tools.invoke(this.#childOf(node)));
      case "seq":
        for (const [i, inner] of node.nodes.entries()) await this.play(inner, `${path}.${i}`);
        return;
      case "loop":
        for (let i = 0; i < node.count; i++) await this.play(node.body, `${path}@${i}`);
        return;
      case "join":
        await joined(
          node.mode,
          node.nodes.map((inner, i) => this.play(inner, `${path}|${i}`)),
        );
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
      case "renew":
        return await this.#renew(node, path);
      default:
        return node satisfies never;
    }
  }

  async #hook({ name, timeout, nap, judging }: Extract<Node, { t: "hook" }>, path: string): Promise<unknown> {
    const ms = this.#unitMs;
    const hook = await this.#tools.webhook(name, timeout === null ? null : timeout * ms, judging * ms);
    this.#note(path, "has an address");
    if (nap > 0) await this.#tools.sleep(this.#name({ name: "nap" }, path), nap * ms);
    return await hook.received();
  }

  #listen({ name, body }: Extract<Node, { t: "listen" }>, path: string): void {
    let heard = 0;
    this.#tools.listen(name, async (payload) => {
      const own = `${path}!${++heard}`;
      this.#note(own, `heard ${String(payload)}`);
      await this.play(body, own);
    });
  }

  #childOf({ body }: Extract<Node, { t: "child" }>): Input {
    // One that can go on as new does so once, to do the same again.
    const next = this.#input.next.length > 0 ? [body] : [];
    return { ...this.#input, body, next, round: 0, sum: 0 };
  }

  async #renew({ waits }: Extract<Node, { t: "renew" }>, path: string): Promise<void> {
    const { next, round } = this.#input;
    const [body, ...later] = next;
    if (body === undefined) return await this.#watch(path, this.#tools.sleep("last", 0));
    const renewed = this.#tools.renew({ ...this.#input, body, next: later, round: round + 1, sum: this.#sum() });
    if (waits) return await this.#watch(path, renewed);
    renewed.catch(() => {});
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

  /** Where no two calls share a name but items of a map: that of the node, and where it is. */
  #name({ name }: { readonly name: string }, path: string): string {
    return this.#input.apart ? `${name} ${path}` : name;
  }

  #deed(node: Extract<Node, { t: "run" }>, path: string): (attempt: number, episode: number) => Deed {
    const { fails, lasting, units } = node;
    return (attempt, episode) => {
      const failed = { message: `${path} ${attempt}`, lasting };
      return { path, ms: units * this.#unitMs, end: attempt + episode > fails ? { value: `done ${path}` } : failed };
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

  #map(node: Extract<Node, { t: "map" }>, path: string): Promise<unknown> {
    const { units, bad, fan } = node;
    const deed = (item: number, episode: number): Deed => {
      const failed = { message: `${path}:${item}`, lasting: true };
      const isBad = bad.includes(item) && episode <= item % 2;
      const end = isBad ? failed : { value: `done ${path}:${item}` };
      return { path: `${path}:${item}`, ms: (units[item] ?? 0) * this.#unitMs, end };
    };
    const plain = { limit: 0, backoff: "constant", delayMs: 0, maxDelayMs: 0, once: false, pauses: false } as const;
    return this.#tools.map(this.#name(node, path), units.length, deed, {
      ...plain,
      timeoutMs: long * this.#unitMs,
      undo: null,
      ...fan,
    });
  }
}

/** What the contract says of an error that a handler catches. */
function told(thrown: unknown): string {
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
      return `map_failed ${String(step)} ${(errors as unknown[])
        .filter((each) => each !== undefined)
        .map(told)
        .join(", ")}`;
    case "child_failed":
      return `child_failed ${told(cause)}`;
    case "cancelled":
      return "cancelled";
    default:
      return [code, step, attempts].map(String).join(" ");
  }
}

/** The branches as the handler awaits them. */
export function joined(
  mode: "all" | "allSettled" | "race" | "any",
  branches: readonly Promise<void>[],
): Promise<unknown> {
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
