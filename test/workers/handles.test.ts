/** Handles: what they do in the Worker, they do over HTTP; and what a client has besides. */
import { exports } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { createClient } from "../../src/client.ts";
import { defineWorkflow, getRun } from "../../src/index.ts";
import { newId, tokens } from "./client.ts";
import { heldFailing, heldParcel } from "./flows/client.ts";
import type { Parcel } from "./flows/client.ts";

const options = { url: "http://example.com/", fetch: (request: Request) => exports.default.fetch(request) };
const client = createClient({ ...options, token: tokens.admin, actor: "Zoë" });
const over = client.workflow<typeof heldParcel>("held-parcel");

const parcel: Parcel = {
  due: new Date("2027-02-03T04:05:06.789Z"),
  weights: new Map([["net", 12n]]),
  seal: new Uint8Array([1, 2, 255]),
};

async function collect<Item, Kept = Item>(items: AsyncIterable<Item>, keep = (item: Item): Kept => item as never) {
  const kept: Kept[] = [];
  for await (const item of items) kept.push(keep(item));
  return kept;
}

describe.each([
  ["in the Worker", { parcel: heldParcel, failing: heldFailing, hold: getRun }],
  ["over HTTP", { parcel: over, failing: client.workflow<typeof heldFailing>("held-failing"), hold: client.getRun }],
] as const)("a handle %s", (_where, { parcel: parcels, failing, hold }) => {
  it("starts a run with values of any kind, sees them, sends, asks and has its result", async () => {
    const id = newId("held");
    const run = await parcels.start(parcel, { id, labels: { customer: "7" } });
    expect(run.id).toBe(id);
    await run.update("note", { text: "fragile" }, { idempotencyKey: "n" });
    await run.update("note", { text: "fragile" }, { idempotencyKey: "n" });
    expect(await run.query("notes")).toEqual(["fragile"]);
    const seen = await run.status();
    expect(seen).toMatchObject({ id, workflow: "held-parcel", status: "waiting", labels: { customer: "7" } });
    expect([seen.input, seen.progress, seen.output, seen.error]).toEqual([parcel, { at: parcel.due }, null, null]);
    expect(seen.createdAt).toBeInstanceOf(Date);
    expect(seen.waitingFor).toMatchObject([{ kind: "signal", name: "handed", since: expect.any(Number), until: null }]);
    await run.signal("handed", { to: "Ada" });
    expect(await run.result()).toEqual({ ...parcel, to: "Ada", notes: ["fragile"] });
    expect((await hold(id).status()).output).toEqual({ ...parcel, to: "Ada", notes: ["fragile"] });
  });

  it("throws what the run, its queries and its updates throw, causes and all", async () => {
    const failed = await failing.start();
    const error = { name: "NonRetryableError", message: "too heavy", code: "non_retryable", step: "weigh" };
    await expect(failed.result()).rejects.toMatchObject(error);
    expect((await failed.status()).error?.cause).toMatchObject({ message: "scales" });
    const run = await parcels.start(parcel);
    await expect(run.query("broken")).rejects.toThrow(new RangeError("nothing to weigh"));
    await expect(run.update("slip")).rejects.toMatchObject({
      message: "it slipped",
      cause: { message: "wet hands" },
    });
    await run.cancel("not wanted");
    await expect(run.result()).rejects.toMatchObject({ code: "cancelled" });
  });

  it("is refused by code, with what is wrong in what was sent", async () => {
    const run = await parcels.start(parcel);
    await expect(run.signal("handed", { to: 7 } as never)).rejects.toMatchObject({
      code: "signal_invalid",
      issues: [{ path: "/to" }],
    });
    await expect(run.update("note", { text: "" })).rejects.toMatchObject({ code: "update_invalid" });
    await expect(run.query("weight")).rejects.toMatchObject({ code: "query_not_found" });
    await expect(hold("nobody-has-this").status()).rejects.toMatchObject({ code: "run_not_found" });
    await expect(parcels.start({ ...parcel, due: () => 1 } as never)).rejects.toMatchObject({
      code: "value_uncloneable",
    });
    expect(() => hold("no/id")).toThrow(expect.objectContaining({ code: "id_invalid" }));
    await run.signal("handed", { to: "Ada" });
    await run.result();
    await expect(run.pause()).rejects.toMatchObject({ code: "run_ended" });
  });

  it("sends nothing where the schema of a signal takes nothing", async () => {
    const run = await parcels.start(parcel);
    await run.signal("nudge");
    await expect(run.signal("nudge", 7 as never)).rejects.toMatchObject({ code: "signal_invalid" });
    await run.signal("handed", { to: "Ada" });
    await run.result();
  });

  it("forks, pauses, resumes and retries", async () => {
    const run = await parcels.start(parcel);
    await run.pause("for a moment");
    expect((await run.status()).status).toBe("paused");
    await run.resume();
    const other = await run.fork({ input: { ...parcel, seal: new Uint8Array() }, id: newId("held") });
    expect((await other.status()).input).toEqual({ ...parcel, seal: new Uint8Array() });
    await Promise.all([other, run].map((each) => each.terminate()));
    const failed = await failing.start();
    await failed.result().catch(() => {});
    await failed.retry("once more");
    await expect(failed.result()).rejects.toMatchObject({ code: "non_retryable" });
  });
});

describe("a client", () => {
  it("says who is behind it", async () => {
    const run = await over.start(parcel);
    await run.cancel("moved away");
    const kinds = await collect(run.history(), ({ kind, by, reason }) => ({ kind, by, reason }));
    expect(kinds).toContainEqual({ kind: "run.cancelled", by: "Zoë", reason: "moved away" });
    expect(kinds).toContainEqual(expect.objectContaining({ kind: "run.created", by: "Zoë" }));
  });

  it("lists runs page by page, newest first", async () => {
    const batch = newId("held");
    const ids: string[] = [];
    for (let index = 0; index < 3; index++) {
      ids.unshift((await over.start(parcel, { id: `${batch}-${index}`, labels: { batch } })).id);
    }
    await expect
      .poll(() => collect(client.runs({ labels: { batch }, status: ["waiting", "running"] }), ({ id }) => id), {
        timeout: 60_000,
      })
      .toEqual(ids);
    const [first] = await collect(client.runs({ idPrefix: `${batch}-0`, createdAfter: Date.now() - 60_000 }));
    expect(first).toMatchObject({
      id: `${batch}-0`,
      workflow: "held-parcel",
      error: null,
      createdAt: expect.any(Date),
    });
    await expect(collect(client.runs({ state: "waiting" } as never))).rejects.toMatchObject({
      code: "options_invalid",
    });
  });

  it("follows a run from where it was, to its end", async () => {
    const run = await over.start(parcel);
    const seen: string[] = [];
    for await (const { kind } of run.events()) {
      seen.push(kind);
      if (kind === "run.started") await run.signal("handed", { to: "Ada" });
    }
    const history = await collect(run.history());
    expect(seen).toEqual(history.map(({ kind }) => kind));
    const rest = await collect(run.events({ after: 1 }), ({ seq }) => seq);
    expect(rest).toEqual(history.slice(1).map(({ seq }) => seq));
  });

  it("brings a signal with a start, sends one to all, removes a run, and asks for anything else", async () => {
    const run = await over.start(parcel, { signal: { name: "handed", payload: { to: "Bo" } } });
    expect(await run.result()).toMatchObject({ to: "Bo" });
    await expect(run.delete()).resolves.toBeUndefined();
    await expect(run.status()).rejects.toMatchObject({ code: "run_not_found", status: 404 });
    expect(await client.signal(`nobody-waits-${newId("held")}`, new Date(0))).toEqual({ delivered: 0, buffered: true });
    expect(await client.request("GET", "/v1/workflows/held-parcel")).toMatchObject({ name: "held-parcel" });
  });

  it("is refused with the status of the answer", async () => {
    const stranger = createClient({ ...options, token: "nobody" });
    await expect(stranger.getRun("any").status()).rejects.toMatchObject({ code: "token_unknown", status: 401 });
    const reader = createClient({ ...options, token: tokens.read });
    await expect(reader.workflow("held-parcel").start(parcel)).rejects.toMatchObject({ code: "role_insufficient" });
    await expect(client.workflow("no-such").start()).rejects.toMatchObject({ code: "workflow_not_found" });
    expect(() => createClient({ url: "orders" })).toThrow(/needs a url/);
    expect(() => createClient({ url: "http://x", actor: "\ud800" })).toThrow(/well-formed/);
    expect(() => createClient({ url: "http://x", tokn: "t" } as never)).toThrow(/no option "tokn"/);
  });
});

describe("a workflow that the Worker does not list", () => {
  it("is not started: its run would wait for its code for ever", async () => {
    const forgotten = defineWorkflow("forgotten", { handler: () => 1 });
    const older = defineWorkflow("held-parcel", { version: "0", handler: () => 1 });
    const id = newId("forgotten");
    await expect(forgotten.start(undefined, { id })).rejects.toMatchObject({ code: "workflow_not_found" });
    await expect(older.start(undefined, { id })).rejects.toThrow('version "0" of workflow "held-parcel"');
    await expect(getRun(id).status()).rejects.toMatchObject({ code: "run_not_found" });
  });
});
