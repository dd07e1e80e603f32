/** Performs a program of the model with a Worker, in real time and through its API, and observes what comes of it. */
import type { Look, Observation, Request } from "./comparison.ts";
import type { Seen } from "./disagreement.ts";
import type { Happening, Input, Program } from "./program.ts";
import { workflow } from "./workflow.ts";
import type { Effect } from "./workflow.ts";

export type Call = {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly json?: unknown;
  readonly key?: string;
};

/** An answer of the Worker; `again` where it took more than one call to get one. */
export type Reply = { readonly status: number; readonly body: Record<string, unknown>; readonly again: boolean };

/** What stands between a driver and the Worker. */
export type Stage = {
  /** Asks until there is an answer. */
  readonly ask: (call: Call) => Promise<Reply>;
  /** Ends the life of the run's object, or the memory it has; no longer than it takes to do so. */
  readonly disturb: (id: string, how: "death" | "eviction") => Promise<void>;
  readonly effectsOf: (id: string) => readonly Effect[];
};

type RunJson = {
  readonly status: string;
  readonly input: unknown;
  readonly output: unknown;
  readonly error: unknown;
  readonly waitingFor: readonly {
    readonly kind: string;
    readonly name: string;
    readonly until: string | null;
    readonly url?: string;
  }[];
};

/** A run to which nothing has happened for so long waits for somebody. */
const quietMs = 400;
const patienceMs = 180_000;

/** @returns what was to be observed of the run and of its children, itself first; each once it has ended */
export async function drive(program: Program, id: string, stage: Stage): Promise<Observation[]> {
  return await new Driver(program, id, stage).drive();
}

class Driver {
  readonly #program: Program;
  readonly #id: string;
  readonly #stage: Stage;
  readonly #looks: Look[] = [];
  readonly #requests: Request[] = [];
  readonly #fed = new Map<string, number>();

  constructor(program: Program, id: string, stage: Stage) {
    this.#program = program;
    this.#id = id;
    this.#stage = stage;
  }

  async drive(): Promise<Observation[]> {
    const { input, retries } = this.#program;
    const json = { id: this.#id, input };
    const { status, body } = await this.#stage.ask({ method: "POST", path: `/v1/workflows/${workflow}/runs`, json });
    if (status > 201) throw new Error(`the run was not started: ${status} ${JSON.stringify(body)}`);
    for (let [retried, more] = [0, ""]; ; more = ` again ${++retried}`) {
      if (retried > 0) await this.#request("retry", `again ${retried}`, "retry");
      await this.#play(more);
      const observations = await this.#finish(this.#id, true);
      if (retried === retries || observations[0]?.status !== "failed") return observations;
    }
  }

  /** What happens to it, counted from now. */
  async #play(more: string): Promise<void> {
    const { input, history } = this.#program;
    const startedAt = Date.now();
    for (const happening of history) {
      await pause(startedAt + happening.at * input.unitMs - Date.now());
      await this.#happen({ ...happening, key: `${happening.key}${more}` });
    }
  }

  async #happen(happening: Happening): Promise<void> {
    const { what, key } = happening;
    switch (what) {
      case "signal":
        for (let i = 0; i < (happening.again ? 2 : 1); i++)
          await this.#request(what, key, `signals/${happening.name}`, happening.payload);
        return;
      case "update":
        for (let i = 0; i < (happening.again ? 2 : 1); i++)
          await this.#request(what, key, "updates/add", happening.argument);
        return;
      case "retry":
      case "pause":
      case "resume":
      case "cancel":
      case "terminate":
        return await this.#request(what, key, what);
      case "call": {
        const { good, webhook } = happening;
        const address = addressOf(await this.#history(this.#id), webhook);
        for (let i = 0; i < (address !== null && happening.again ? 2 : 1); i++)
          if (address !== null) await this.#request(good ? what : "bad call", key, address, { key, good });
        return;
      }
      case "death":
      case "eviction":
        return await this.#stage.disturb(this.#id, what);
      default:
        return happening satisfies never;
    }
  }

  async #request(what: string, key: string, path: string, json?: unknown): Promise<void> {
    const call = { method: "POST", path: this.#pathOf(this.#id, path), key } as const;
    const { status, body, again } = await this.#stage.ask(json === undefined ? call : { ...call, json });
    const taken = what === "update" ? `result ${JSON.stringify(body["result"])}` : "taken";
    // A try that nobody answered may have been taken; not the first, where it was taken before.
    const isFirst = !this.#requests.some((request) => request.key === key);
    const isKnown = body["duplicate"] === true && !(again && isFirst);
    // An update whose function throws was taken, and what it threw is the answer.
    const isTaken = status < 300 || body["code"] === "update_failed";
    const answer = isTaken ? (isKnown ? "duplicate" : taken) : String(body["code"]);
    this.#requests.push({ what, key, at: Date.now(), answer });
  }

  /** Of something that is done to a run; an address of a webhook is one by itself. */
  #pathOf(id: string, path: string): string {
    return path.startsWith("/") ? path : `/v1/runs/${id}/${path}`;
  }

  /** Sees a run to its end, and then those that it has started. */
  async #finish(id: string, isRoot: boolean): Promise<Observation[]> {
    const giveUpAt = Date.now() + patienceMs;
    for (;;) {
      const { status, input, output, error } = await this.#read(id, "1s");
      if (status === "completed" || status === "failed" || status === "cancelled") {
        const history = await this.#history(id);
        const [looks, requests] = isRoot ? [this.#looks, this.#requests] : [[], []];
        const effects = this.#stage.effectsOf(id);
        const own = { input: input as Input, history, looks, requests, effects, status, output, error };
        const children = history.flatMap((entry) => (entry.kind === "child.started" ? [childOf(entry)] : []));
        const theirs = [];
        for (const child of new Set(children)) theirs.push(...(await this.#finish(child, false)));
        return [own, ...theirs];
      }
      if (Date.now() > giveUpAt) throw new Error(`run ${id} has not ended: ${JSON.stringify(await this.#history(id))}`);
      await this.#feed(id);
    }
  }

  /** Moves a run, or one that it waits for, that only the world can move. */
  async #feed(id: string): Promise<void> {
    const before = (await this.#history(id)).length;
    await pause(quietMs);
    const { status, waitingFor } = await this.#read(id);
    const history = await this.#history(id);
    if (history.length !== before) return;
    const waits = waitingFor.map(({ kind, name }) => `${kind} ${name}`).toSorted();
    if (id === this.#id) this.#looks.push({ seq: before, at: Date.now(), status, waitingFor: waits });
    const child = waitingFor.find(({ kind }) => kind === "run");
    const heard = new Set(history.flatMap(({ kind, name }) => (kind === "listener.added" ? [name] : [])));
    const signals = waitingFor.filter(({ kind, until }) => kind === "signal" && until === null);
    const wait = signals.find(({ name }) => !heard.has(name));
    const hook = waitingFor.find(({ kind, until }) => kind === "webhook" && until === null);
    const fed = (this.#fed.get(id) ?? 0) + 1;
    this.#fed.set(id, fed);
    const isExhausted = history.findLast(({ kind }) => kind === "run.paused")?.["by"] === "engine";
    if (status === "paused") await this.#move(id, isExhausted ? "retry" : "resume", fed);
    else if (wait !== undefined) await this.#move(id, `signals/${wait.name}`, fed, `fed ${fed}`);
    else if (hook?.url !== undefined) await this.#move(id, pathOf(hook.url), fed, { key: `fed ${fed}`, good: true });
    else if (child !== undefined && (await this.#read(child.name)).status !== "completed") await this.#feed(child.name);
    // What it waits for, a function hears.
    else if (child === undefined && signals.length > 0) await this.#move(id, "cancel", fed);
  }

  async #move(id: string, path: string, fed: number, json?: unknown): Promise<void> {
    const call = { method: "POST", path: this.#pathOf(id, path), key: `fed ${fed}` } as const;
    await this.#stage.ask(json === undefined ? call : { ...call, json });
  }

  async #read(id: string, wait = ""): Promise<RunJson> {
    const path = `/v1/runs/${id}${wait === "" ? "" : `?wait=${wait}`}`;
    return (await this.#stage.ask({ method: "GET", path })).body as unknown as RunJson;
  }

  async #history(id: string): Promise<Seen[]> {
    const entries: Seen[] = [];
    for (let after: number | null = 0; after !== null;) {
      const path: string = `/v1/runs/${id}/history?after=${after}&limit=200`;
      const { body }: Reply = await this.#stage.ask({ method: "GET", path });
      const page = body as { entries: Record<string, unknown>[]; next: number | null };
      entries.push(...page.entries.map(seenOf));
      after = page.next;
    }
    return entries;
  }
}

const instants = ["at", "retryAt", "wakeAt", "until"];

/** The history's entry with its instants as epoch ms. */
function seenOf(entry: Record<string, unknown>): Seen {
  const fields = Object.entries(entry).map(([name, value]) => [
    name,
    instants.includes(name) && typeof value === "string" ? Date.parse(value) : value,
  ]);
  return Object.fromEntries(fields) as Seen;
}

/** Where the webhook is called; null where it is not yet. */
function addressOf(history: readonly Seen[], webhook: string): string | null {
  const created = history.findLast(({ kind, call }) => kind === "webhook.created" && call === webhook);
  return created === undefined ? null : pathOf(String(created["url"]));
}

function pathOf(url: string): string {
  return new URL(url).pathname;
}

function childOf(entry: Seen): string {
  return (entry["child"] as { readonly id: string }).id;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}
