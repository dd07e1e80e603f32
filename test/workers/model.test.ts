/**
 * Real runs in workerd and the model of a run, on the programs of test/model: their objects are ended and
 * evicted as their histories say. MODEL_SEED says where to begin, MODEL_COUNT how many are tried.
 */
import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { compare } from "../model/comparison.ts";
import { drive } from "../model/drive.ts";
import type { Call, Reply, Stage } from "../model/drive.ts";
import { makeProgram } from "../model/program.ts";
import { makeReceivingProgram } from "../model/receiving.ts";
import { explain } from "../model/report.ts";
import { ask } from "./client.ts";
import { contexts } from "./flows/engine.ts";
import { modelled } from "./flows/model.ts";
import { settings } from "./settings.ts";

const firstSeed = Number(settings["MODEL_SEED"] || 1);
const count = Number(settings["MODEL_COUNT"] || 20);
/** Programs at a time: most of the time is spent waiting. */
const atOnce = 24;
const unitMs = 2;
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

async function once({ method, path, json, key }: Call): Promise<Omit<Reply, "again"> | null> {
  const headers = {
    ...(json === undefined ? {} : { "content-type": "application/json" }),
    ...(key === undefined ? {} : { "idempotency-key": key }),
  };
  const answer = await ask(`${method} ${path}`, { headers, ...(json === undefined ? {} : { json }) }).catch(() => null);
  return answer === null || answer.status >= 500 ? null : { status: answer.status, body: answer.body };
}

const stage: Stage = {
  ask: async (call) => {
    for (let tries = 0; tries < 100; tries++) {
      const answer = await once(call);
      if (answer !== null) return { ...answer, again: tries > 0 };
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    throw new Error(`no answer: ${JSON.stringify(call)}`);
  },
  disturb: async (id, how) => {
    // One that left by itself meanwhile is not there to be evicted, or ended.
    if (how === "eviction") return await evictDurableObject(env.RUNS.getByName(id)).catch(() => {});
    try {
      contexts.get(id)?.abort("ended by the test");
    } catch {
      // Its memory has gone already.
    }
  },
  effectsOf: (id) => modelled.filter(({ run }) => run === id),
};

async function check(seed: number): Promise<number> {
  // Every third takes calls of webhooks, and hears signals; what has gone on as new has no history of what was before.
  const receiving = makeReceivingProgram(seed, unitMs);
  const program = seed % 3 === 0 && receiving.input.next.length === 0 ? receiving : makeProgram(seed, unitMs);
  const observations = await drive(program, `model-${seed}-${Date.now().toString(36)}`, stage);
  for (const observed of observations) {
    await compare(observed, Infinity, turn).catch((error: unknown) => explain(error, program, observed));
  }
  return observations.length;
}

test("guarantees 1 to 5 and 8: runs in workerd do what the model of a run says", { timeout: 3_600_000 }, async () => {
  let next = firstSeed;
  let runs = 0;
  const errors: unknown[] = [];
  const work = async (): Promise<void> => {
    while (next < firstSeed + count) {
      await check(next++).then(
        (checked) => (runs += checked),
        (error: unknown) => errors.push(error),
      );
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  if (errors.length > 0)
    throw new AggregateError(errors, `${errors.length} of ${count} programs; the first: ${String(errors[0])}`);
  if (count > 100) console.warn(`${count} programs, ${runs} runs`);
  expect(runs).toBeGreaterThanOrEqual(count);
});
