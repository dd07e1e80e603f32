/**
 * Broadcasts to runs that begin to wait, give up, are cancelled, paused and put out of memory meanwhile, as a seed
 * draws it: what was answered of each is what the histories of the runs tell.
 */
import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import { createRandom } from "../../src/core/random.ts";
import { directoryShard } from "../../src/objects/address.ts";
import { ask, historyOf, newId } from "./client.ts";
import { pause } from "./driver.ts";

type Answered = { readonly delivered: number; readonly buffered: boolean };

const atOnce = 10;

class Storm {
  readonly #random;
  readonly #key = newId("storm");
  readonly #names = [newId("one"), newId("other")];
  readonly #runs: string[] = [];
  /** What was answered of each broadcast, every time it was sent. */
  readonly #answers = new Map<number, Answered[]>();

  constructor(seed: string) {
    this.#random = createRandom(seed);
  }

  async rage(times: number): Promise<void> {
    const underWay = new Set<Promise<void>>();
    for (let time = 0; time < times; time++) {
      const deed = this.#deed().finally(() => underWay.delete(deed));
      underWay.add(deed);
      if (underWay.size >= atOnce) await Promise.race(underWay);
      await pause(this.#random.next() * 10);
    }
    await Promise.all(underWay);
  }

  /** All that is buffered is taken by those who begin to wait now, and everybody comes to an end. */
  async calm(): Promise<void> {
    for (const id of this.#runs) await ask(`POST /v1/runs/${id}/resume`);
    const last = this.#runs.length;
    for (const name of this.#names) {
      for (let run = 0; run < 20; run++) await this.#start("listen-at-once", { name, count: 3, timeout: 3_600_000 });
    }
    const taken = async () => {
      const open = await directoryShard(0).open(0);
      expect(open.filter(({ name }) => this.#names.includes(name))).toEqual([]);
    };
    await vi.waitFor(taken, { timeout: 120_000, interval: 50 });
    for (const id of this.#runs.slice(last)) await ask(`POST /v1/runs/${id}/cancel`);
    for (const id of this.#runs) {
      const { body } = await ask(`GET /v1/runs/${id}?wait=60s`);
      expect(["completed", "cancelled"]).toContain(body["status"]);
    }
  }

  /** Of each broadcast: what was answered, in one form, and which runs have received it. */
  async told(): Promise<Record<number, { readonly answers: readonly Answered[]; readonly runs: readonly string[] }>> {
    const told: Record<number, { answers: readonly Answered[]; runs: string[] }> = {};
    for (const [number, answers] of this.#answers) told[number] = { answers, runs: [] };
    for (const id of this.#runs) {
      for (const { kind, payload } of await historyOf(id)) {
        if (kind === "signal.received") told[(payload as { readonly number: number }).number]?.runs.push(id);
      }
    }
    return told;
  }

  async #deed(): Promise<void> {
    const what = this.#random.next();
    const id = this.#pick(this.#runs);
    if (id === undefined || what < 0.35) return await this.#wait();
    if (what < 0.75) return await this.#send();
    if (what < 0.8) await ask(`POST /v1/runs/${id}/cancel`);
    else if (what < 0.85) await ask(`POST /v1/runs/${id}/pause`);
    else if (what < 0.9) await ask(`POST /v1/runs/${id}/resume`);
    else if (what < 0.96) await evictDurableObject(env.RUNS.getByName(id)).catch(() => {});
    else await evictDurableObject(env.DIRECTORY.getByName(`shard-${this.#below(4)}`)).catch(() => {});
  }

  async #wait(): Promise<void> {
    const name = this.#pick(this.#names);
    const workflow = this.#below(3) === 0 ? "listen-at-once" : "listen-in-turn";
    await this.#start(workflow, { name, count: 1 + this.#below(3), timeout: this.#pick([60, 400, 3000]) });
  }

  async #start(workflow: string, input: object): Promise<void> {
    const id = newId("listener");
    this.#runs.push(id);
    expect((await ask(`POST /v1/workflows/${workflow}/runs`, { json: { id, input } })).status).toBe(201);
  }

  /** Now and then twice side by side. */
  async #send(): Promise<void> {
    const number = this.#answers.size;
    this.#answers.set(number, []);
    const call = `POST /v1/signals/${String(this.#pick(this.#names))}`;
    const headers = { "idempotency-key": `${this.#key}-${number}` };
    const sent = Array.from({ length: 1 + this.#below(2) }, () => ask(call, { json: { number }, headers }));
    for (const { status, body } of await Promise.all(sent)) {
      expect(status).toBe(202);
      this.#answers.get(number)?.push(body as Answered);
    }
  }

  #pick<Value>(from: readonly Value[]): Value | undefined {
    return from[this.#below(from.length)];
  }

  #below(limit: number): number {
    return Math.floor(this.#random.next() * limit);
  }
}

describe.concurrent("a storm of broadcasts", () => {
  it.each(["a", "b"])("is answered as it was received (guarantees 1 and 5): %s", async (seed) => {
    const storm = new Storm(`broadcasts ${seed}`);
    await storm.rage(180);
    await storm.calm();
    const told = await storm.told();
    expect(Object.keys(told).length).toBeGreaterThan(30);
    for (const [number, { answers, runs }] of Object.entries(told)) {
      // To no run twice; and what nobody took at once one run has taken since.
      const received = { number, answers, runs: [...new Set(runs)] };
      expect({ number, answers, runs }).toEqual(received);
      const count = { number, runs: runs.length };
      for (const { delivered, buffered } of answers) expect(count).toEqual({ number, runs: buffered ? 1 : delivered });
    }
  });
});
