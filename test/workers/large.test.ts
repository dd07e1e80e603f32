/** Values of nearly 16 MiB, where calls between objects carry 32: what the text of one takes in memory may be more. */
import { exports } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { ask, newId, refusal, runThatIs, start, tokens } from "./client.ts";
import type { EntryJson } from "./client.ts";

const length = 13_000_000;

/** The whole history, and the number of pages that it came in. */
async function historyOf(id: string): Promise<{ kinds: string[]; pages: number }> {
  const kinds: string[] = [];
  let pages = 0;
  for (let after: unknown = 0; after !== null; pages++) {
    const { status, body } = await ask(`GET /v1/runs/${id}/history?after=${String(after)}`);
    expect(status).toBe(200);
    kinds.push(...(body["entries"] as EntryJson[]).map(({ kind }) => kind));
    after = body["next"];
  }
  return { kinds, pages };
}

async function exported(id: string): Promise<string> {
  const headers = { authorization: `Bearer ${tokens.admin}` };
  const response = await exports.default.fetch(`http://example.com/v1/runs/${id}/export`, { method: "POST", headers });
  expect(response.status).toBe(200);
  return await response.text();
}

/** A JSON text of that many characters, one of them beyond Latin-1. */
const wide = (characters: number): string => `→${"x".repeat(characters - 1)}`;

describe("a value that is large and has a character beyond Latin-1", () => {
  it("is shown and exported, as result and as output", async () => {
    const { id } = await start("large-kept", {}, "?wait=60s");
    const { status, body } = await ask(`GET /v1/runs/${id}`);
    expect([status, body["status"]]).toEqual([200, "completed"]);
    expect(body["output"]).toMatchObject({ name: "契約.pdf" });
    const { kinds, pages } = await historyOf(id);
    expect(kinds).toEqual(["run.created", "run.started", "step.completed", "run.completed"]);
    expect(pages).toBe(3);
    expect((await ask(`GET /runs/${id}`)).status).toBe(200);
    const lines = (await exported(id)).trimEnd().split("\n");
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ entries: 4 });
  });

  it("goes to a child, comes from it, and is sent to another run (guarantees 4 and 5)", async () => {
    const receiver = await start("large-receiver");
    const { id } = await start("large-family", { input: { to: receiver.id } });
    expect(await runThatIs(id, { status: "completed" })).toMatchObject({ output: length });
    expect(await runThatIs(receiver.id, { status: "completed" })).toMatchObject({ output: length });
  });
});

describe("what does not fit into one call or one entry is refused, and says so", () => {
  const text = wide(11_000_000);
  const tooLarge = "413 value_too_large";

  it.each([
    ["a signal whose schema makes as much of it", "signals/copied", { text }],
    ["an update whose schema makes as much of it", "updates/copy", { text }],
    ["a fork with other input and results", "fork", { from: "scan", input: text, results: { scan: text } }],
  ])("%s", async (_what, call, json) => {
    const { id } = await start("large-receiver");
    const headers = { "idempotency-key": newId("key") };
    expect(await refusal(`POST /v1/runs/${id}/${call}`, { json, headers })).toBe(tooLarge);
    await ask(`POST /v1/runs/${id}/terminate`);
  });

  it("a start whose input is refused, with a signal", async () => {
    const json = { id: newId("refused"), input: text, signal: { name: "go", payload: text } };
    expect(await refusal("POST /v1/workflows/web-order/runs", { json })).toBe(tooLarge);
  });
});

it("an update is shown with its argument and its result, which together fit into no call", async () => {
  const { id } = await start("large-receiver");
  const said = { text: wide(11_000_000) };
  expect((await ask(`POST /v1/runs/${id}/updates/echo`, { json: said })).status).toBe(200);
  const { body } = await ask(`GET /v1/runs/${id}/steps/update:update-1`);
  expect(body).toMatchObject({ status: "completed", input: said, output: said });
  await ask(`POST /v1/runs/${id}/terminate`);
});

it("results that end at the same time, which together fit into no call, are shown", async () => {
  const { id } = await start("large-together", {}, "?wait=60s");
  expect((await historyOf(id)).kinds.filter((kind) => kind === "step.completed")).toHaveLength(4);
});

it("a run whose error has many members with long messages is shown and listed", async () => {
  const { id } = await start("large-failing", {}, "?wait=60s");
  expect((await ask(`GET /v1/runs/${id}`)).body).toMatchObject({ status: "failed", error: { message: "all of them" } });
  expect((await historyOf(id)).kinds.at(-1)).toBe("run.failed");
  const listed = async (): Promise<unknown> => (await ask(`GET /v1/runs?idPrefix=${id}`)).body["runs"];
  await expect.poll(listed).toMatchObject([{ id, status: "failed" }]);
});

it("a log line whose text and data fit into no call together is shown and forked, its text cut", async () => {
  const { id } = await start("large-logging", {}, "?wait=60s");
  const { kinds } = await historyOf(id);
  expect(kinds).toEqual([
    "run.created",
    "run.started",
    "log.written",
    "log.written",
    "step.completed",
    "run.completed",
  ]);
  const { body: fork } = await ask(`POST /v1/runs/${id}/fork`, { json: { from: "end" } });
  await runThatIs(String(fork["id"]), { status: "completed" });
  for (const [run, seq] of [
    [id, 3],
    [String(fork["id"]), 2],
  ] as const) {
    const { body } = await ask(`GET /v1/runs/${run}/history?after=${seq - 1}&limit=1`);
    const [line] = body["entries"] as { message: string; data: string }[];
    expect([line?.message.length, line?.message.slice(-2), line?.data.length]).toEqual([1_000_001, "t…", 11_000_001]);
  }
});

it("a run with an entry that fits into no call is exported, and arrives", async () => {
  const { id } = await start("large-quoting", {}, "?wait=60s");
  const raw = await exported(id);
  expect((await ask(`DELETE /v1/runs/${id}`)).status).toBe(204);
  const { status, body } = await ask("POST /v1/runs/import", { raw });
  expect([status, body["status"], body["output"]]).toEqual([201, "completed", 8_388_600]);
});
