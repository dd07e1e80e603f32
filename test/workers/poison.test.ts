/** Workflows that misbehave in every way there is: each ends as it should, can be read, and leaves others alone. */
import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { ask, historyOf, newId, start } from "./client.ts";
import type { EntryJson } from "./client.ts";
import { late, returned, thrown } from "./flows/misbehaving.ts";

const { POISON_LINES } = env as unknown as { POISON_LINES: string };
const lines = Number(POISON_LINES || 500);

type Ended = {
  readonly id: string;
  readonly status: string;
  readonly output: unknown;
  readonly error: unknown;
  readonly updatedAt: string;
};

async function begin(workflow: string, input: unknown): Promise<string> {
  return (await start(workflow, { input })).id;
}

async function read(id: string, wait = ""): Promise<Ended> {
  return (await ask(`GET /v1/runs/${id}${wait}`)).body as Ended;
}

async function play(workflow: string, input: unknown): Promise<Ended> {
  return await read(await begin(workflow, input), "?wait=60s");
}

/** Whatever became of it, everybody can look at it. */
async function readable(id: string): Promise<void> {
  for (const path of ["", "/history", "/timeline"]) {
    const { status } = await ask(`GET /v1/runs/${id}${path}`);
    expect([path, status]).toEqual([path, 200]);
  }
}

describe("what is thrown, whatever it is, is an error that can be stored, read and caught (8)", () => {
  it.each(Object.keys(thrown))("%s", async (what) => {
    const [inStep, inHandler, caught] = await Promise.all(
      ["step", "handler", "caught"].map((where) => play("venom-throw", { what, where })),
    );
    expect(inStep).toMatchObject({ status: "failed", error: { code: "step_failed", step: "act" } });
    expect(inHandler).toMatchObject({ status: "failed", error: { code: "handler_failed" } });
    expect(caught?.status).toBe("completed");
    expect(caught?.output).toBe("step_failed");
    for (const run of [inStep, inHandler, caught]) await readable(run?.id ?? "");
    expect(JSON.stringify(inStep?.error).length).toBeLessThan(500_000);
  });
});

describe("what is returned, whatever it is, is a value or a clear error that names the step (8)", () => {
  it.each(Object.entries(returned).map(([what, [, code]]) => [what, code] as const))("%s: %s", async (what, code) => {
    const run = await play("venom-return", { what });
    if (code === null) expect([run.status, run.output]).toEqual(["completed", 1]);
    else expect(run).toMatchObject({ status: "failed", error: { code, step: "act" } });
    await readable(run.id);
  });
});

describe("a handler that", () => {
  it.each([
    ["awaits outside a step", "completed", "done"],
    ["starts steps after it returned", "completed", "done"],
    ["calls step from a step", "failed", null],
    ["ends twice", "cancelled", null],
    [
      "calls its steps with nonsense",
      "completed",
      ["string", "string", "string", "string", "string", "string", "string"],
    ],
  ])("%s: %s", async (what, status, output) => {
    const id = await begin("venom-act", { what });
    const run = await read(id, "?wait=60s");
    expect([run.status, run.output]).toEqual([status, output]);
    // What is asked for once it has ended is done by nobody, in no life.
    if (what === "starts steps after it returned") await new Promise((resolve) => setTimeout(resolve, 400));
    await evictDurableObject(env.RUNS.getByName(id)).catch(() => {});
    const again = await read(id);
    expect([again.status, again.updatedAt]).toEqual([run.status, run.updatedAt]);
    expect(late).toEqual([]);
    await readable(id);
  });

  it("waits for what nobody can see says that it is at work, and ends by its timeout", async () => {
    const id = await begin("venom-stuck", {});
    expect(await read(id)).toMatchObject({ status: "running", reason: "running its handler, which is at no step" });
    expect(await read(id, "?wait=60s")).toMatchObject({ status: "failed", error: { code: "run_timeout" } });
  });
});

it(`${lines} log lines and as many values of progress are all on record, in order`, { timeout: 600_000 }, async () => {
  const id = await begin("venom-talk", { lines });
  expect((await read(id, "?wait=60s")).status).toBe("completed");
  const entries: EntryJson[] = [];
  for (let after: number | null = 0; after !== null;) {
    const { body } = await ask(`GET /v1/runs/${id}/history?after=${after}&limit=200`);
    entries.push(...(body["entries"] as EntryJson[]));
    after = body["next"] as number | null;
  }
  const said = entries.flatMap((entry) => (entry.kind === "log.written" ? [entry["message"]] : []));
  expect(said).toEqual(Array.from({ length: lines }, (_unused, line) => `line ${line}`));
  expect(entries.filter(({ kind }) => kind === "progress.published").length).toBe(lines);
});

it("names of hostile shape name what they name, in steps, waits, and everything that is shown of them", async () => {
  const names = [
    "__proto__",
    "constructor",
    "toString",
    "a#2",
    "\0",
    "a\nb",
    "../..",
    "<script>",
    "\u202Eabc",
    "😀",
    "%00",
    "n".repeat(256),
  ];
  const run = await play("venom-name", { names });
  expect(run.output).toEqual([...names, ...names.map(() => null)]);
  const steps = (await historyOf(run.id)).filter(({ kind }) => kind === "step.completed");
  expect(steps.length).toBe(names.length);
  await readable(run.id);
  expect((await ask(`GET /v1/stats?workflow=venom-name`)).status).toBe(200);
});

describe("values of odd shape come back as they went in, at every door", () => {
  const values: readonly (readonly [string, unknown])[] = [
    ["half surrogate pairs and NUL", ["\ud800", "\udc00\ud800", "\0", "\ufeff", "\u2028"]],
    ["$type that is ours and yet plain", { $type: "Object", value: { $type: "Date", value: "not a date" } }],
    ["keys of prototypes", { constructor: 1, toString: 2, hasOwnProperty: 3, then: 4, toJSON: 5 }],
    [
      "every kind that JSON lacks",
      [{ $type: "undefined" }, { $type: "NaN" }, { $type: "-0" }, { $type: "BigInt", value: "9".repeat(5000) }],
    ],
    ["a map in a set in a map", { $type: "Map", value: [[{ $type: "Set", value: [{ $type: "Map", value: [] }] }, 1]] }],
    ["200 levels", JSON.parse("[".repeat(200) + "]".repeat(200)) as unknown],
    ["a million zeros", "0".repeat(1_000_000)],
  ];

  it.each(values)("%s", async (_what, value) => {
    const started = await ask("POST /v1/workflows/web-echo/runs?wait=60s", { json: { input: value } });
    expect(started.status).toBe(201);
    expect(started.body).toMatchObject({ status: "completed", input: value, output: value });
    const id = newId("odd");
    await ask("POST /v1/workflows/venom-wait/runs", { json: { id } });
    const { status } = await ask(`POST /v1/runs/${id}/signals/kept`, { json: value });
    expect(status).toBe(202);
    expect((await ask(`GET /v1/runs/${id}?wait=60s`)).body).toMatchObject({ status: "completed", output: value });
    const kept = (await historyOf(id)).find(({ kind }) => kind === "signal.received");
    expect(kept?.["payload"]).toEqual(value);
  });
});
