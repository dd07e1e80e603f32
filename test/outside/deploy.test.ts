/**
 * A deployment while runs are at every stage: workerd is killed and comes back with other code, and later with the
 * first again. Old runs go on as they were meant to, or wait and say so, and none is harmed (7).
 */
import { setTimeout as pause } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { auditFirings, auditLanes } from "../chaos/audit.ts";
import type { Entry } from "./client.ts";
import { each } from "./concurrency.ts";
import { build, client, ledger, runtime } from "./stage.ts";

const wanted = Number(process.env["DEPLOY_RUNS"] ?? 60);
/** All are there when the process is replaced; by the time the old code is back, the clock is beyond it. */
const stayMs = 3_600_000;

type Planned = {
  readonly id: string;
  readonly workflow: string;
  readonly at?: string;
  readonly input: unknown;
  /** What it waits for from outside. */
  readonly signal?: string;
};

const stages = ["step", "sleep", "retry", "signal", "webhook", "child", "paused"];
const kinds: readonly ((index: number) => Omit<Planned, "id">)[] = [
  ...stages.map((at) => () => ({
    ...{ workflow: "order", at, input: { at, ms: stayMs } },
    ...(at === "signal" || at === "paused" ? { signal: "go" } : {}),
  })),
  () => ({ workflow: "adopted", input: { count: 1 }, signal: "go" }),
  () => ({ workflow: "retired", input: { ms: stayMs } }),
  () => ({ workflow: "turned", input: {}, signal: "thing" }),
  () => ({ workflow: "laned", input: {} }),
  () => ({ workflow: "laned", input: {} }),
];
const runs: readonly Planned[] = Array.from({ length: wanted }, (_unused, index) => {
  const kind = kinds[index % kinds.length];
  if (kind === undefined) throw new Error("there are kinds");
  return { id: `run-${index}`, ...kind(index) };
});
const of = (workflow: string, at?: string): Planned[] =>
  runs.filter((run) => run.workflow === workflow && (at === undefined || run.at === at));

build("workers/deploy.ts");
beforeAll(async () => {
  await deploy("old");
  await each(runs, ({ id, workflow, input }) => client.start(workflow, id, input));
  await ledger.until("all that can has begun", 60_000, () =>
    runs.every(({ id, workflow }) => workflow === "laned" || ledger.of(id).length > 0),
  );
  const waiting = runs.filter(({ at, signal }) => signal !== undefined || at === "webhook");
  await each(waiting, ({ id }) => arrived(id));
  await each(of("order", "paused"), ({ id }) => act(id, "pause"));
});

/** Resolves once the run waits for the world. */
async function arrived(id: string): Promise<void> {
  for (const giveUpAt = Date.now() + 60_000; (await client.run(id)).status !== "waiting"; await pause(20)) {
    if (Date.now() > giveUpAt) throw new Error(`run ${id} does not come to rest`);
  }
}

async function deploy(code: "old" | "new", aheadMs = 0): Promise<void> {
  await runtime.kill();
  ledger.life++;
  const variables = { CODE: code, LIFE: String(ledger.life) };
  await runtime.start({ variables, deployment: `deployment-${ledger.life}`, aheadMs });
  // The scheduler has to be asked once to know that there is other code.
  await client.call({ method: "GET", path: "/health" });
}

function act(id: string, action: string): Promise<unknown> {
  return client.call({ method: "POST", path: `/v1/runs/${id}/${action}`, body: {}, key: `${id}/${action}` });
}

function send({ id, signal = "" }: Planned): Promise<unknown> {
  return client.signal(id, signal, {}, `${id}/${signal}`);
}

async function isGone(id: string, entries: readonly Entry[]): Promise<void> {
  const { status, reason } = await client.run(id);
  const paused = entries.findLast(({ kind }) => kind === "run.paused" || kind === "run.resumed")?.kind === "run.paused";
  expect([id, status]).toEqual([id, paused ? "paused" : "waiting"]);
  if (!paused) expect(reason).toMatch(/^waiting for version 1 of workflow (?:order|retired), which is not in this/);
}

/** The halves of those that were changed: one ends under the new code, the other once the old is back. */
const half = (list: readonly Planned[], which: 0 | 1): Planned[] => list.filter((_run, index) => index % 2 === which);

// Each begins where the one before ended.
describe(`a deployment under ${wanted} runs`, { shuffle: false }, () => {
  test(
    "runs whose code is gone wait and say so; those whose code changed adopt it, or are paused (7)",
    { timeout: 180_000 },
    async () => {
      await deploy("new");
      await each(half(of("adopted"), 0), send);
      await each([...of("order"), ...of("retired")], async ({ id }) => await isGone(id, await client.history(id)));
      await each(half(of("adopted"), 0), async ({ id }) => {
        expect(await client.end(id)).toMatchObject({ status: "completed", output: { code: "new" } });
        const marks = (await client.history(id)).filter(({ kind }) => kind === "step.added" || kind === "step.removed");
        expect(marks.map(({ kind, step }) => [id, kind, step])).toEqual([
          [id, "step.added", "added"],
          [id, "step.removed", "b"],
        ]);
      });
      await each(of("turned"), async ({ id }) => {
        await send({ id, workflow: "turned", input: null, signal: "thing" });
        const run = await client.run(id);
        expect(run).toMatchObject({ id, status: "paused", error: { code: "step_kind_changed" } });
      });
    },
  );

  test("new runs are the new code's: its version, its input, without what was removed", async () => {
    await client.start("order", "fresh", { at: "step", ms: 0 });
    expect(await client.end("fresh")).toMatchObject({ version: "2", output: { version: "2" } });
    await expect(client.start("adopted", "stale", { count: 1 })).rejects.toThrow(/: 422 .*input_invalid/);
    await expect(client.start("retired", "late", { ms: 0 })).rejects.toThrow(/: 404 .*workflow_not_found/);
  });

  test(
    "a lane lets no more in than it may, and a schedule goes by its new rule (6)",
    { timeout: 120_000 },
    async () => {
      await each(of("laned"), async ({ id }) => expect(await client.end(id)).toMatchObject({ status: "completed" }));
      expect(auditLanes(ledger.effects, 3)).toEqual([]);
      const slots = () =>
        ledger.effects
          .filter(({ slotAt, life }) => slotAt !== null && life === ledger.life)
          .map(({ slotAt }) => slotAt ?? 0);
      const since = Date.now();
      await ledger.until(
        "two firings of the new rule",
        30_000,
        () => new Set(slots().filter((at) => at > since)).size >= 2,
      );
      expect(slots().filter((at) => at > since && at % 2000 !== 0)).toEqual([]);
      expect(auditFirings(ledger.effects)).toEqual([]);
    },
  );

  test(
    "once the old code is back, everything goes on by itself to the end it would have had (2, 4, 7)",
    { timeout: 180_000 },
    async () => {
      await deploy("old", stayMs);
      await each([...of("turned"), ...of("order", "paused")], ({ id }) => act(id, "resume"));
      await each([...of("order", "signal"), ...of("order", "paused"), ...half(of("adopted"), 1)], send);
      await each(of("order", "webhook"), async ({ id }) => {
        const told = (await client.history(id)).find(({ kind, step }) => kind === "step.completed" && step === "tell");
        await client.call({ method: "POST", path: new URL(String(told?.result)).pathname });
      });
      // Nobody asks those that only waited for their code.
      const alone = [
        ...of("order", "step"),
        ...of("order", "sleep"),
        ...of("order", "retry"),
        ...of("order", "child"),
        ...of("retired"),
      ];
      const left = (): Planned[] => alone.filter(({ id }) => ledger.of(id, "last").length === 0);
      for (const giveUpAt = Date.now() + 60_000; left().length > 0 && Date.now() < giveUpAt;) await pause(50);
      expect(left(), "they go on by themselves").toEqual([]);
      await each(runs, verify);
    },
  );
});

/** Every step has one outcome, and one effect but where the deployment interrupted it; all by the code it belongs to. */
async function verify({ id, workflow }: Planned): Promise<void> {
  const run = await client.end(id);
  expect(run, `the run ${JSON.stringify(run)}`).toMatchObject({ id, status: "completed" });
  const entries = await client.history(id);
  expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_entry, index) => index + 1));
  const completed = entries.filter(({ kind, step }) => kind === "step.completed" && step !== "tell");
  expect(new Set(completed.map(({ step }) => step)).size, `of ${id}`).toBe(completed.length);
  for (const { step = "", result } of completed) {
    const effects = ledger.of(id, step);
    expect(effects.at(-1)?.value, `${id} ${step}`).toBe(result);
    const again = effects.filter(({ attempt }) => attempt === 1).length - 1;
    const marks = entries.filter((entry) => entry.kind === "step.interrupted" && entry.step === step).length;
    expect(again, `${id} ${step}: made again only where it was interrupted`).toBeLessThanOrEqual(marks);
  }
  if (workflow === "order" || workflow === "retired") {
    expect(new Set(ledger.of(id).map(({ note }) => note)), `of ${id}`).toEqual(new Set(["old 1"]));
  }
  const { last } = run.output as { last: number };
  expect(ledger.of(id).at(-1)?.value, `of ${id}`).toBe(last);
}
