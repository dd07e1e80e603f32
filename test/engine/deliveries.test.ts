/**
 * Random deliveries to a run's webhooks, with deaths of the process among them, against a model that is told
 * here in full: what each is answered, and what is on record afterwards (guarantees 1, 2, 3, 4 and 8).
 * HOOK_SEED plays one history again; HOOK_COUNT says how many, from that seed on where both are there.
 */
import { expect, test } from "vitest";
import { HoldfastError } from "../../src/core/error.ts";
import { createRandom } from "../../src/core/random.ts";
import type { Step } from "../../src/core/definition/step.ts";
import { maxRejections, receiveHook, revokeHook } from "../../src/engine/wait/hook.ts";
import { Host, act, signal, startAt } from "./host.ts";

const given = process.env["HOOK_SEED"] || undefined;
const histories = Number(process.env["HOOK_COUNT"] || (given === undefined ? 150 : 1));
const hour = 3_600_000;

/** What is known of one webhook. */
class Model {
  until = startAt + hour;
  generation = 0;
  received: number | null = null;
  timedOut = false;
  readonly refused: string[] = [];

  /** What a call of the address of this generation is answered. */
  answer(
    kind: "good" | "forged" | "broken",
    generation: number,
    now: number,
    run: { paused: boolean; ended: boolean },
  ): string {
    if (run.ended) return "run_ended";
    if (generation < this.generation) return "webhook_revoked";
    if (this.received !== null) return "duplicate";
    if (this.timedOut || (now >= this.until && !run.paused)) return "webhook_expired";
    return { good: "accepted", forged: "webhook_rejected", broken: "body_invalid" }[kind];
  }

  note(answer: string, n: number): void {
    if (answer === "accepted") this.received = n;
    else if (this.refused.length < maxRejections)
      this.refused.push(answer === "duplicate" ? "webhook_duplicate" : answer);
  }
}

/** Two webhooks, taken in any order, then a signal. */
async function flow(_input: never, step: Step): Promise<unknown> {
  const verify = ({ headers }: { headers: Record<string, string> }) => headers["x-forged"] === undefined;
  const one = await step.webhook("pay", { timeout: "1 h", verify });
  const two = await step.webhook("pay", { timeout: "1 h", verify });
  const calls = await Promise.all([one.received(), two.received()]);
  await step.waitFor("end");
  return [one.url, two.url, ...calls.map((call) => call?.body ?? null)];
}

async function play(seed: number): Promise<void> {
  const random = createRandom(String(seed));
  const next = (below: number): number => Math.floor(random.next() * below);
  const models = new Map([
    ["pay", new Model()],
    ["pay#2", new Model()],
  ]);
  let host = await new Host(flow).drive(startAt);
  let pausedAt: number | null = null;
  let ended = false;
  const deliver = async (n: number): Promise<void> => {
    const id = next(2) === 0 ? "pay" : "pay#2";
    const model = models.get(id) ?? new Model();
    const kind = (["good", "forged", "broken"] as const)[next(3)] ?? "good";
    const generation = next(model.generation + 1);
    const type = { "content-type": "application/json" };
    const headers = kind === "forged" ? { ...type, "x-forged": "yes" } : type;
    const body = new TextEncoder().encode(kind === "broken" ? "{" : String(n));
    const expected = model.answer(kind, generation, host.clock.at, { paused: pausedAt !== null, ended });
    const answer = await receiveHook(host.run, id, { method: "POST", headers, query: {}, body }, generation).then(
      ({ duplicate }) => (duplicate ? "duplicate" : "accepted"),
      (error: unknown) => (error instanceof HoldfastError ? error.code : String(error)),
    );
    expect(answer).toBe(expected);
    model.note(answer, n);
  };
  const revoke = async (): Promise<void> => {
    const id = next(2) === 0 ? "pay" : "pay#2";
    const model = models.get(id) ?? new Model();
    const isOpen = model.received === null && !model.timedOut && (pausedAt !== null || host.clock.at < model.until);
    const asked = { by: "test", reason: null };
    const answer = await revokeHook(host.run, id, asked, async (made) => `http://example.com/hooks/${id}/${made}`).then(
      () => "revoked",
      (error: unknown) => (error instanceof HoldfastError ? error.code : String(error)),
    );
    expect(answer).toBe(ended ? "run_ended" : isOpen ? "revoked" : "webhook_not_found");
    if (answer === "revoked") model.generation++;
  };
  const length = 5 + next(40);
  for (let n = 0; n < length; n++) {
    const what = next(20);
    if (what < 11) await deliver(n);
    else if (what < 13) await revoke();
    else if (what < 15) host = host.reopen({ cold: false });
    else if (what === 15) host.clock.at += next(hour / 2);
    else if (what === 16 && !ended && pausedAt === null) {
      void act(host.run, "pause");
      pausedAt = host.clock.at;
    } else if (what === 17 && pausedAt !== null && !ended) {
      void act(host.run, "resume");
      for (const model of models.values()) model.until += host.clock.at - pausedAt;
      pausedAt = null;
    } else if (what === 18 && !ended && next(4) === 0) signal(host.run, "end", 1);
    else if (what === 19 && !ended && next(8) === 0) {
      for (let more = 0; more < maxRejections; more++) await deliver(n);
    }
    await host.drive(host.clock.at);
    for (const model of models.values()) {
      if (model.received === null && pausedAt === null && host.clock.at >= model.until) model.timedOut = true;
    }
    ended = host.run.state.end !== null;
  }
  check(host, models, ended);
}

function check(host: Host, models: ReadonlyMap<string, Model>, ended: boolean): void {
  for (const [id, model] of models) {
    const ofIt = <Entry extends { call: string }>(entries: readonly Entry[]) =>
      entries.filter(({ call }) => call === id);
    expect(ofIt(host.entries("webhook.rejected")).map(({ code }) => code)).toEqual(model.refused);
    expect(ofIt(host.entries("webhook.received"))).toHaveLength(model.received === null ? 0 : 1);
    expect(ofIt(host.entries("webhook.revoked")).map(({ generation }) => generation)).toEqual(
      Array.from({ length: model.generation }, (_, i) => i + 1),
    );
    expect(ofIt(host.entries("webhook.created"))).toHaveLength(1);
  }
  if (!ended) return;
  const bodies = [...models.values()].map(({ received }) => received);
  const urls = [...models.keys()].map((id) => `http://example.com/hooks/${encodeURIComponent(id)}`);
  expect(host.output).toEqual([...urls, ...bodies]);
}

test(`guarantees 1 to 4 and 8: ${histories} random histories of deliveries`, async () => {
  const first = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
  for (let i = 0; i < histories; i++) {
    try {
      await play(first + i);
    } catch (error) {
      throw new Error(`HOOK_SEED=${first + i}: ${String(error)}`, { cause: error });
    }
  }
}, 600_000);
