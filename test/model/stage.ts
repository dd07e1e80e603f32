/** Performs a program of the model with the real engine, over virtual time and journals in memory. */
import { decode, encode } from "../../src/core/value/value.ts";
import type { Entry } from "../../src/core/history/entry.ts";
import type { Step } from "../../src/core/definition/step.ts";
import type { Stored } from "../../src/core/value/value.ts";
import { receiveHook } from "../../src/engine/wait/hook.ts";
import { receiveUpdate } from "../../src/engine/ask/update.ts";
import { Family } from "../engine/family.ts";
import { startAt } from "../engine/host.ts";
import { define } from "../engine/memory.ts";
import { codeOf } from "../engine/visitor.ts";
import type { Look, Observation, Request } from "./comparison.ts";
import type { Seen } from "./disagreement.ts";
import { episodeOf } from "./episode.ts";
import type { Happening, Input, Program } from "./program.ts";
import { performWith, workflow } from "./workflow.ts";
import type { Effect, World } from "./workflow.ts";

const rootId = "root";
/** Units: more than any one thing of a program takes. */
const longest = 200;

/** @returns what was to be observed of every run, the first that was started first */
export async function stage(program: Program): Promise<Observation[]> {
  const performance = new Performance(program);
  await performance.play();
  return performance.observations();
}

class Performance {
  readonly #family: Family;
  readonly #program: Program;
  readonly #effects: Effect[] = [];
  readonly #looks: Look[] = [];
  readonly #requests: Request[] = [];
  #happenedAt = 0;
  #plannedUntil = 0;

  constructor(program: Program) {
    this.#program = program;
    const handler = (input: Input, step: Step): Promise<unknown> => {
      return performWith(step, input, this.#world(step.info.id), (ms) => this.#family.clock.after(ms));
    };
    this.#family = new Family(define(handler, { name: workflow }));
  }

  async play(): Promise<void> {
    const family = this.#family;
    const { input, retries } = this.#program;
    this.#plan(startAt, "");
    family.begin(workflow, input, rootId);
    for (let [fed, retried] = [0, 0]; ; fed++) {
      await this.#settle();
      const open = family.ids().filter((id) => family.run(id).state.end === null);
      if (open.length === 0 && retried < retries && family.snapshot(rootId).status === "failed") {
        const at = family.clock.at + input.unitMs;
        family.plan(at, () => this.#act(rootId, "retry", `again ${retried}`));
        this.#plan(at, ` again ${++retried}`);
        continue;
      }
      if (open.length === 0) return;
      if (fed > 300) throw new Error(`stranded: ${JSON.stringify(open.map((id) => family.snapshot(id)))}`);
      for (const id of open) this.#feed(id, fed);
    }
  }

  /** What happens to it, counted from then on. */
  #plan(from: number, more: string): void {
    const { input, history } = this.#program;
    for (const happening of history) {
      // Memory goes when nothing else happens.
      const lateMs = happening.what === "eviction" ? input.unitMs / 2 : 0;
      const at = from + happening.at * input.unitMs + lateMs;
      this.#plannedUntil = Math.max(this.#plannedUntil, at);
      this.#family.plan(at, () => this.#happen({ ...happening, key: `${happening.key}${more}` }));
    }
  }

  /** Until nothing is written any more, for longer than anything takes. */
  async #settle(): Promise<void> {
    const family = this.#family;
    const longMs = longest * this.#program.input.unitMs;
    for (let before = -1; before !== this.#entries;) {
      before = this.#entries;
      // A parent that has waited for long asks after its child, for ever: nothing comes of that.
      await family.drive(Math.max(family.clock.at, this.#plannedUntil) + longMs);
    }
  }

  get #entries(): number {
    return this.#family.ids().reduce((sum, id) => sum + this.#family.journal(id).commits.length, 0);
  }

  observations(): Observation[] {
    return this.#family.ids().map((id) => {
      const { status, output, error } = this.#family.snapshot(id);
      const isRoot = id === rootId;
      const history = this.#historyOf(id);
      return {
        ...{ input: history[0]?.["input"] as Input, history },
        looks: isRoot ? this.#looks : [],
        requests: isRoot ? this.#requests : [],
        effects: this.#effects.filter(({ run }) => run === id),
        ...{ status, output: output === null ? null : decode(output), error },
      };
    });
  }

  /** Of all its lives; what came along from the one before is marked. */
  #historyOf(id: string): Seen[] {
    const { writes = [] } = this.#family.archives.get(id) ?? {};
    return writes.flatMap(({ entries, anew }) => {
      return entries.map((entry, i) => ({ ...seenOf(entry), ...(anew && i > 0 ? { carried: true } : {}) }));
    });
  }

  /** The world of one life of a run: nothing comes of what it does once it is over. */
  #world(id: string): World {
    const family = this.#family;
    const own = family.run(id);
    return async (effect) => {
      if (family.run(id) !== own || family.journal(id).closed) return await new Promise(() => {});
      this.#effects.push(effect);
      const episode = episodeOf(family.journal(id).entries);
      await family.clock.after(effect.ms);
      return episode;
    };
  }

  /** Moves a run that only the world can move. */
  #feed(id: string, fed: number): void {
    const { status, waitingFor } = this.#family.snapshot(id);
    this.#look();
    const { listeners, open } = this.#family.run(id).state;
    const waits = waitingFor.filter(({ kind, until }) => kind === "signal" && until === null);
    const wait = waits.find(({ name }) => !listeners.has(name));
    const hook = [...open].find(({ kind, until, url }) => kind === "webhook" && until === null && url !== null);
    this.#family.plan(this.#family.clock.at + this.#program.input.unitMs, () => {
      const run = this.#family.run(id);
      const { calls, ending } = run.state;
      const isExhausted = ending === null && [...calls.values()].some(({ done, exhausted }) => !done && exhausted);
      if (status === "paused" && !isExhausted) return this.#act(id, "resume", `resume ${fed}`);
      if (status === "paused") return this.#act(id, "retry", `retry ${fed}`);
      if (wait !== undefined) return this.#signal(id, wait.name, `fed ${fed}`, `fed ${fed}`);
      if (hook !== undefined) return void this.#call(id, hook.id, { key: `fed ${fed}`, good: true });
      // What it waits for, a function hears.
      return waits.length === 0 ? undefined : this.#act(id, "cancel", `cancel ${fed}`);
    });
  }

  #happen(happening: Happening): void {
    const family = this.#family;
    const { key } = happening;
    // A dead process hears nothing and answers nobody.
    if (happening.what !== "death" && family.journal(rootId).closed) return;
    if (this.#happenedAt < family.clock.at) this.#look();
    this.#happenedAt = family.clock.at;
    switch (happening.what) {
      case "signal":
        for (let i = 0; i < (happening.again ? 2 : 1); i++)
          this.#signal(rootId, happening.name, happening.payload, key);
        return;
      case "update":
        for (let i = 0; i < (happening.again ? 2 : 1); i++) void this.#update(happening.argument, key);
        return;
      case "call":
        for (let i = 0; i < (happening.again ? 2 : 1); i++)
          void this.#call(rootId, happening.webhook, { key, good: happening.good });
        return;
      case "retry":
      case "pause":
      case "resume":
      case "cancel":
      case "terminate":
        return this.#act(rootId, happening.what, key);
      case "death": {
        const ids = family.ids();
        const id = ids[happening.at % ids.length] ?? rootId;
        if (happening.commits === null) family.kill(id);
        else family.deaths.push({ id, commit: family.journal(id).commits.length + happening.commits });
        return;
      }
      case "eviction":
        for (const id of family.ids()) if (family.run(id).execution?.busy !== true) family.evict(id);
        return;
      default:
        return happening satisfies never;
    }
  }

  #act(id: string, kind: "pause" | "resume" | "retry" | "cancel" | "terminate", key: string): void {
    const at = this.#family.clock.at;
    const process = this.#family.journal(id);
    const answer = (said: string): void => {
      // Nothing is answered by a dead process.
      if (id === rootId && !process.closed) this.#requests.push({ what: kind, key, at, answer: said });
    };
    try {
      const done = this.#family.act(id, kind, key);
      if (done instanceof Promise)
        done.then(
          () => answer("taken"),
          (error: unknown) => answer(codeOf(error)),
        );
      else answer("taken");
    } catch (error) {
      answer(codeOf(error));
    }
  }

  #signal(id: string, name: string, payload: string, key: string): void {
    const at = this.#family.clock.at;
    const request = { name, payload: encode(payload, "a payload"), by: "test", key };
    const answer = answered(() => (this.#family.run(id).signal(request).duplicate ? "duplicate" : "taken"));
    this.#family.wake(id);
    if (id === rootId) this.#requests.push({ what: "signal", key, at, answer });
  }

  async #update(argument: number, key: string): Promise<void> {
    const request = { name: "add", argument: encode(argument, "an argument"), by: "test", key };
    const run = this.#family.run(rootId);
    const process = this.#family.journal(rootId);
    const taking = receiveUpdate(run, request, () => true);
    this.#family.wake(rootId);
    const answer = await taking
      .then(({ end }) => end)
      .then(
        (said) => `result ${JSON.stringify("result" in said ? decode(said.result) : said)}`,
        (error: unknown) => codeOf(error),
      );
    // Nothing is answered by a dead process.
    if (!process.closed) this.#requests.push({ what: "update", key, at: this.#family.clock.at, answer });
  }

  async #call(id: string, webhook: string, body: { readonly key: string; readonly good: boolean }): Promise<void> {
    const bytes = new TextEncoder().encode(JSON.stringify(body));
    const request = { method: "POST", headers: { "content-type": "application/json" }, query: {}, body: bytes };
    const process = this.#family.journal(id);
    const taking = receiveHook(this.#family.run(id), webhook, request);
    this.#family.wake(id);
    const answer = await taking.then(({ duplicate }) => (duplicate ? "duplicate" : "taken"), codeOf);
    // Nothing is answered by a dead process.
    if (process.closed || id !== rootId) return;
    this.#requests.push({ what: body.good ? "call" : "bad call", key: body.key, at: this.#family.clock.at, answer });
  }

  #look(): void {
    if (!this.#family.has(rootId) || this.#family.journal(rootId).closed) return;
    const { seq, status, waitingFor } = this.#family.snapshot(rootId);
    const waits = waitingFor.map(({ kind, name }) => `${kind} ${name}`).toSorted();
    this.#looks.push({ seq, at: this.#family.clock.at, status, waitingFor: waits });
  }
}

function answered(act: () => string): string {
  try {
    return act();
  } catch (error) {
    return codeOf(error);
  }
}

const values = ["input", "result", "payload", "output", "argument", "request"];

function seenOf(entry: Entry): Seen {
  const fields = Object.entries(entry).map(([name, value]: [string, unknown]) => [
    name,
    values.includes(name) ? decode(value as Stored) : value,
  ]);
  return Object.fromEntries(fields) as Seen;
}
