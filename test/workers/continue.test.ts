/** Runs that go on as new, and races, in their objects: killed at every write, evicted, deleted. */
import { describe, expect, test, vi } from "vitest";
import { ask, historyOf, newId, refusal, runThatIs, start } from "./client.ts";
import { checks } from "./flows/fan.ts";
import { is, outputOf, drive, sent } from "./driver.ts";
import type { Program } from "./driver.ts";
import type { CrashPoint } from "./crashpoint.ts";
import { watched } from "./crashpoint.ts";
import { evict, inRun } from "./storage.ts";

/** Each entry that every run of a program has, by number: a blow at one that never comes would never fall. */
const upTo = (length: number) => Array.from({ length }, (_unused, i) => i + 1);

/** The same run, played with each of the blows, a dozen at a time. */
async function playEach(program: Program, blows: readonly (readonly CrashPoint[])[], check: (id: string) => unknown) {
  const queue = [...blows];
  const next = async (): Promise<void> => {
    for (let blow = queue.shift(); blow !== undefined; blow = queue.shift()) {
      const id = newId(program.workflow);
      const { run } = await drive(program, id, blow);
      expect([blow, run.status, outputOf(run)]).toEqual([blow, "completed", check(id)]);
    }
  };
  await Promise.all(Array.from({ length: 12 }, next));
}

describe("guarantees 1, 2 and 5: a run that goes on as new, whose process ends at any write", () => {
  const lives = 3;
  const each = 2;
  const numbers = Array.from({ length: lives * each }, (_unused, i) => 10 ** i);
  const program: Program = {
    title: "an adder",
    workflow: "adder",
    input: () => ({ left: lives, each }),
    // Most of them come before the life that takes them.
    calls: numbers.map((n) => sent(is("run.created"), "add", { n }, `${n}`)),
  };

  test("takes each signal once, and no step of one life stands for that of another", async () => {
    // Two entries for each life, and three for each signal, if it comes before anybody waits for it.
    const every = upTo(lives * (2 + each * 3));
    const blows = every.flatMap((at): (readonly CrashPoint[])[] => [
      [{ at, how: "lost" }],
      [{ at, how: "kept" }, ...(at % 3 === 0 ? [{ at: "wake" } as const] : [])],
    ]);
    await playEach(program, blows, (id) => {
      const keys = new Map(checks.flatMap(({ run, n, key }) => (run === id ? [[n, key] as const] : [])));
      expect(keys.size).toBe(numbers.length);
      expect(new Set(keys.values()).size).toBe(numbers.length);
      return { sum: 111_111, continued: lives - 1 };
    });
  });
});

describe("a run that went on as new", () => {
  test("has the labels and the lane of its input now, and waits for its slot there", async () => {
    const [first, second] = [newId("first"), newId("second")];
    const begin = {
      json: { input: { key: first, next: second }, labels: { tier: second } },
      headers: { "idempotency-key": first },
    };
    const { body: nomad } = await ask("POST /v1/workflows/nomad/runs", begin);
    const id = String(nomad["id"]);
    await runThatIs(id, { status: "waiting", labels: { tenant: first, tier: second } });
    const settler = await start("nomad", { input: { key: second } });
    await runThatIs(settler.id, { status: "waiting" });
    const go = (run: string) => ask(`POST /v1/runs/${run}/signals/go`, { json: {} });
    await go(id);
    const lane = { kind: "lane", name: `concurrency:nomad:${second}` };
    await runThatIs(id, { status: "queued", waitingFor: [lane], labels: { tenant: second, tier: second } });
    expect((await ask(`GET /v1/lanes/concurrency:nomad:${first}`)).body).toMatchObject({ used: 0, waiting: 0 });
    const listed = async (label: string) => {
      const { body } = await ask(`GET /v1/runs?workflow=nomad&label.${label}`);
      return (body["runs"] as { id: string }[]).map((run) => run.id).toSorted();
    };
    await expect.poll(() => listed(`tenant=${second}`)).toEqual([id, settler.id].toSorted());
    expect([await listed(`tenant=${first}`), await listed(`tier=${second}`)]).toEqual([[], [id]]);
    await evict(id);
    await go(settler.id);
    await runThatIs(id, { status: "waiting" });
    expect(await ask("POST /v1/workflows/nomad/runs", begin)).toMatchObject({ status: 200, body: { id } });
    await go(id);
    await runThatIs(id, { status: "completed", output: second });
  });

  test("is one run: in the list, for a start that is repeated, and when it is deleted", async () => {
    const id = newId("phoenix");
    const json = { id, input: { lives: 5 } };
    const first = await start("phoenix", json);
    const waiting = await runThatIs(id, { status: "waiting", createdAt: first.createdAt, input: { lives: 0 } });
    expect(waiting.waitingFor.map(({ kind }) => kind).toSorted()).toEqual(["signal", "webhook"]);
    const again = await ask("POST /v1/workflows/phoenix/runs", { json });
    expect([again.status, again.body["id"]]).toEqual([200, id]);
    expect((await ask("POST /v1/workflows/phoenix/runs", { json: { id, input: { lives: 0 } } })).status).toBe(409);
    const listed = async () => {
      const { body } = await ask("GET /v1/runs?workflow=phoenix&limit=200");
      return (body["runs"] as { id: string; createdAt: string; status: string }[]).filter((run) => run.id === id);
    };
    await vi.waitFor(
      async () =>
        expect(await listed()).toEqual([expect.objectContaining({ createdAt: first.createdAt, status: "waiting" })]),
      60_000,
    );
    await ask(`POST /v1/runs/${id}/signals/word`, { json: "enough" });
    await runThatIs(id, { status: "completed", output: 5 });
    expect((await ask(`DELETE /v1/runs/${id}`)).status).toBeLessThan(300);
    await expect.poll(listed).toEqual([]);
    expect((await ask(`GET /v1/runs/${id}`)).status).toBe(404);
  });

  test("leaves the webhooks of the lives before behind, whose addresses have expired and are not unknown", async () => {
    const { id } = await start("phoenix", { input: { lives: 0 } });
    const urlOf = (run: unknown): string => (run as { progress: { url: string } }).progress.url;
    const old = urlOf(await runThatIs(id, { status: "waiting" }));
    await ask(`POST /v1/runs/${id}/signals/word`, { json: "again" });
    const next = await vi.waitFor(
      async () => {
        const url = urlOf(await runThatIs(id, { status: "waiting" }));
        expect(url).not.toBe(old);
        return url;
      },
      { timeout: 60_000 },
    );
    const path = (url: string): string => new URL(url).pathname;
    expect(await refusal(`POST ${path(old)}`, { token: null })).toBe("410 webhook_expired");
    expect((await ask(`HEAD ${path(old)}`, { token: null })).status).toBe(410);
    expect((await ask(`POST ${path(next)}`, { token: null })).status).toBe(202);
    await ask(`POST /v1/runs/${id}/terminate`);
    expect(await refusal(`POST ${path(old)}`, { token: null })).toBe("410 webhook_expired");
    await ask(`DELETE /v1/runs/${id}`);
    expect(await refusal(`POST ${path(old)}`, { token: null })).toBe("404 webhook_not_found");
  });

  test("comes back from an eviction in its newest life", async () => {
    const { id } = await start("phoenix", { input: { lives: 3 } });
    await runThatIs(id, { status: "waiting" });
    await evict(id);
    await ask(`POST /v1/runs/${id}/signals/word`, { json: "enough" });
    await runThatIs(id, { status: "completed", output: 3 });
    const [first] = await historyOf(id);
    expect(first).toMatchObject({ kind: "run.created", continuation: { count: 3 } });
  });

  test("ten thousand times takes no more room than once", async () => {
    const size = (id: string): Promise<number> => inRun(id, ({ storage }) => storage.sql.databaseSize);
    const once = await start("phoenix", { input: { lives: 1 } });
    await runThatIs(once.id, { status: "waiting" });
    const often = await start("phoenix", { input: { lives: 10_000 } });
    await vi.waitFor(() => runThatIs(often.id, { status: "waiting", input: { lives: 0 } }), { timeout: 280_000 });
    expect(await size(often.id)).toBeLessThanOrEqual((await size(once.id)) + 8192);
  });
});

describe("guarantee 5: races whose process ends at any write", () => {
  const program: Program = {
    title: "a duel",
    workflow: "duel",
    input: () => ({}),
    calls: [
      sent(is("step.completed", "ring"), "shot", { n: 1 }, "one"),
      sent(is("wait.started", "last"), "last", { n: 7 }, "last"),
    ],
  };

  test("lose no signal and let none be taken by a wait that lost", async () => {
    // Five entries for each round, but four where the shot came before anybody waited for it.
    const every = upTo(2 + 6 * 5 - 1);
    const blows = every.flatMap((at): (readonly CrashPoint[])[] => [[{ at, how: "lost" }], [{ at, how: "kept" }]]);
    await playEach(program, blows, (id) => {
      const { entries } = watched(id);
      const withdrawn = entries.flatMap((entry) =>
        entry.kind === "wait.withdrawn" ? entry.calls.map((call) => `${call.call} ${call.id}`) : [],
      );
      const taken = entries.flatMap((entry) => (entry.kind === "signal.consumed" ? [`wait ${entry.call}`] : []));
      expect(taken).toHaveLength(2);
      expect(withdrawn.filter((call) => taken.includes(call))).toEqual([]);
      expect(new Set(withdrawn).size).toBe(withdrawn.length);
      return [{ n: 1 }, { n: 7 }];
    });
  });
});
