/** Runs as texts that travel: what arrives is the run that left, and what is no such text leaves nothing behind. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { runObject } from "../../src/objects/address.ts";
import { nameOfKey } from "../../src/objects/deployment/digest.ts";
import { exportRun } from "../../src/objects/transfer/transfer.ts";
import { ask, historyOf, newId, refusal, runThatIs, start, tokens } from "./client.ts";
import { settings } from "./settings.ts";
import { contentOf, evict, inRun, nothing } from "./storage.ts";
import type { Answer } from "./client.ts";
import { effects } from "./flows/transfer.ts";
import { watched } from "./crashpoint.ts";

const keyOf = (byte: number): string => btoa(String.fromCharCode(byte).repeat(32));

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Of the long history; 10,000 at large. */
const manySteps = Number(settings["TRANSFER_STEPS"] || 2000);

async function exported(id: string): Promise<string> {
  const { status, text, headers } = await ask(`POST /v1/runs/${id}/export`);
  expect([status, headers.get("content-type")]).toEqual([200, "application/x-ndjson"]);
  return text;
}

const imported = (raw: string, query = ""): Promise<Answer> => ask(`POST /v1/runs/import${query}`, { raw });

/** The lines of a text, without its last. */
function linesOf(text: string): Record<string, unknown>[] {
  const lines = text.split("\n").slice(0, -2);
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

async function sealed(lines: readonly string[]): Promise<string> {
  const body = lines.map((line) => `${line}\n`).join("");
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(body));
  const sha256 = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${body}${JSON.stringify({ entries: lines.length - 1, sha256 })}\n`;
}

/** The text with some of its lines changed, and a last line that fits. */
const resealed = (lines: readonly Record<string, unknown>[]): Promise<string> =>
  sealed(lines.map((line) => JSON.stringify(line)));

/** A run that waits, paused. */
async function pausedRun(input: object = {}, waits = 1): Promise<string> {
  const { id } = await start("wanderer", { input, labels: { team: "north" } });
  await runThatIs(id, { status: "waiting" });
  expect((await runThatIs(id, {})).waitingFor).toHaveLength(waits);
  await ask(`POST /v1/runs/${id}/pause`, { json: { reason: "moving" } });
  return id;
}

async function completedRun(input: object = {}): Promise<string> {
  const { id } = await start("wanderer", { input, signal: { name: "go", payload: { go: "on" } } }, "?wait=60s");
  await runThatIs(id, { status: "completed" });
  return id;
}

/** Takes the run out and removes it, so that its id is free as it is elsewhere. */
async function takeOut(id: string): Promise<string> {
  const text = await exported(id);
  await ask(`POST /v1/runs/${id}/terminate`);
  expect((await ask(`DELETE /v1/runs/${id}`)).status).toBe(204);
  return text;
}

describe("the text of a run", () => {
  it("begins with what it is, has each entry as it is stored, and ends with their number and digest", async () => {
    const id = await completedRun();
    const text = await exported(id);
    const [manifest, ...entries] = linesOf(text);
    expect(manifest).toEqual({
      ...{ format: "holdfast.run", version: 1, run: id, workflow: "wanderer", workflowVersion: "1" },
      ...{ status: "completed", seq: entries.length },
    });
    const rows = await inRun(id, ({ storage }) =>
      storage.sql.exec<{ data: string }>("SELECT data FROM journal ORDER BY row").toArray(),
    );
    expect(entries).toEqual(rows.flatMap(({ data }) => JSON.parse(data) as object[]));
    expect(text).toBe(await resealed(linesOf(text)));
  });

  it("of a run that has ended is the same each time", async () => {
    const id = await completedRun();
    expect(await exported(id)).toBe(await exported(id));
  });

  it.each(["read", "operate"] as const)("is not for the role %s", async (role) => {
    const token = tokens[role];
    expect(await refusal("POST /v1/runs/some/export", { token })).toBe("403 role_insufficient");
    expect(await refusal("POST /v1/runs/import", { token, raw: "{}" })).toBe("403 role_insufficient");
  });

  it("is refused of a run that goes on, with what to do; and of one that is not there", async () => {
    const { id } = await start("wanderer", { input: {} });
    const { status, body } = await ask(`POST /v1/runs/${id}/export`);
    expect([status, body["code"]]).toEqual([409, "not_exportable"]);
    expect(body["detail"]).toContain("pause it first");
    expect(await refusal("POST /v1/runs/nobody/export")).toBe("404 run_not_found");
    expect(await refusal(`POST /v1/runs/${id}/export`, { json: { more: 1 } })).toBe("400 field_unknown");
  });

  it("is refused of a run with an open child, which would stay here", async () => {
    const { id } = await start("guide", { input: {} });
    await runThatIs(id, { waitingFor: [{ kind: "run" }] });
    await ask(`POST /v1/runs/${id}/pause`);
    const { status, body } = await ask(`POST /v1/runs/${id}/export`);
    expect([status, body["code"]]).toEqual([409, "not_exportable"]);
    expect(body["detail"]).toContain("its child");
  });
});

/** An export whose first line was read, and what comes after it. */
async function begun(id: string): Promise<() => Promise<string>> {
  const text = await exportRun(id);
  const reader = text.getReader();
  const decoder = new TextDecoder();
  const first = decoder.decode((await reader.read()).value);
  return async () => {
    let whole = first;
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read())
      whole += decoder.decode(value, { stream: true });
    return whole;
  };
}

describe("an export that is under way", () => {
  it("ends where the run was when it began, whatever the run receives meanwhile", async () => {
    const id = await pausedRun();
    const rest = await begun(id);
    expect((await ask(`POST /v1/runs/${id}/signals/other`, { json: {} })).status).toBe(202);
    const [manifest, ...entries] = linesOf(await rest());
    expect(entries).toHaveLength(Number(manifest?.["seq"]));
    expect((await historyOf(id)).length).toBeGreaterThan(entries.length);
  });

  it("breaks off where another run has the id by now", async () => {
    const id = await completedRun();
    const rest = await begun(id);
    expect((await ask(`DELETE /v1/runs/${id}`)).status).toBe(204);
    await start("wanderer", { id, input: {}, signal: { name: "go", payload: {} } }, "?wait=60s");
    await expect(rest()).rejects.toMatchObject({ code: "run_not_found" });
  });
});

describe("a run that has ended", () => {
  it("while it waited for a call has no address here", async () => {
    const id = await pausedRun({ hook: true });
    await ask(`POST /v1/runs/${id}/terminate`);
    const before = await historyOf(id);
    await imported(await takeOut(id));
    expect((await historyOf(id)).map(({ kind }) => kind)).toEqual([...before.map(({ kind }) => kind), "run.imported"]);
  });

  it("according to a clock that is ahead of this one is read as it was", async () => {
    const id = await completedRun();
    const aheadMs = 30_000;
    const lines = linesOf(await takeOut(id)).map((line) =>
      line["kind"] === "run.completed" ? { ...line, at: Number(line["at"]) + aheadMs } : line,
    );
    expect((await imported(await resealed(lines))).status).toBe(201);
    await evict(id);
    expect((await historyOf(id)).at(-1)).toMatchObject({ kind: "run.imported" });
  });

  it("arrives as it was, and says where it came from; the same text again finds it", async () => {
    const id = await completedRun();
    const before = (await ask(`GET /v1/runs/${id}`)).body;
    const history = await historyOf(id);
    const text = await takeOut(id);
    const headers = { "holdfast-actor": "ana", "holdfast-reason": "moved" };
    const first = await ask("POST /v1/runs/import", { raw: text, headers });
    expect([first.status, first.headers.get("location")]).toEqual([201, `/v1/runs/${id}`]);
    const again = await imported(text);
    expect([again.status, again.body["id"]]).toEqual([200, id]);
    const { cost: _cost, updatedAt: _updatedAt, ...after } = (await ask(`GET /v1/runs/${id}`)).body;
    expect(before).toMatchObject(after);
    const [imported_, ...rest] = (await historyOf(id)).toReversed();
    expect(rest.toReversed()).toEqual(history);
    expect(imported_).toMatchObject({
      ...{ kind: "run.imported", by: "ana", role: "admin", reason: "moved", from: { id } },
      text: `ana (admin) imported the run, which was ${id} in another deployment: moved`,
    });
  });

  it("is listed where it was created, has its timeline, and can be forked", async () => {
    const original = await completedRun();
    const { body: timeline } = await ask(`GET /v1/runs/${original}/timeline`);
    const id = newId("copy");
    await imported(await exported(original), `?id=${id}`);
    const { createdAt } = await runThatIs(id, { status: "completed" });
    expect((await ask(`GET /v1/runs/${id}/timeline`)).body).toEqual(timeline);
    const after = new Date(Date.parse(createdAt) - 1).toISOString();
    await expect
      .poll(
        async () => {
          const { body } = await ask(`GET /v1/runs?workflow=wanderer&createdAfter=${after}&idPrefix=${id}`);
          return (body["runs"] as { id: string; createdAt: string }[]).map((run) => [run.id, run.createdAt]);
        },
        { timeout: 60_000 },
      )
      .toEqual([[id, createdAt]]);
    const { status, body } = await ask(`POST /v1/runs/${id}/fork`, { json: { from: "last" } });
    expect([status, body["workflow"]]).toEqual([201, "wanderer"]);
    await runThatIs(String(body["id"]), { status: "completed" });
  });

  it("that failed can be tried again where it arrived", async () => {
    const { id } = await start("wanderer", { input: { fail: true }, signal: { name: "go", payload: {} } }, "?wait=60s");
    await imported(await takeOut(id));
    const from = effects.length;
    await ask(`POST /v1/runs/${id}/retry`);
    await expect.poll(() => effects.slice(from)).toEqual([`last ${id}`]);
  });

  it("that was deleted here a short while ago is listed once that is ten minutes ago", async () => {
    const id = await completedRun();
    const text = await takeOut(id);
    const refused = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    expect((await imported(text)).status).toBe(201);
    await expect.poll(() => refused).toHaveBeenCalledWith(expect.stringContaining(id));
    const listed = async () => (await ask(`GET /v1/runs?idPrefix=${id}`)).body["runs"];
    expect(await listed()).toEqual([]);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 11 * 60_000 });
    await expect.poll(listed).toMatchObject([{ id, status: "completed" }]);
  });

  it("is kept no longer for having travelled: one that would be gone at once is refused", async () => {
    const id = await completedRun();
    const old = 31 * 86_400_000;
    const lines = linesOf(await takeOut(id)).map((line) => aged(line, old));
    const { status, body } = await imported(await resealed(lines));
    expect([status, body["code"]]).toEqual([422, "import_invalid"]);
    expect(body["detail"]).toContain("it would be gone at once");
    expect(await contentOf(id)).toEqual(nothing);
  });
});

/** The entry as it would be had everything happened so much earlier. */
function aged(line: Record<string, unknown>, ms: number): Record<string, unknown> {
  const moved = Object.entries(line).map(([name, value]) =>
    ["at", "startedAt", "until", "wakeAt"].includes(name) && typeof value === "number"
      ? [name, value - ms]
      : [name, value],
  );
  return Object.fromEntries(moved) as Record<string, unknown>;
}

describe("a run that waits", () => {
  it("arrives paused, goes on once it is resumed, and does nothing twice (guarantee 2)", async () => {
    const id = await pausedRun();
    const text = await takeOut(id);
    const first = effects.filter((effect) => effect === `first ${id}`).length;
    expect((await imported(text)).status).toBe(201);
    await runThatIs(id, { status: "paused", labels: { team: "north" } });
    expect(await refusal(`POST /v1/runs/${id}/signals/go`, { json: { go: "there" } })).toBe("202 undefined");
    await ask(`POST /v1/runs/${id}/resume`);
    const run = await runThatIs(id, { status: "completed", output: { said: { go: "there" } } });
    expect(run.output).toMatchObject({ first: { at: { $type: "Date", value: "1970-01-01T00:00:00.000Z" } } });
    expect(effects.filter((effect) => effect === `first ${id}`)).toHaveLength(first);
    expect(effects.filter((effect) => effect === `last ${id}`)).toHaveLength(1);
  });

  it("has its deadlines moved by all of the pause (guarantee 4)", async () => {
    const id = await pausedRun();
    const { until } = (await runThatIs(id, {})).waitingFor[0] ?? {};
    await imported(await takeOut(id));
    await ask(`POST /v1/runs/${id}/resume`);
    const resumed = (await historyOf(id)).find(({ kind }) => kind === "run.resumed");
    const run = await runThatIs(id, { status: "waiting" });
    const moved = Date.parse(run.waitingFor[0]?.until ?? "") - Date.parse(until ?? "");
    expect(moved).toBe(resumed?.["shiftMs"]);
  });

  it("draws the same numbers under another id, beside the run that it was", async () => {
    const id = await pausedRun();
    const other = newId("elsewhere");
    expect((await imported(await exported(id), `?id=${other}`)).status).toBe(201);
    for (const each of [id, other]) {
      await ask(`POST /v1/runs/${each}/resume`);
      await ask(`POST /v1/runs/${each}/signals/go`, { json: {} });
    }
    const [one, two] = [await runThatIs(id, { status: "completed" }), await runThatIs(other, { status: "completed" })];
    expect(two.output).toEqual(one.output);
    expect((await historyOf(other)).at(0)).toMatchObject({ id: other });
  });

  it("for a webhook has an address here, and no other leads to it", async () => {
    const id = await pausedRun({ hook: true });
    const old = (await runThatIs(id, {})).waitingFor[0]?.url ?? "";
    await imported(await takeOut(id));
    const url = (await runThatIs(id, { status: "paused" })).waitingFor[0]?.url ?? "";
    expect(url).not.toBe(old);
    await ask(`POST /v1/runs/${id}/resume`);
    const call = (to: string) => refusal(`POST ${new URL(to).pathname}`, { token: null, raw: "hello" });
    expect(await call(old)).toBe("410 webhook_revoked");
    expect(await call(url)).toBe("202 undefined");
    await ask(`POST /v1/runs/${id}/signals/go`, { json: {} });
    await runThatIs(id, { status: "completed", output: { call: "hello" } });
  });

  it("stands in line before the limits that its workflow has here", async () => {
    const holder = await start("gated-wanderer", { input: {} });
    await ask(`POST /v1/runs/${holder.id}/pause`);
    const text = await takeOut(holder.id);
    const other = await start("gated-wanderer", { input: {} });
    expect((await imported(text)).status).toBe(201);
    expect((await historyOf(holder.id))[0]).toMatchObject({
      lanes: [{ lane: "concurrency:gated-wanderer", limit: 1 }],
    });
    await ask(`POST /v1/runs/${holder.id}/resume`);
    for (const id of [other.id, holder.id]) {
      await ask(`POST /v1/runs/${id}/signals/go`, { json: { id } });
      await runThatIs(id, { status: "completed", output: { id } });
    }
  });
});

describe("an id", () => {
  it("that another run has is refused, and another may be given", async () => {
    const id = await completedRun();
    const text = await exported(id);
    expect((await imported(text)).body["code"]).toBe("run_exists");
    const other = newId("copy");
    expect((await imported(text, `?id=${other}`)).status).toBe(201);
    expect((await imported(text, `?id=${other}`)).status).toBe(200);
    const another = await completedRun();
    expect((await imported(await exported(another), `?id=${other}`)).body["code"]).toBe("run_exists");
    expect(await refusal("POST /v1/runs/import?id=.odd", { raw: text })).toBe("400 id_invalid");
    expect(await refusal("POST /v1/runs/import?as=x", { raw: text })).toBe("400 parameter_unknown");
  });

  it("is the only one under its Idempotency-Key", async () => {
    const headers = { "idempotency-key": newId("import") };
    const id = await completedRun();
    const text = await takeOut(id);
    const call = "POST /v1/runs/import";
    expect((await ask(call, { raw: text, headers })).status).toBe(201);
    expect((await ask(call, { raw: text, headers })).status).toBe(200);
    expect(await refusal(`${call}?id=${newId("copy")}`, { raw: text, headers })).toBe("409 idempotency_conflict");
    const another = await takeOut(await completedRun());
    expect(await refusal(call, { raw: another, headers })).toBe("409 idempotency_conflict");
    expect((await ask(call, { raw: another })).status).toBe(201);
    const echo = "POST /v1/workflows/web-echo/runs";
    expect(await refusal(echo, { json: {}, headers })).toBe("409 idempotency_conflict");
  });

  it("leaves its Idempotency-Key free where the text was refused", async () => {
    const text = await takeOut(await pausedRun());
    const headers = { "idempotency-key": newId("import") };
    const importedAs = (id: string, raw: string) => ask(`POST /v1/runs/import?id=${newId(id)}`, { raw, headers });
    const changed = text.replace('"team":"north"', '"team":"south"');
    expect((await importedAs("first", changed)).body["code"]).toBe("import_invalid");
    expect((await importedAs("second", text)).status).toBe(201);
  });

  it("finds no run of an older text, which is not all of it", async () => {
    const id = await pausedRun();
    const older = await exported(id);
    await ask(`POST /v1/runs/${id}/signals/other`, { json: {} });
    const newer = await takeOut(id);
    expect((await imported(newer)).status).toBe(201);
    expect(await refusal("POST /v1/runs/import", { raw: older })).toBe("409 run_exists");
  });

  it("keeps its Idempotency-Key for the run that it made, also where another text comes under it", async () => {
    const text = await takeOut(await pausedRun());
    const headers = { "idempotency-key": newId("import") };
    const id = newId("kept");
    expect((await ask(`POST /v1/runs/import?id=${id}`, { raw: text, headers })).status).toBe(201);
    expect(await refusal(`POST /v1/runs/import?id=${id}`, { raw: "{}", headers })).toBe("422 import_invalid");
    const other = await exported(await completedRun());
    expect(await refusal(`POST /v1/runs/import?id=${id}`, { raw: other, headers })).toBe("409 run_exists");
    const copy = `POST /v1/runs/import?id=${newId("copy")}`;
    expect(await refusal(copy, { raw: text, headers })).toBe("409 idempotency_conflict");
  });

  it("of a run that its own Idempotency-Key named is no other under it", async () => {
    const headers = { "idempotency-key": newId("own") };
    const { body } = await ask("POST /v1/workflows/wanderer/runs", { json: { input: {} }, headers });
    const { id } = await runThatIs(String(body["id"]), { status: "waiting" });
    await ask(`POST /v1/runs/${id}/pause`);
    const text = await takeOut(id);
    expect((await ask("POST /v1/runs/import", { raw: text, headers })).status).toBe(201);
  });

  it("has no id that stands for an Idempotency-Key, also if that is bound while the text arrives (guarantee 1)", async () => {
    const key = newId("key");
    const id = await nameOfKey(key);
    const text = await exported(await completedRun());
    const { readable, writable } = new IdentityTransformStream();
    const writer = writable.getWriter();
    const arrived = runObject(id).arrive(readable, { id, shards: 4, origin: null, by: "test", reason: null });
    await writer.write(new TextEncoder().encode(text.slice(0, 10)));
    const own = { json: { id: newId("own") }, headers: { "idempotency-key": key } };
    expect((await ask("POST /v1/workflows/web-echo/runs", own)).status).toBe(201);
    await writer.write(new TextEncoder().encode(text.slice(10)));
    await writer.close();
    expect(await arrived).toMatchObject({ ok: false, refusal: { code: "run_exists" } });
    expect((await ask("POST /v1/workflows/web-echo/runs", own)).status).toBe(200);
  });

  it("is free again once the run was deleted", async () => {
    const id = await completedRun();
    const text = await takeOut(id);
    expect((await imported(text)).status).toBe(201);
    expect((await ask(`DELETE /v1/runs/${id}`)).status).toBe(204);
    expect(await contentOf(id)).toEqual(nothing);
  });
});

describe("guarantee 1: a run whose process ends as it arrives", () => {
  it.each([
    ["before it is safe is not there, and no part of it", "lost"],
    ["once it is safe is there, and the same text finds it", "kept"],
  ] as const)("%s", async (_, how) => {
    const id = await completedRun();
    const text = await exported(id);
    const other = newId("arrived");
    watched(other).blows = [{ at: 1, how }];
    const first = await imported(text, `?id=${other}`).catch(() => null);
    if (how === "lost") expect(first?.status ?? 503).toBeGreaterThanOrEqual(500);
    expect(watched(other).blows).toEqual([]);
    if (how === "lost") expect(await contentOf(other)).toEqual(nothing);
    const again = await imported(text, `?id=${other}`);
    expect([again.status, again.body["status"]]).toEqual([how === "lost" ? 201 : 200, "completed"]);
    expect((await historyOf(other)).map(({ kind }) => kind)).toEqual([
      ...(await historyOf(id)).map(({ kind }) => kind),
      "run.imported",
    ]);
  });
});

describe("results of sensitive steps", () => {
  const secret = newId("canary");

  it("travel sealed, and are there again where the key is", async () => {
    settings["ENCRYPTION_KEYS"] = `new:${keyOf(2)},old:${keyOf(1)}`;
    const id = await pausedRun({ secret });
    const lines = linesOf(await exported(id)).filter(({ kind }) => kind === "step.completed");
    expect(lines.find(({ step }) => step === "hidden")?.["result"]).toMatch(/^enc1\.new\./);
    const text = await takeOut(id);
    settings["ENCRYPTION_KEYS"] = `old:${keyOf(1)},new:${keyOf(2)}`;
    expect((await imported(text)).status).toBe(201);
    await ask(`POST /v1/runs/${id}/resume`);
    await ask(`POST /v1/runs/${id}/signals/go`, { json: {} });
    await runThatIs(id, { status: "completed", output: { hidden: secret.length } });
    expect(effects.filter((effect) => effect === `hidden ${id}`)).toHaveLength(1);
  });

  it("are sealed otherwise each time: the run is found by what they open as, and another export of it is refused", async () => {
    settings["ENCRYPTION_KEYS"] = `a:${keyOf(1)}`;
    const id = await pausedRun({ secret });
    const [first, second] = [await exported(id), await exported(id)];
    expect(second).not.toBe(first);
    await ask(`POST /v1/runs/${id}/resume`);
    await ask(`POST /v1/runs/${id}/pause`);
    const later = await exported(id);
    const other = newId("twice");
    for (const target of [other, id]) {
      if (target === id) await takeOut(id);
      expect((await imported(first, `?id=${target}`)).status).toBe(201);
      await ask(`POST /v1/runs/${target}/resume`);
      const history = await historyOf(target);
      const again = await imported(second, `?id=${target}`);
      expect([again.status, again.body["id"]]).toEqual([200, target]);
      expect(await historyOf(target)).toEqual(history);
      expect((await imported(later, `?id=${target}`)).body["code"]).toBe("run_exists");
      const lines = linesOf(first).map((line) => (line["kind"] === "run.created" ? { ...line, labels: {} } : line));
      expect((await imported(await resealed(lines), `?id=${target}`)).body["code"]).toBe("run_exists");
    }
  });

  it("are refused without the key, with another, moved or changed", async () => {
    settings["ENCRYPTION_KEYS"] = `a:${keyOf(1)}`;
    const id = await pausedRun({ secret });
    const text = await takeOut(id);
    for (const [keys, code] of [
      [undefined, "key_missing"],
      [`b:${keyOf(1)}`, "key_missing"],
      [`a:${keyOf(2)}`, "import_invalid"],
    ] as const) {
      settings["ENCRYPTION_KEYS"] = keys;
      expect((await imported(text)).body["code"]).toBe(code);
    }
    settings["ENCRYPTION_KEYS"] = `a:${keyOf(1)}`;
    const lines = linesOf(text);
    const changed = lines.map((line) =>
      line["step"] === "hidden" ? { ...line, result: String(line["result"]).replace(/.{4}$/, "AAA=") } : line,
    );
    expect((await imported(await resealed(changed))).body["code"]).toBe("import_invalid");
    // Under the name of a step, or of a workflow, that would tell it.
    const shown = lines.map((line) => (line["step"] === "hidden" ? { ...line, step: "shown" } : line));
    const elsewhere = lines.map((line) => (line["workflow"] === undefined ? line : { ...line, workflow: "long-walk" }));
    for (const moved of [shown, elsewhere]) {
      const { body } = await imported(await resealed(moved));
      expect([body["code"], body["detail"]]).toEqual(["import_invalid", expect.stringContaining("does not open")]);
    }
    expect(await contentOf(id)).toEqual(nothing);
  });

  it("of a run that is to go on are refused without a key; of one that has ended they stay behind", async () => {
    const paused = await pausedRun({ secret });
    expect((await ask(`POST /v1/runs/${paused}/export`)).body["detail"]).toContain("ENCRYPTION_KEYS");
    const id = await completedRun({ secret });
    const lines = linesOf(await exported(id));
    expect(lines[0]).toMatchObject({ status: "completed", omitted: 1 });
    expect(lines.find(({ step }) => step === "hidden")).toMatchObject({ sensitive: true, omitted: true, result: "-1" });
    await imported(await takeOut(id));
    await runThatIs(id, { status: "completed", output: { hidden: secret.length } });
    expect(await refusal(`POST /v1/runs/${id}/fork`, { json: { from: "last" } })).toBe("422 fork_invalid");
    expect(await refusal(`GET /v1/runs/${id}/queries/where`)).toBe("422 query_failed");
    const given = { from: "last", results: { hidden: "other" } };
    expect(await refusal(`POST /v1/runs/${id}/fork`, { json: given })).toBe("201 undefined");
    expect(await refusal(`POST /v1/runs/${id}/fork`, { json: { from: "first" } })).toBe("201 undefined");
    expect(linesOf(await exported(id))[0]).toMatchObject({ omitted: 1 });
  });
});

it(`a history of ${manySteps} steps arrives, leaves page by page, and goes on`, async () => {
  const { id } = await start("long-walk", { input: { steps: manySteps }, delay: "1 hour" });
  await ask(`POST /v1/runs/${id}/pause`);
  const [manifest = {}, delayed = {}] = linesOf(await exported(id));
  const created = { ...delayed, startAt: null };
  const at = Number(delayed["at"]);
  const started = { seq: 2, at, kind: "run.started", deployment: "another" };
  // Together more than a page.
  const pad = "x".repeat(Math.ceil(6_000_000 / manySteps));
  const steps = Array.from({ length: manySteps }, (_, index) => ({
    ...{ seq: index + 3, at, kind: "step.completed", step: index === 0 ? "step" : `step#${index + 1}`, attempt: 1 },
    ...{ startedAt: at, result: `[{"n":1,"pad":2},${index},"${pad}"]` },
  }));
  const paused = { seq: manySteps + 3, at, kind: "run.paused", by: "admin", reason: null };
  const first = { ...manifest, status: "paused", seq: paused.seq };
  const text = await resealed([first, created, started, ...steps, paused]);
  const other = newId("long");
  expect((await imported(text, `?id=${other}`)).status).toBe(201);
  const again = linesOf(await exported(other));
  expect(again.slice(3, -1)).toEqual([...steps, paused]);
  await ask(`POST /v1/runs/${other}/resume`);
  await ask(`POST /v1/runs/${other}/signals/go`, { json: {} });
  await runThatIs(other, { status: "completed", output: (manySteps * (manySteps - 1)) / 2 });
});

describe("what is no such text is refused, and leaves nothing behind", () => {
  it("cut off at any line or within it, or a byte of it changed", async () => {
    const id = await completedRun();
    const text = await takeOut(id);
    const whole = text.split("\n");
    const cuts = whole.slice(0, -1).flatMap((_, lines) => {
      const head = whole
        .slice(0, lines)
        .map((line) => `${line}\n`)
        .join("");
      return [head, head + (whole[lines] ?? "").slice(0, -3)];
    });
    const bytes = Array.from({ length: 20 }, (_, index) => Math.floor(((index + 0.5) * text.length) / 20));
    const flips = bytes.map(
      (where) => text.slice(0, where) + (text[where] === "x" ? "y" : "x") + text.slice(where + 1),
    );
    for (const broken of [...cuts, ...flips, `${text}${text}`, `${text}\n`, ` ${text}`, `\ufeff${text}`]) {
      const { status, body } = await imported(broken);
      expect([status, body["code"], body["detail"]]).toEqual([
        422,
        "import_invalid",
        expect.stringMatching(/^line \d+: /),
      ]);
    }
    expect(await contentOf(id)).toEqual(nothing);
    expect((await imported(text)).status).toBe(201);
  });

  it("sealed anew, with lines that do not follow, of later versions, or that hold what no run could have written", async () => {
    const id = await completedRun();
    const [manifest = {}, created = {}, ...rest] = linesOf(await takeOut(id));
    const texts = [
      [manifest, ...rest],
      [manifest, created, ...rest.toReversed()],
      [manifest, created, ...rest.slice(0, -1)],
      [
        manifest,
        created,
        ...rest.map((line) => (line["kind"] === "run.completed" ? { ...line, kind: "run.dreamt" } : line)),
      ],
      [manifest, { ...created, input: '[{"__proto__":1},1]' }, ...rest],
      [manifest, { ...created, labels: JSON.parse('{"__proto__":"x"}') as object }, ...rest],
    ];
    for (const lines of texts) {
      const { status, body } = await imported(await resealed(lines));
      expect([status, body["code"], body["detail"]]).toEqual([
        422,
        "import_invalid",
        expect.stringMatching(/^line \d+: /),
      ]);
    }
    expect(await contentOf(id)).toEqual(nothing);
  });

  it("of a built-in workflow, which acted where it was, and which it names", async () => {
    const { body: bulk } = await ask("POST /v1/runs/bulk", {
      json: { action: "cancel", filter: { workflow: "none" } },
    });
    await runThatIs(String(bulk["id"]), { status: "completed" });
    const { status, body } = await imported(await exported(String(bulk["id"])), "?id=copied-bulk");
    expect([status, body["code"]]).toEqual([422, "import_invalid"]);
    expect(body["detail"]).toContain("line 1: holdfast.bulk is built in");
  });

  it("no text, no lines, no UTF-8, or a line without an end", async () => {
    for (const raw of ["", "\n", "[]\n", "null\n", "{}\n", "x".repeat(100_000), new Uint8Array([255, 254, 10])]) {
      expect(await refusal("POST /v1/runs/import", { raw })).toBe("422 import_invalid");
    }
  });

  it.runIf(settings["TRANSFER_LARGE"])("more than 64 MiB", async () => {
    const id = newId("large");
    const manifest = { format: "holdfast.run", version: 1, run: id, workflow: "wanderer", workflowVersion: "1" };
    const line = `${JSON.stringify({ kind: "log.written", message: "x".repeat(1_000_000) })}\n`;
    let sent = 0;
    const raw = new ReadableStream<Uint8Array>({
      pull(controller) {
        const text = sent++ === 0 ? `${JSON.stringify({ ...manifest, status: "completed", seq: 9 })}\n` : line;
        controller.enqueue(new TextEncoder().encode(text));
        if (sent > 70) controller.close();
      },
    });
    expect(await refusal("POST /v1/runs/import", { raw })).toBe("413 value_too_large");
    expect(await contentOf(id)).toEqual(nothing);
  });
});
