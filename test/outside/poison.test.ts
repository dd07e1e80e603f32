/**
 * Bad neighbours in one process: a step that never ends, one that eats memory, a run that is sent more signals than
 * anybody reads, a run of very many steps. Each comes to its promised end, and others are none the worse.
 */
import { Agent, request } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { each } from "./concurrency.ts";
import { build, client, ledger, runtime } from "./stage.ts";

const signals = Number(process.env["POISON_SIGNALS"] ?? 200);
const steps = Number(process.env["POISON_STEPS"] ?? 400);
/** Those that take long, or much memory. */
const isLarge = process.env["POISON_LARGE"] === "1";
/** A step is begun again after five deaths, each on record before; the sixth is its last. A handler has eight. */
const stepDeaths = 6;
const handlerDeaths = 8;
const longMs = 3_600_000;

build("workers/poison.ts");
beforeAll(() => runtime.start());

async function die(): Promise<void> {
  await runtime.kill();
  await runtime.start();
}

const bystanders = ["one", "two", "three"];

/** Resolves once they have made their steps and wait. One in a step beside a poison would be counted with it. */
async function startBystanders(name: string): Promise<void> {
  await each(bystanders, async (each) => {
    const id = `${name}-${each}`;
    await client.start("bystander", id, { steps: 5 });
    for (
      const giveUpAt = Date.now() + 60_000;
      (await client.run(id)).waitingFor[0]?.kind !== "signal";
      await pause(20)
    ) {
      if (Date.now() > giveUpAt) throw new Error(`${id} does not come to rest`);
    }
  });
}

/** They end as if nothing had been, each step with the effects of as many attempts as deaths cut off. */
async function verifyBystanders(name: string): Promise<void> {
  await each(bystanders, async (each) => {
    const id = `${name}-${each}`;
    await client.signal(id, "word", { word: each }, `${id}/word`);
    expect(await client.end(id)).toMatchObject({ id, status: "completed", output: each });
    const entries = await client.history(id);
    for (let at = 0; at < 5; at++) {
      const step = at === 0 ? "walk" : `walk#${at + 1}`;
      const own = entries.filter((entry) => entry.step === step);
      expect(own.filter(({ kind }) => kind === "step.completed").length, `${id} ${step}`).toBe(1);
      const marks = own.filter(({ kind }) => kind === "step.interrupted").length;
      expect(ledger.of(id, `walk ${at}`).length, `${id} ${step}`).toBeLessThanOrEqual(1 + marks);
    }
  });
}

/** Kills the process each time the poison is at work, until the run has ended. @returns how often */
async function killUntilOver(id: string, isAtWork: (effects: number) => Promise<boolean>): Promise<number> {
  for (let deaths = 0; ; deaths++) {
    const giveUpAt = Date.now() + 60_000;
    while (ledger.of(id).length <= deaths) {
      if (Date.now() > giveUpAt) throw new Error(`${id} is not at work after ${deaths} deaths`);
      const ended = await Promise.race([isFailed(id), pause(250, false)]);
      if (ended) return deaths;
    }
    expect(await isAtWork(deaths + 1)).toBe(true);
    await die();
  }
}

function isFailed(id: string): Promise<boolean> {
  // Before it was started there is nothing to be read.
  return client.run(id).then(
    ({ status }) => status === "failed",
    () => false,
  );
}

/** It loops once the ledger has answered its step. */
async function fellSilent(): Promise<boolean> {
  for (const giveUpAt = Date.now() + 60_000; await answers(150);) if (Date.now() > giveUpAt) return false;
  return true;
}

/** Whether the Worker answers anything at all within that time. */
async function answers(ms: number): Promise<boolean> {
  const answered = fetch(`${runtime.origin}/health`).then(
    ({ ok }) => ok,
    () => false,
  );
  return await Promise.race([answered, pause(ms, false)]);
}

describe("a handler that loops for ever", () => {
  test(
    `in a step: its process answers nobody, and after ${stepDeaths} deaths it fails with step_crashed (4)`,
    { timeout: 300_000 },
    async () => {
      await startBystanders("spin");
      // It may loop before the answer is out.
      const started = client.start("spin", "spin", { where: "step" });
      // No limit on CPU holds here: the platform's own kills at Cloudflare are these of ours.
      const deaths = await killUntilOver("spin", fellSilent);
      await started;
      expect(deaths).toBe(stepDeaths);
      expect(await client.run("spin")).toMatchObject({ error: { code: "step_crashed", step: "spin" } });
      const marks = (await client.history("spin")).filter(({ kind }) => kind === "step.interrupted");
      expect(marks.length).toBe(stepDeaths - 1);
      await verifyBystanders("spin");
    },
  );

  test.runIf(isLarge)(
    `outside a step: after ${handlerDeaths} deaths it fails with handler_crashed (4)`,
    { timeout: 240_000 },
    async () => {
      await startBystanders("whirl");
      const started = client.start("spin", "whirl", { where: "handler" });
      const deaths = await killUntilOver("whirl", fellSilent);
      await started;
      expect(deaths).toBeGreaterThanOrEqual(handlerDeaths);
      expect(await client.run("whirl")).toMatchObject({ error: { code: "handler_crashed" } });
      await verifyBystanders("whirl");
    },
  );
});

test.runIf(isLarge)(
  "a step that eats memory dies with its process, is counted, and fails with step_crashed; others go on (4)",
  { timeout: 240_000 },
  async () => {
    await startBystanders("hoard");
    await client.start("hoard", "hoard", {});
    let own = 0;
    const deaths = await killUntilOver("hoard", async () => {
      const giveUpAt = Date.now() + 60_000;
      while (runtime.memoryBytes < 1_000_000_000 && !runtime.isOver && Date.now() < giveUpAt) await pause(20);
      if (runtime.isOver) own++;
      return true;
    });
    console.log(`poison: ${own} of ${deaths} deaths were the runtime's own`);
    expect(deaths).toBe(stepDeaths);
    expect(await client.run("hoard")).toMatchObject({ error: { code: "step_crashed", step: "hoard" } });
    await verifyBystanders("hoard");
  },
);

describe(`${signals} signals to one run`, () => {
  test("as it reads them: each is consumed once, in the order of arrival (5)", { timeout: longMs }, async () => {
    await client.start("inbox", "box", { count: signals });
    await flood("box");
    await verifyInbox("box");
  });

  test("while it is paused: none is lost, and all are read once it goes on (4, 5)", { timeout: longMs }, async () => {
    await client.start("inbox", "heap", { count: signals });
    await client.call({ method: "POST", path: "/v1/runs/heap/pause", body: {} });
    await flood("heap");
    await client.call({ method: "POST", path: "/v1/runs/heap/resume", body: {} });
    await verifyInbox("heap");
  });
});

/** Sixteen at a time, every tenth of them twice; prints what each tenth cost where there are enough to tell. */
async function flood(id: string): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  const costs: number[] = [];
  let markMs = runtime.cpuMs;
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < signals) {
      const number = next++;
      const sent = await send(agent, `/v1/runs/${id}/signals/item`, { number }, `${id}/${number}`);
      expect(sent).toEqual({ accepted: true, duplicate: false });
      if (number % 10 === 0) {
        const again = await send(agent, `/v1/runs/${id}/signals/item`, { number }, `${id}/${number}`);
        expect(again).toEqual({ accepted: true, duplicate: true });
      }
      if (number % (signals / 10) !== 0 || number === 0) continue;
      costs.push(runtime.cpuMs - markMs);
      markMs = runtime.cpuMs;
    }
  };
  await Promise.all(Array.from({ length: 16 }, work));
  agent.destroy();
  console.log(`poison: CPU milliseconds of each tenth of ${signals} signals to ${id}: ${costs.join(", ")}`);
  // Quadratic work would make the last tenth many times the first.
  if (signals >= 10_000) expect((costs.at(-1) ?? 0) / (costs[0] ?? 1)).toBeLessThan(2);
}

function send(agent: Agent, path: string, body: unknown, key: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "idempotency-key": key };
    const call = request(`${runtime.origin}${path}`, { method: "POST", agent, headers }, (answer) => {
      let text = "";
      answer.on("data", (part: Buffer) => (text += part.toString()));
      answer.on("end", () => resolve(JSON.parse(text)));
    });
    call.on("error", reject);
    call.end(JSON.stringify(body));
  });
}

async function verifyInbox(id: string): Promise<void> {
  const run = await client.end(id, longMs);
  expect(run).toMatchObject({ status: "completed", output: { numbers: signals, sum: (signals * (signals - 1)) / 2 } });
  const entries = await client.history(id);
  const received = entries.filter(({ kind }) => kind === "signal.received");
  const consumed = entries.filter(({ kind }) => kind === "signal.consumed");
  expect(received.length).toBe(signals);
  expect(consumed.map(({ signal }) => signal)).toEqual(received.map(({ seq }) => seq));
}

test(
  `${steps} steps in one run with a death in the middle: each has one outcome (2)`,
  { timeout: longMs },
  async () => {
    await client.start("march", "march", { count: steps });
    await ledger.until("it is half-way", 600_000, () => ledger.of("march").length > 0);
    await die();
    expect(await client.end("march", longMs)).toMatchObject({ status: "completed", output: (steps * (steps - 1)) / 2 });
    const completed = (await client.history("march")).filter(({ kind }) => kind === "step.completed");
    expect(completed.length).toBe(steps + 1);
    expect(new Set(completed.map(({ step }) => step)).size).toBe(steps + 1);
  },
);

test(
  "a long loop of quick steps is answered for, and so is everybody else, while it goes on",
  { timeout: 600_000 },
  async () => {
    // An odd number of them has no middle, in which it would wait for the ledger.
    const count = 60_001;
    let seen: string | undefined;
    // Whoever asks may have been held up until it was over: then another is tried.
    for (let loop = 1; loop <= 5 && seen !== "running"; loop++) {
      await client.start("march", `loop-${loop}`, { count });
      const [{ status }] = await Promise.all([
        client.run(`loop-${loop}`),
        client.start("bystander", `beside-loop-${loop}`, { steps: 1 }),
      ]);
      seen = status;
      expect(await client.end(`loop-${loop}`, longMs)).toMatchObject({
        status: "completed",
        output: (count * (count - 1)) / 2,
      });
    }
    expect(seen).toBe("running");
  },
);

test("failures that a handler leaves to nobody end neither its run nor the process", async () => {
  await client.start("careless", "careless", {});
  expect(await client.end("careless")).toMatchObject({ status: "completed", output: "done" });
  expect(runtime.isOver).toBe(false);
});
