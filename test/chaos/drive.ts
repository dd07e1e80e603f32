/** What the world does to the runs of the chaos: starts them, signals, asks and stops them, until it is answered. */
import { setTimeout as pause } from "node:timers/promises";
import type { Client, Entry } from "../outside/client.ts";
import type { Ledger } from "../outside/ledger.ts";
import type { Act, Op, RunPlan } from "./plan.ts";

/** What was seen of a run while it went on. */
export type Sight = {
  readonly plan: RunPlan;
  /** What each update was answered, by its number. */
  readonly updates: Map<number, unknown>;
  /** The history as it was shown at some time; empty where nobody looked. */
  seen: readonly Entry[];
  /** Answers that should not have been. */
  readonly wrong: string[];
};

export class Driver {
  readonly #client: Client;
  readonly #ledger: Ledger;

  constructor(client: Client, ledger: Ledger) {
    this.#client = client;
    this.#ledger = ledger;
  }

  /** Resolves once everything that is to be done to the run has been answered. */
  async drive(plan: RunPlan): Promise<Sight> {
    const sight: Sight = { plan, updates: new Map(), seen: [], wrong: [] };
    await pause(plan.startAfterMs);
    const run = await this.#client.start(plan.workflow, plan.id, plan.input);
    if (run.id !== plan.id) sight.wrong.push(`(1) started ${plan.id}, answered ${run.id}`);
    const hooks = plan.input.ops.filter(({ t }) => t === "hook").map((op) => this.#call(sight, (op as Hook).name));
    await Promise.all([this.#actAll(sight), ...hooks]);
    return sight;
  }

  async #actAll(sight: Sight): Promise<void> {
    for (const { afterMs, do: act } of sight.plan.acts) {
      await pause(afterMs);
      await this.#act(sight, act);
    }
  }

  async #act(sight: Sight, act: Act["do"]): Promise<void> {
    const { id } = sight.plan;
    switch (act.t) {
      case "signal": {
        const key = `${id}/${act.number}`;
        const send = () => this.#client.signal(id, "approval", { number: act.number }, key);
        const answers = await Promise.all(act.twice ? [send(), send()] : [send()]);
        if (answers.some(({ accepted }) => !accepted)) sight.wrong.push(`(1) signal ${key} was not accepted`);
        return;
      }
      case "update":
        return await this.#update(sight, act.number);
      case "read":
        sight.seen = await this.#client.history(id);
        return;
      case "pause":
      case "resume":
      case "cancel":
        return await this.#control(id, act.t);
      default:
        return act satisfies never;
    }
  }

  /** The run may have ended, or not have come to where it can be asked. */
  async #update(sight: Sight, number: number): Promise<void> {
    const { id } = sight.plan;
    const path = `/v1/runs/${id}/updates/add`;
    const call = { method: "POST", path, body: { number }, key: `${id}/add/${number}` } as const;
    const { result } = await this.#client.call<{ result: unknown }>(call);
    sight.updates.set(number, result);
  }

  async #control(id: string, action: "pause" | "resume" | "cancel"): Promise<void> {
    const key = `${id}/${action}`;
    try {
      await this.#client.call({ method: "POST", path: `/v1/runs/${id}/${action}`, body: { reason: "chaos" }, key });
    } catch (error) {
      // It ended before, or there is nothing to resume.
      if (!/: 409 .*"code":"(?:run_ended|not_paused)"/.test(String(error))) throw error;
    }
  }

  /** Calls a webhook as soon as its address is known, and once more. */
  async #call(sight: Sight, name: string): Promise<void> {
    const { id } = sight.plan;
    const path = new URL(await this.#address(id, `${name}-url`)).pathname;
    const call = { method: "POST", path, body: { for: name } } as const;
    await this.#client.call(call);
    try {
      const again = await this.#client.call<{ duplicate?: boolean }>(call);
      if (again.duplicate !== true) sight.wrong.push(`(5) webhook ${name} of ${id} was taken twice`);
    } catch (error) {
      if (!String(error).includes(": 410 ")) throw error;
    }
  }

  async #address(id: string, step: string): Promise<string> {
    let askAt = Date.now() + 20_000;
    for (const giveUpAt = Date.now() + 240_000; ; await pause(50)) {
      const [effect] = this.#ledger.of(id, step);
      if (effect?.note !== undefined) return effect.note;
      if (Date.now() > askAt) {
        const { status } = await this.#client.run(id);
        if (status === "failed") throw new Error(`run ${id} failed before it came to step ${step}`);
        askAt = Date.now() + 5000;
      }
      if (Date.now() > giveUpAt) throw new Error(`run ${id} never came to step ${step}`);
    }
  }
}

type Hook = Extract<Op, { t: "hook" }>;
