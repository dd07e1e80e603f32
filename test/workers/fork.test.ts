/** Forks over HTTP and by handles, from object to object. */
import { describe, expect, it, vi } from "vitest";
import { HoldfastError, getRun } from "../../src/index.ts";
import { ask, historyOf, newId, refusal, runThatIs, start, tokens } from "./client.ts";
import type { Ask, EntryJson, RunJson } from "./client.ts";
import { mend, ranIn } from "./flows/fork.ts";
import { watched } from "./crashpoint.ts";
import { evict, inRun } from "./storage.ts";

/** A run of `fork-chain` that has ended. */
async function chain(input: Record<string, unknown> = { n: "1" }): Promise<RunJson> {
  const { id } = await start("fork-chain", { input });
  await ask(`POST /v1/runs/${id}/signals/go`, { json: "now" });
  return await runThatIs(id, { status: "completed" });
}

async function fork(id: string, json: Record<string, unknown>, options: Ask = {}): Promise<RunJson> {
  const { status, body, headers } = await ask(`POST /v1/runs/${id}/fork`, { json, ...options });
  expect([status, body]).toEqual([201, expect.objectContaining({ fork: { id, step: json["from"] ?? null } })]);
  expect(headers.get("location")).toBe(`/v1/runs/${String(body["id"])}`);
  return body as unknown as RunJson;
}

const isCopied = ({ kind }: EntryJson): boolean => kind !== "run.created" && kind !== "run.started";

async function copiesOf(id: string): Promise<unknown[]> {
  const entries = await historyOf(id);
  const begun = entries.findIndex(({ kind }) => kind === "run.started");
  return entries.slice(1, begun).map(({ kind, step, name }) => [kind, step ?? name]);
}

describe("a fork", () => {
  it("has the history up to its step, and runs the rest (guarantee 2)", async () => {
    const original = await chain();
    const { id } = await fork(original.id, { from: "second", reason: "another look" });
    const ended = await runThatIs(id, { status: "completed" });
    expect(ended.output).toEqual(original.output);
    expect(ranIn(id)).toEqual(["second", "third"]);
    expect(await copiesOf(id)).toEqual([
      ["step.completed", "first"],
      ["signal.received", "go"],
      ["signal.consumed", "go"],
    ]);
    const [created] = await historyOf(id);
    expect(created).toMatchObject({
      kind: "run.created",
      by: "admin",
      labels: { team: "none" },
      parent: null,
      fork: { id: original.id, step: "second", upTo: 4, reason: "another look" },
    });
  });

  it("leaves the run it comes from as it was, ended, waiting or paused", async () => {
    const ended = await chain();
    const waiting = await start("fork-chain", { input: { n: "1" } });
    await runThatIs(waiting.id, { status: "waiting" });
    const paused = await start("fork-chain", { input: { n: "1" } });
    await runThatIs(paused.id, { status: "waiting" });
    await ask(`POST /v1/runs/${paused.id}/pause`);
    for (const { id } of [ended, waiting, paused]) {
      const before = await historyOf(id);
      const forked = await fork(id, { from: "go" });
      // Not that its handler is at no step, as in the middle of its replay.
      expect(forked).toMatchObject({ status: "waiting", waitingFor: [{ kind: "signal", name: "go" }] });
      expect(ranIn(forked.id)).toEqual([]);
      expect(await historyOf(id)).toEqual(before);
    }
  });

  it("from the start is a run of the same input that does everything again", async () => {
    const original = await chain({ n: "7", team: "red" });
    const { id } = await fork(original.id, {});
    await ask(`POST /v1/runs/${id}/signals/go`, { json: "again" });
    const { output } = await runThatIs(id, { status: "completed", labels: { team: "red" } });
    expect(output).toEqual({ ...(original.output as object), go: "again" });
    expect(ranIn(id)).toEqual(["first", "second", "third"]);
  });

  it("takes another input, as the schema makes it, with the history or without", async () => {
    const original = await chain({ n: "1", team: "red" });
    const { id } = await fork(original.id, { from: "second", input: { n: "5", team: "blue" } });
    const ended = await runThatIs(id, { status: "completed", input: { n: 5, team: "blue" }, labels: { team: "blue" } });
    expect(ended.output).toMatchObject({ team: "blue", first: 1, second: 2 });
    const anew = await fork(original.id, { input: { n: "5" } });
    expect(anew).toMatchObject({ input: { n: 5, team: "none" }, labels: { team: "none" } });
    expect(await refusal(`POST /v1/runs/${original.id}/fork`, { json: { input: { n: 5 } } })).toBe("422 input_invalid");
  });

  it("takes results in the place of those on record, and of steps that would run", async () => {
    const original = await chain();
    const { id } = await fork(original.id, { from: "second", results: { first: 10, third: 30 } });
    const { output } = await runThatIs(id, { status: "completed" });
    expect(output).toMatchObject({ first: 10, second: 11, third: 30 });
    expect(ranIn(id)).toEqual(["second"]);
  });

  it("heals a run that failed, and can be forked itself", async () => {
    const { id } = await start("fork-fragile");
    await runThatIs(id, { status: "failed" });
    const again = newId("healed");
    mend(again);
    await fork(id, { from: "second", id: again });
    await runThatIs(again, { status: "completed", output: "whole" });
    const once = await fork(again, { from: "second", results: { second: "given" } });
    expect(await runThatIs(once.id, { status: "completed" })).toMatchObject({ output: "given" });
    expect(ranIn(once.id)).toEqual([]);
  });

  it("survives eviction, and replays what it has (guarantee 2)", async () => {
    const waiting = await start("fork-chain", { input: { n: "1" } });
    await runThatIs(waiting.id, { status: "waiting" });
    const { id } = await fork(waiting.id, { from: "go" });
    await runThatIs(id, { status: "waiting" });
    await evict(id);
    await ask(`POST /v1/runs/${id}/signals/go`, { json: 1 });
    await runThatIs(id, { status: "completed" });
    expect(ranIn(id)).toEqual(["second", "third"]);
    expect((await historyOf(id)).filter(isCopied).map(({ kind }) => kind)).not.toContain("step.added");
  });

  it("is held by the limits of its workflow as any start, but is no part of another run", async () => {
    const input = { key: newId("key"), tenant: newId("tenant"), n: 1 };
    const original = await start("flow-turned", { input });
    await runThatIs(original.id, { status: "waiting" });
    const first = await fork(original.id, {});
    // A debounce would have made one start of both.
    const second = await fork(original.id, { from: "end" });
    await runThatIs(first.id, { status: "queued", waitingFor: [{ kind: "lane" }] });
    await ask(`POST /v1/runs/${original.id}/signals/end`);
    await runThatIs(first.id, { status: "waiting", waitingFor: [{ kind: "signal", name: "end" }] });
    await runThatIs(second.id, { status: "queued" });
    await ask(`POST /v1/runs/${first.id}/signals/end`);
    await ask(`POST /v1/runs/${second.id}/signals/end`);
    await runThatIs(second.id, { status: "completed", output: 1 });
  });

  it("of a run that went on as new has the history of its last life", async () => {
    const { id } = await start("fork-again", { input: { life: 0 } });
    for (const json of ["one", "two"]) await ask(`POST /v1/runs/${id}/signals/go`, { json });
    const { output } = await runThatIs(id, { status: "completed" });
    expect(output).toEqual({ first: 1, go: "two", last: 1, continued: 1 });
    const forked = await fork(id, { from: "last" });
    expect(await runThatIs(forked.id, { status: "completed", input: { life: 1 } })).toMatchObject({ output });
    expect(ranIn(forked.id)).toEqual(["last 1"]);
    expect(Date.parse(forked.createdAt)).toBeGreaterThan(0);
    // The listing may be late by a moment.
    await vi.waitFor(async () => {
      const listed = (await ask(`GET /v1/runs?workflow=fork-again`)).body["runs"] as RunJson[];
      expect(listed.map((run) => run.id)).toContain(forked.id);
    }, 60_000);
  });

  it("of a run that a schedule started knows the firing, and is no run of the schedule", async () => {
    const { body } = await ask("POST /v1/schedules/web-yearly/trigger");
    const id = String(body["id"]);
    await runThatIs(id, { status: "completed" });
    const [created] = await historyOf(id);
    const forked = await fork(id, {});
    await runThatIs(forked.id, { status: "completed" });
    expect((await historyOf(forked.id))[0]).toMatchObject({ schedule: created?.["schedule"], input: { year: true } });
    expect(created?.["schedule"]).toMatchObject({ id: "web-yearly" });
  });

  it("is made by a handle as well", async () => {
    const original = await chain();
    const run = await getRun(original.id).fork({ from: "third", results: { first: 4 }, id: newId("by-handle") });
    expect(await run.result()).toMatchObject({ first: 4, second: 2, third: 3 });
    await expect(getRun(original.id).fork({ from: "fourth" })).rejects.toThrow(
      expect.objectContaining({ code: "fork_invalid" }),
    );
    await expect(getRun(original.id).fork({ form: "third" } as object)).rejects.toThrow(HoldfastError);
  });
});

describe("a fork that is asked for", () => {
  it("dry, says what it would keep and run again, and makes nothing", async () => {
    const { id } = await chain();
    const dry = async (json: unknown) => (await ask(`POST /v1/runs/${id}/fork?dryRun=true`, { json })).body;
    expect(await dry({ from: "second" })).toEqual({ kept: ["first", "go"], rerun: ["second", "third"] });
    expect(await dry({})).toEqual({ kept: [], rerun: ["first", "go", "second", "third"] });
    expect(await dry({ from: "go", results: { third: 1 }, id: newId("dry") })).toEqual({
      kept: ["first", "third"],
      rerun: ["go", "second"],
    });
    const { body } = await ask(`POST /v1/runs/${id}/fork?dryRun=true`, { json: { from: "nowhere" } });
    expect(body).toMatchObject({ status: 422, code: "fork_invalid" });
  });

  it("twice with one key is one run; with another body it is refused", async () => {
    const { id } = await chain();
    const keyed = { headers: { "idempotency-key": newId("fork-key") } };
    const first = await fork(id, { from: "second", results: { first: 2 } }, keyed);
    const again = await ask(`POST /v1/runs/${id}/fork`, { json: { from: "second", results: { first: 2 } }, ...keyed });
    expect([again.status, again.body["id"]]).toEqual([200, first.id]);
    for (const json of [
      { from: "third", results: { first: 2 } },
      { from: "second", results: { first: 3 } },
      { from: "second" },
      { from: "second", results: { first: 2 }, input: { n: "9" } },
    ]) {
      expect(await refusal(`POST /v1/runs/${id}/fork`, { json, ...keyed })).toBe("409 idempotency_conflict");
    }
  });

  it("many times at once with one id is one run", async () => {
    const original = await chain();
    const id = newId("together");
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => ask(`POST /v1/runs/${original.id}/fork`, { json: { from: "second", id } })),
    );
    expect(answers.map(({ status }) => status).toSorted()).toEqual([...Array.from({ length: 9 }, () => 200), 201]);
    await runThatIs(id, { status: "completed" });
    expect(ranIn(id)).toEqual(["second", "third"]);
  });

  it("under an id that is taken is refused", async () => {
    const { id } = await chain();
    const other = await chain();
    for (const taken of [id, other.id]) {
      expect(await refusal(`POST /v1/runs/${id}/fork`, { json: { from: "second", id: taken } })).toBe("409 run_exists");
    }
    const forked = await fork(id, { from: "second", id: newId("taken") });
    const json = { id: forked.id, input: { n: "1" } };
    expect(await refusal("POST /v1/workflows/fork-chain/runs", { json })).toBe("409 run_exists");
  });

  it("says what is wrong with it", async () => {
    const { id } = await chain();
    const refused = (json: unknown, query = "") => refusal(`POST /v1/runs/${id}/fork${query}`, { json });
    expect(await refused({ from: "nowhere" })).toBe("422 fork_invalid");
    expect(await refused({ results: { nowhere: 1 } })).toBe("422 fork_invalid");
    expect(await refused({ results: { go: 1 } })).toBe("422 fork_invalid");
    expect(await refused({ from: 1 })).toBe("400 body_invalid");
    expect(await refused({ results: [1] })).toBe("400 body_invalid");
    expect(await refused({ results: { first: { $type: "Date", value: "never" } } })).toBe("400 body_invalid");
    expect(await refused({ id: "no good" })).toBe("400 id_invalid");
    expect(await refused({ step: "first" })).toBe("400 field_unknown");
    expect(await refused({ reason: 1 })).toBe("400 body_invalid");
    expect(await refused({}, "?dryRun=maybe")).toBe("400 parameter_invalid");
    expect(await refusal("POST /v1/runs/nobody/fork")).toBe("404 run_not_found");
    expect(await refusal(`POST /v1/runs/${id}/fork`, { token: tokens.operate })).toBe("403 role_insufficient");
    expect((await ask(`POST /v1/runs/${id}/fork?dryRun=true`, { token: tokens.admin })).status).toBe(200);
  });
});

describe("a history on its way", () => {
  it("is copied whole, however large it is", async () => {
    const { id } = await start("fork-heavy", { input: { steps: 12, size: 4_000_000 } });
    await runThatIs(id, { status: "completed" });
    const forked = await fork(id, { from: "last" });
    expect(await runThatIs(forked.id, { status: "completed" })).toMatchObject({ output: 48_000_000 });
    expect(ranIn(forked.id)).toEqual([]);
  });

  it("of thousands of steps is copied in order", async () => {
    const { id } = await start("fork-heavy", { input: { steps: 3000, size: 3 } });
    await runThatIs(id, { status: "completed" });
    const forked = await fork(id, { from: "load#2500" });
    await vi.waitFor(() => runThatIs(forked.id, { status: "completed", output: 9000 }), { timeout: 60_000 });
    expect(ranIn(forked.id)).toEqual(Array.from({ length: 501 }, (_unused, i) => `load ${i + 2499}`));
  });

  it("leaves no half of a run behind when the process dies over it (guarantee 1)", async () => {
    const original = await chain();
    for (let at = 1; at <= 5; at++) {
      const id = newId("cut-off");
      watched(id).blows = [{ at, how: "lost" }];
      const { status } = await ask(`POST /v1/runs/${original.id}/fork`, { json: { from: "second", id } });
      expect(status).toBe(503);
      expect(watched(id).blows).toEqual([]);
      expect(await refusal(`GET /v1/runs/${id}`)).toBe("404 run_not_found");
      const tables = await inRun(id, (ctx) =>
        ctx.storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'journal'").toArray(),
      );
      expect(tables).toEqual([]);
      await fork(original.id, { from: "second", id });
      expect(await runThatIs(id, { status: "completed" })).toMatchObject({ output: original.output });
    }
  });
});
