/** Actions on many runs: selecting, acting, counting, whatever dies meanwhile. */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Catalog } from "../../src/objects/deployment/catalog.ts";
import { bulk as builtIn } from "../../src/objects/builtin/bulk.ts";
import { ask, historyOf, newId, refusal, runThatIs, start, tokens } from "./client.ts";
import type { Ask, RunJson } from "./client.ts";
import { leftOf, mend, ranIn } from "./flows/fork.ts";
import { watched } from "./crashpoint.ts";

type Filter = Readonly<Record<string, unknown>>;

/** Starts so many runs of a batch of their own, and waits until the directory lists them as they are to be. */
async function batchOf(workflow: string, count: number, status: string): Promise<{ batch: string; ids: string[] }> {
  const batch = newId("batch");
  const ids = Array.from({ length: count }, (_unused, i) => `${batch}-${i}`);
  for (let from = 0; from < count; from += 50) {
    await Promise.all(ids.slice(from, from + 50).map((id) => start(workflow, { id, input: { batch } })));
  }
  await listed(batch, status, count);
  return { batch, ids };
}

async function countOf(filter: Filter, action = "cancel"): Promise<unknown> {
  return (await ask("POST /v1/runs/bulk?dryRun=true", { json: { action, filter } })).body["count"];
}

async function listed(batch: string, status: string, count: number): Promise<void> {
  await expect.poll(() => countOf({ status, labels: { batch } })).toBe(count);
}

async function bulk(action: string, filter: Filter, more: object = {}, options: Ask = {}): Promise<RunJson> {
  const { status, body, headers } = await ask("POST /v1/runs/bulk", { json: { action, filter, ...more }, ...options });
  expect([status, body]).toEqual([202, expect.objectContaining({ workflow: "holdfast.bulk", version: "1" })]);
  expect(headers.get("location")).toBe(`/v1/runs/${String(body["id"])}`);
  return body as unknown as RunJson;
}

async function ended(id: string): Promise<Record<string, unknown>> {
  return await vi.waitFor(
    async () => {
      const { body } = await ask(`GET /v1/runs/${id}`);
      expect(body).toMatchObject({ status: "completed" });
      return body;
    },
    { timeout: 60_000, interval: 20 },
  );
}

/** They were started side by side, so that any may be the newest. */
const byRun = (one: { readonly run: string }, other: { readonly run: string }): number =>
  one.run < other.run ? -1 : 1;

describe("a bulk action", () => {
  it("is a run that cancels those that fit and no others, and says how far it is", async () => {
    const { batch, ids } = await batchOf("bulk-parked", 5, "waiting");
    const other = await batchOf("bulk-parked", 2, "waiting");
    const { id } = await bulk("cancel", { labels: { batch }, status: "waiting" }, { reason: "not needed" });
    const tally = { total: 5, done: 5, succeeded: 5, skipped: 0, failed: 0 };
    const run = await ended(id);
    expect(run).toMatchObject({
      input: { action: "cancel", filter: { labels: { batch }, status: ["waiting"] }, reason: "not needed" },
      output: { ...tally, refusals: [] },
      progress: tally,
    });
    for (const each of ids) {
      await runThatIs(each, { status: "cancelled", error: { message: "not needed", code: "cancelled" } });
      const entries = await historyOf(each);
      expect(entries).toContainEqual(expect.objectContaining({ by: `bulk ${id}`, reason: "not needed" }));
    }
    expect(leftOf(batch).toSorted()).toEqual(ids.toSorted());
    for (const each of other.ids) await runThatIs(each, { status: "waiting" });
  });

  it("counts what refused the action as skipped, and says why", async () => {
    const { batch, ids } = await batchOf("bulk-parked", 3, "waiting");
    await ask(`POST /v1/runs/${ids[0]}/signals/go`, { json: 1 });
    await listed(batch, "completed", 1);
    const { id } = await bulk("retry", { labels: { batch } });
    const { refusals, ...tally } = (await ended(id))["output"] as { refusals: { run: string }[] };
    expect(tally).toEqual({ total: 3, done: 3, succeeded: 0, skipped: 3, failed: 0 });
    expect(refusals.toSorted(byRun)).toEqual(
      ids.map((run) => ({
        run,
        outcome: "skipped",
        code: "not_retryable",
        message: expect.stringMatching(/cannot be retried/),
      })),
    );
    const again = await bulk("pause", { workflow: "bulk-parked", labels: { batch } });
    expect((await ended(again.id))["output"]).toMatchObject({
      ...{ succeeded: 2, skipped: 1 },
      refusals: [{ run: ids[0], code: "run_ended" }],
    });
  });

  it("pauses, resumes, terminates and deletes", async () => {
    const { batch, ids } = await batchOf("bulk-parked", 3, "waiting");
    for (const [action, status] of [
      ["pause", "paused"],
      ["resume", "waiting"],
      ["terminate", "cancelled"],
    ] as const) {
      const { id } = await bulk(action, { labels: { batch } });
      expect((await ended(id))["output"]).toMatchObject({ succeeded: 3, skipped: 0, failed: 0 });
      for (const each of ids) await runThatIs(each, { status });
    }
    expect(leftOf(batch)).toEqual([]);
    await listed(batch, "cancelled", 3);
    const { id } = await bulk("delete", { labels: { batch }, status: ["cancelled", "failed"] });
    expect((await ended(id))["output"]).toMatchObject({ total: 3, succeeded: 3 });
    for (const each of ids) expect(await refusal(`GET /v1/runs/${each}`)).toBe("404 run_not_found");
    expect(await countOf({ labels: { batch } })).toBe(0);
  });

  it("finds a run that was started right before it", async () => {
    const batch = newId("batch");
    const run = await start("bulk-parked", { input: { batch } });
    const { id } = await bulk("cancel", { labels: { batch } });
    await start("bulk-parked", { input: { batch } });
    expect((await ended(id))["output"]).toMatchObject({ total: expect.any(Number), failed: 0 });
    await runThatIs(run.id, { status: "cancelled" });
  });

  it("leaves runs that were started later alone", async () => {
    const { batch, ids } = await batchOf("bulk-parked", 1, "waiting");
    const { id, createdAt } = await bulk("cancel", { labels: { batch } });
    await expect.poll(() => Date.now()).toBeGreaterThan(Date.parse(createdAt) + 5);
    const later = await start("bulk-parked", { input: { batch } });
    expect((await ended(id))["output"]).toMatchObject({ total: 1, succeeded: 1 });
    await runThatIs(ids[0] ?? "", { status: "cancelled" });
    await runThatIs(later.id, { status: "waiting" });
  });

  it("acts neither on itself nor on others like it", async () => {
    const first = await bulk("pause", { workflow: "holdfast.bulk" });
    const second = await bulk("cancel", { workflow: "holdfast.bulk", status: ["waiting", "running", "completed"] });
    for (const { id } of [first, second]) expect((await ended(id))["output"]).toMatchObject({ total: 0, done: 0 });
    expect(await countOf({ workflow: "holdfast.bulk" })).toBe(0);
  });

  it("is one for one key, and another body with it is refused", async () => {
    const { batch } = await batchOf("bulk-parked", 1, "waiting");
    const keyed = { headers: { "idempotency-key": newId("bulk-key") } };
    const first = await bulk("pause", { labels: { batch } }, {}, keyed);
    expect((await bulk("pause", { labels: { batch } }, {}, keyed)).id).toBe(first.id);
    const json = { action: "cancel", filter: { labels: { batch } } };
    expect(await refusal("POST /v1/runs/bulk", { json, ...keyed })).toBe("409 idempotency_conflict");
  });
});

/** A key, and the id of the run that it makes. */
async function keyed(): Promise<{ readonly id: string; readonly headers: Record<string, string> }> {
  const key = newId("cut-off");
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key)));
  const id = `key-${Array.from(digest.subarray(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  return { id, headers: { "idempotency-key": key } };
}

describe("a bulk action that is cut off", () => {
  it(
    "acts once on each of hundreds of runs, wherever its process dies (guarantee 2)",
    { timeout: 300_000 },
    async () => {
      const { batch, ids } = await batchOf("bulk-failing", 230, "failed");
      mend(...ids);
      const { id, headers } = await keyed();
      watched(id).blows = [
        { at: 5, how: "lost" },
        { at: 6, how: "kept" },
        { at: 8, how: "lost" },
        { at: 10, how: "lost" },
        { at: 11, how: "kept" },
      ];
      await bulk("retry", { labels: { batch } }, {}, { headers });
      const { output } = await ended(id);
      expect(watched(id).blows).toEqual([]);
      expect(output).toEqual({ total: 230, done: 230, succeeded: 230, skipped: 0, failed: 0, refusals: [] });
      await listed(batch, "completed", 230);
      for (const each of ids) expect(ranIn(each)).toEqual(["work"]);
      const again = (await played("retry", batch, { attempt: 1 })) as { readonly refusals: readonly unknown[] };
      expect([again, again.refusals.length]).toMatchObject([{ succeeded: 0, skipped: 230 }, 100]);
      for (const each of ids.slice(0, 5)) {
        expect((await historyOf(each)).filter(({ kind }) => kind === "run.retried")).toHaveLength(1);
      }
    },
  );

  it("counts what it deleted before it died as deleted", async () => {
    const { batch, ids } = await batchOf("bulk-failing", 30, "failed");
    const { id, headers } = await keyed();
    // The seventh entry says what became of them all.
    watched(id).blows = [{ at: 7, how: "lost" }];
    await bulk("delete", { labels: { batch } }, {}, { headers });
    expect((await ended(id))["output"]).toMatchObject({ total: 30, succeeded: 30, skipped: 0, failed: 0 });
    expect(watched(id).blows).toEqual([]);
    expect((await historyOf(id)).map(({ kind }) => kind)).toContain("step.interrupted");
    for (const each of ids) expect(await refusal(`GET /v1/runs/${each}`)).toBe("404 run_not_found");
  });
});

/** What the attempts of its steps are given, and what is done before each. */
type Attempt = {
  readonly attempt: number;
  readonly key?: string;
  readonly signal?: AbortSignal;
  readonly before?: (step: string) => Promise<void>;
};

/** A bulk action whose steps are attempted by the test. */
function played(action: string, batch: string, { attempt, key, signal, before }: Attempt): Promise<unknown> {
  const idempotencyKey = key ?? newId("bulk-step");
  const context = { attempt, idempotencyKey, signal: signal ?? new AbortController().signal };
  const step = {
    info: { id: newId("played"), startedAt: Date.now(), author: { by: "admin" } },
    sleep: () => Promise.resolve(),
    progress: () => undefined,
    run: async (name: string, fn: (given: typeof context) => unknown) => {
      await before?.(name);
      return await fn(context);
    },
  };
  const order = { action, filter: { labels: { batch } }, reason: null };
  return Promise.resolve(builtIn.handler(order as never, step as never));
}

/** Objects of these runs do not answer until they are let go. */
function silence(ids: readonly string[]): { readonly calls: () => number; readonly release: () => void } {
  let calls = 0;
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const act = async (): Promise<never> => {
    calls++;
    await released;
    throw new Error("let go");
  };
  const own = env.RUNS.getByName.bind(env.RUNS);
  vi.spyOn(env.RUNS, "getByName").mockImplementation((name) => (ids.includes(name) ? ({ act } as never) : own(name)));
  return { calls: () => calls, release };
}

describe("a bulk action, while runs come and go or do not answer", () => {
  afterEach(() => void vi.restoreAllMocks());

  it.each(["cancel", "delete"])("leaves a run alone that has the id of one that is gone: %s", async (action) => {
    const [workflow, status] = action === "cancel" ? ["bulk-parked", "waiting"] : ["bulk-failing", "failed"];
    const { batch, ids } = await batchOf(workflow, 2, status);
    const [other = "", gone = ""] = ids;
    const before = async (step: string): Promise<void> => {
      if (step !== "act") return;
      if (action === "cancel") await ask(`POST /v1/runs/${gone}/terminate`);
      expect((await ask(`DELETE /v1/runs/${gone}`)).status).toBe(204);
      await start(workflow, { id: gone, input: { batch: newId("later") } });
      await runThatIs(gone, { status });
    };
    const output = await played(action, batch, { attempt: 1, before });
    // What was to be deleted, and is gone, was deleted.
    expect(output).toMatchObject(
      action === "cancel"
        ? { succeeded: 1, skipped: 1, refusals: [{ run: gone, code: "run_not_found" }] }
        : { succeeded: 2, skipped: 0, refusals: [] },
    );
    await runThatIs(gone, { status });
    if (action === "cancel") await runThatIs(other, { status: "cancelled" });
    else expect(await refusal(`GET /v1/runs/${other}`)).toBe("404 run_not_found");
  });

  it("asks again where a run did not answer, once the others have, and each does it once (guarantee 2)", async () => {
    const { batch, ids } = await batchOf("bulk-failing", 3, "failed");
    const [lost = "", slow = ""] = ids;
    const key = newId("bulk-step");
    const events: string[] = [];
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const own = env.RUNS.getByName.bind(env.RUNS);
    const unreachable = {
      act: () => Promise.reject(new Error("no answer")),
      died: () => Promise.resolve(release()),
    };
    const names = vi.spyOn(env.RUNS, "getByName").mockImplementation((name) => {
      if (name === lost) return unreachable as never;
      const object = own(name) as unknown as { act(action: unknown): Promise<unknown> };
      const act = async (action: unknown): Promise<unknown> => {
        await released;
        const answer = await object.act(action);
        events.push("answered");
        return answer;
      };
      return name === slow ? ({ act } as never) : own(name);
    });
    await played("retry", batch, { attempt: 1, key }).catch((error: unknown) => events.push(String(error)));
    names.mockRestore();
    expect(events).toEqual(["answered", "Error: no answer"]);
    const retries = async (id: string): Promise<number> => {
      await runThatIs(id, { status: "failed" });
      return (await historyOf(id)).filter(({ kind }) => kind === "run.retried").length;
    };
    expect([await retries(lost), await retries(slow)]).toEqual([0, 1]);
    expect(await played("retry", batch, { attempt: 2, key })).toMatchObject({ total: 3, succeeded: 3, failed: 0 });
    for (const id of ids) expect(await retries(id)).toBe(1);
  });

  it("gives up runs that never answer, and counts them", async () => {
    const { batch, ids } = await batchOf("bulk-parked", 3, "waiting");
    const { calls } = silence(ids);
    const own = globalThis.setTimeout;
    const halfMinuteMs = 30_000;
    vi.spyOn(globalThis, "setTimeout").mockImplementation(((then: () => void, ms: number) =>
      own(then, ms === halfMinuteMs && calls() > 0 ? 1 : ms)) as never);
    const output = (await played("cancel", batch, { attempt: 9 })) as { refusals: { run: string }[] };
    expect(output).toMatchObject({ total: 3, done: 3, succeeded: 0, failed: 3 });
    expect(output.refusals.toSorted(byRun)).toMatchObject(
      ids.map((run) => ({ run, outcome: "failed", code: "unavailable" })),
    );
  });

  it("asks no more runs once it is cancelled", async () => {
    const { batch, ids } = await batchOf("bulk-parked", 50, "waiting");
    const { calls, release } = silence(ids);
    const stop = new AbortController();
    const output = played("cancel", batch, { attempt: 9, signal: stop.signal }).catch(String);
    await expect.poll(calls).toBe(20);
    stop.abort(new Error("cancelled"));
    release();
    expect([await output, calls()]).toEqual(["Error: cancelled", 20]);
  });
});

describe("what is asked of a bulk action", () => {
  const filter = { workflow: "bulk-parked" };

  it("is counted without doing it", async () => {
    const { batch } = await batchOf("bulk-parked", 4, "waiting");
    const before = new Date().toISOString();
    const labels = { batch };
    expect(await countOf({ labels })).toBe(4);
    expect(await countOf({ labels, status: "waiting,paused", workflow: "bulk-parked" })).toBe(4);
    expect(await countOf({ labels, status: ["failed"] })).toBe(0);
    expect(await countOf({ labels, workflow: "bulk-failing" })).toBe(0);
    expect(await countOf({ labels: { batch, more: "x" } })).toBe(0);
    expect(await countOf({ labels, createdAfter: "2020-01-01T00:00:00Z" })).toBe(4);
    expect(await countOf({ labels, createdBefore: "2020-01-01T00:00:00Z" })).toBe(0);
    expect(await countOf({ labels, createdAfter: before })).toBe(0);
    expect(await countOf({ labels, workflow: "😀".repeat(256) })).toBe(0);
    await listed(batch, "waiting", 4);
  });

  it.each([
    ["no action", { filter }, "400 body_invalid"],
    ["an unknown action", { action: "explode", filter }, "400 body_invalid"],
    ["no filter", { action: "cancel" }, "400 body_invalid"],
    ["a filter that is a list", { action: "cancel", filter: [] }, "400 body_invalid"],
    ["a filter without a condition", { action: "cancel", filter: {} }, "422 body_invalid"],
    ["no labels in it", { action: "cancel", filter: { labels: {} } }, "422 body_invalid"],
    ["an unknown condition", { action: "cancel", filter: { name: "x" } }, "400 field_unknown"],
    ["an unknown status", { action: "cancel", filter: { status: ["done"] } }, "400 body_invalid"],
    ["a status that is a number", { action: "cancel", filter: { status: 1 } }, "400 body_invalid"],
    ["no status", { action: "cancel", filter: { status: [] } }, "400 body_invalid"],
    ["labels that are no text", { action: "cancel", filter: { labels: { a: 1 } } }, "400 body_invalid"],
    ["an instant that is none", { action: "cancel", filter: { createdAfter: "soon" } }, "400 body_invalid"],
    ["an instant that is a number", { action: "cancel", filter: { createdBefore: 5 } }, "400 body_invalid"],
    ["an empty workflow", { action: "cancel", filter: { workflow: "" } }, "400 body_invalid"],
    ["a workflow of 257 characters", { action: "cancel", filter: { workflow: "😀".repeat(257) } }, "400 body_invalid"],
    ["an unknown field", { action: "cancel", filter, force: true }, "400 field_unknown"],
    ["a reason that is no text", { action: "cancel", filter, reason: {} }, "400 body_invalid"],
  ])("is refused with %s", async (_what, json, code) => {
    expect(await refusal("POST /v1/runs/bulk", { json })).toBe(code);
    expect(await refusal("POST /v1/runs/bulk?dryRun=true", { json })).toBe(code);
  });

  it("takes the role admin, whatever the action", async () => {
    const roleFor = (action: string, token: string) =>
      ask("POST /v1/runs/bulk?dryRun=true", { json: { action, filter }, token }).then(({ status }) => status);
    for (const action of ["cancel", "pause", "resume", "retry", "terminate", "delete"]) {
      expect([action, await roleFor(action, tokens.read)]).toEqual([action, 403]);
      expect([action, await roleFor(action, tokens.operate)]).toEqual([action, 403]);
      expect([action, await roleFor(action, tokens.admin)]).toEqual([action, 200]);
    }
    expect(await refusal("POST /v1/runs/bulk", { json: { action: "delete", filter }, token: tokens.operate })).toBe(
      "403 role_insufficient",
    );
  });

  it("starts in no other way", async () => {
    const input = { action: "delete", filter: { status: ["completed"] }, reason: null };
    const json = { input };
    expect(await refusal("POST /v1/workflows/holdfast.bulk/runs", { json })).toBe("404 workflow_not_found");
    expect(await refusal("GET /v1/workflows/holdfast.bulk")).toBe("404 workflow_not_found");
    const { id } = await bulk("pause", { labels: { batch: newId("none") } });
    expect(await refusal(`POST /v1/runs/${id}/fork`, { json })).toBe("404 workflow_not_found");
    const { workflows } = (await ask("GET /v1/workflows")).body as { workflows: { name: string }[] };
    expect(workflows.map(({ name }) => name)).not.toContain("holdfast.bulk");
    expect(() => new Catalog([builtIn])).toThrow(expect.objectContaining({ code: "options_invalid" }));
  });
});
