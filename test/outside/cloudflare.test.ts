/** The same class on the hosted product's local emulator and on Holdfast: what it sees, and what its callers are told. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { delays } from "./cloudflare/programs.ts";
import type { Program } from "./cloudflare/programs.ts";
import { serve } from "./cloudflare/server.ts";
import type { Server, Status } from "./cloudflare/server.ts";

const complete = (output: unknown) => ({ status: "complete", output, error: null });
const errored = (name: string, message: unknown) => ({ status: "errored", output: null, error: { name, message } });

/** What each program comes to, in both worlds. */
const results: Partial<Record<Program, unknown>> = {
  names: complete([
    ["a", 1, 1],
    ["a", 2, 1],
    ["b", 1, 1],
    ["a#2", 1, 1],
    ["é", 1, 1],
    ["é", 2, 1],
    ["a", 3, 1],
    ["b", 2, 1],
    ["c", 1, 1],
  ]),
  context: complete({
    usual: {
      step: { name: "usual", count: 1 },
      attempt: 1,
      config: { retries: { limit: 5, backoff: "exponential" }, timeout: "10 minutes" },
    },
    full: {
      step: { name: "full", count: 1 },
      attempt: 1,
      config: { retries: { limit: 3, delay: "2 seconds", backoff: "linear" }, timeout: "1 minute" },
    },
    partly: { retries: { limit: 1, delay: 5, backoff: "exponential" }, timeout: "10 minutes" },
    timed: 2000,
    asked: { retries: { limit: 1, backoff: "exponential" }, timeout: "10 minutes" },
    secret: "output",
  }),
  retried: complete(3),
  exhausted: complete({ error: { name: "TypeError", message: "no 3" }, attempts: 3 }),
  delayedLater: complete([
    [
      [1, "no"],
      [2, "no"],
    ],
    { name: "Error", message: "no" },
  ]),
  delayRefused: complete(2),
  late: complete({ name: expect.any(String), message: expect.stringMatching(/time/) }),
  lateOnce: complete(2),
  refused: complete({ error: { name: expect.any(String), message: expect.stringMatching(/declined$/) }, attempts: 1 }),
  uncaughtRefusal: errored(expect.any(String), expect.any(String)),
  uncaught: errored("RangeError", "too far"),
  thrown: errored("Error", "outside of every step"),
  thrownText: errored("Error", "only text"),
  values: complete(["undefined", null, 7, [1], [1, 2], ["a"]]),
  streams: complete([true, "some text", "hi!!", ""]),
  silent: complete(null),
  sleeps: complete("undefined"),
  noTime: complete(["in time", { name: "Error", message: expect.stringMatching(/timed out/) }]),
  event: complete({
    payload: { program: "event", given: 7 },
    instanceId: "event",
    workflowName: "main",
    dated: true,
    keys: ["instanceId", "payload", "timestamp", "workflowName"],
    env: "hello",
  }),
  waitInVain: complete({ name: "Error", message: expect.stringMatching(/timed out after 30/) }),
  waitInVainUncaught: errored("Error", expect.stringMatching(/timed out after 30/)),
};

describe.each(["hosted", "moved"] as const)("%s", (world) => {
  let server: Server;
  beforeAll(async () => void (server = await serve(world)));
  afterAll(() => server.close());
  const call = <Value>(...args: Parameters<Server["call"]>) => server.call<Value>(...args);

  test.each(Object.entries(results) as [Program, unknown][])("%s", async (program, result) => {
    expect(await server.run(program)).toEqual(result);
  });

  test("a function that says the delay is told of the attempt that failed", async () => {
    const { output } = await server.run("delays");
    expect(output).toEqual(Array.from({ length: 6 }, (_, at) => [(at % 3) + 1, "no"]));
    // What Holdfast makes of it is told exactly in virtual time alone: see test/rehearsal.
    if (world === "hosted") expect((await call("delays", "delays")).value).toEqual(delays);
  });

  test.each([
    ["a text", "now", "now"],
    ["null", null, "object"],
    ["nothing", undefined, "undefined"],
    ["what looks like an event", { payload: 1, type: "go" }, { payload: 1, type: "go" }],
  ])("an event with %s", async (what, payload, seen) => {
    const id = `wait-${what.replaceAll(" ", "-")}`;
    await server.create(id, { program: "wait" });
    expect(await call("sendEvent", id, { type: "go", payload })).toMatchObject({ error: null });
    const { output } = await server.until(id, "complete");
    expect(output).toEqual([seen, "go", true, ["payload", "timestamp", "type"]]);
  });

  test("events that came before their wait are kept, first in first out, by type", async () => {
    await server.create("waits", { program: "waits" });
    for (const [type, payload] of Object.entries({ a: 1, b: 2 })) await call("sendEvent", "waits", { type, payload });
    for (const payload of [3, 4]) await call("sendEvent", "waits", { type: "a", payload });
    expect(await server.until("waits", "complete")).toEqual(complete([1, 3, 2, 4]));
  });

  test("an event has the time when it was sent, not when it was waited for", async () => {
    await server.create("stamp", { program: "stamp" });
    const before = Date.now();
    await call("sendEvent", "stamp", { type: "go", payload: 1 });
    const after = Date.now();
    await call("sendEvent", "stamp", { type: "ready", payload: 1 });
    const { output } = await server.until("stamp", "complete");
    expect(output).toBeGreaterThanOrEqual(before);
    expect(output).toBeLessThanOrEqual(after);
  });

  test("an id is taken once, whatever the params are; without params there are empty ones", async () => {
    await server.create("taken", { program: "silent" });
    const again = await call("create", "", { id: "taken", params: { program: "silent" } });
    expect(again.error?.message).toMatch(/^\(instance\.already_exists\)/);
    const other = await call("create", "", { id: "taken" });
    expect(other.error?.message).toMatch(/^\(instance\.already_exists\)/);
    expect((await call("create", "", { id: "a b" })).error).not.toBeNull();
    const { value: id } = await call<string>("create", "");
    expect(await server.until(id, "complete")).toMatchObject({ output: { payload: {}, instanceId: id } });
  });

  test("who creates says how long it is kept", async () => {
    const retention = { successRetention: "1 day", errorRetention: 3_600_000 };
    const params = { program: "silent" };
    expect(await call("create", "", { id: "kept-1", params, retention })).toMatchObject({ error: null });
    expect((await call("createBatch", "", [{ id: "kept-2", params, retention }])).value).toEqual(["kept-2"]);
    for (const id of ["kept-1", "kept-2"]) expect(await server.until(id, "complete")).toEqual(complete(null));
  });

  test("nobody is found who is not there", async () => {
    expect((await call("get", "nobody")).error?.message).toMatch(/instance\.not_found/);
    expect((await call("status", "nobody")).error?.message).toMatch(/instance\.not_found/);
  });

  test("batches leave out, or tell, what is there already", async () => {
    const params = { program: "silent" };
    const [one, two, three] = ["batch-1", "batch-2", "batch-3"].map((id) => ({ id, params }));
    expect((await call("createBatch", "", [one, one, two])).value).toEqual(["batch-1", "batch-2"]);
    expect((await call("createBatch", "", { instances: [three, one, three] })).value).toEqual({
      created: ["batch-3"],
      errors: [
        [1, "batch-1", 10405],
        [2, "batch-3", 10415],
      ],
    });
    const { value } = await call<{ created: string[] }>("createBatch", "", { count: 2, params });
    expect(new Set(value.created).size).toBe(2);
    for (const bad of [[], { count: 0 }, { count: 101 }, [{ id: "batch-4" }, { id: "b b" }]])
      expect((await call("createBatch", "", bad)).error).not.toBeNull();
    expect((await call("get", "batch-4")).error).not.toBeNull();
  });

  test("a paused instance takes events and goes on when it is resumed", async () => {
    await server.create("paused", { program: "wait" });
    await server.until("paused", "running", "waiting");
    await call("pause", "paused");
    await server.until("paused", "paused");
    expect(await call("pause", "paused")).toMatchObject({ error: null });
    await call("sendEvent", "paused", { type: "go", payload: "now" });
    expect(await server.status("paused")).toEqual({ status: "paused", output: null, error: null });
    expect(await call("resume", "paused")).toMatchObject({ error: null });
    expect(await server.until("paused", "complete")).toMatchObject({ output: ["now", "go", true, expect.anything()] });
  });

  test("an instance is terminated once", async () => {
    await server.create("ended", { program: "wait" });
    await server.until("ended", "running", "waiting");
    expect(await call("terminate", "ended")).toMatchObject({ error: null });
    expect(await server.status("ended")).toEqual({ status: "terminated", output: null, error: null });
    expect((await call("terminate", "ended")).error).not.toBeNull();
  });

  test("an instance starts again under its id, with its params, however it stands", async () => {
    expect(await server.run("again")).toEqual(complete({ times: 1, given: 7 }));
    expect(await call("restart", "again")).toMatchObject({ error: null });
    expect(await server.until("again", "complete")).toEqual(complete({ times: 2, given: 7 }));
    await server.create("restarted", { program: "wait" });
    await server.until("restarted", "running", "waiting");
    expect(await call("restart", "restarted")).toMatchObject({ error: null });
    await call("sendEvent", "restarted", { type: "go", payload: "now" });
    expect(await server.until("restarted", "complete")).toMatchObject({
      output: ["now", "go", true, expect.anything()],
    });
  });

  test("an event that nobody had waited for is gone with a restart", async () => {
    await server.create("early", { program: "waits" });
    await call("sendEvent", "early", { type: "b", payload: 99 });
    await server.until("early", "running", "waiting");
    await call("restart", "early");
    await server.until("early", "running", "waiting");
    await call("sendEvent", "early", { type: "b", payload: 2 });
    for (const payload of [1, 3, 4]) await call("sendEvent", "early", { type: "a", payload });
    expect(await server.until("early", "complete")).toEqual(complete([1, 3, 2, 4]));
  });

  test("an instance starts again from a step, with what was before it", async () => {
    const send = async (type: string, payload: string) => await call("sendEvent", "stages", { type, payload });
    const end = async () => (await server.until("stages", "complete", "errored")).output;
    const from = async (step: object) =>
      expect(await call("restart", "stages", { from: step })).toMatchObject({ error: null });
    await server.create("stages", { program: "stages" });
    await send("go", "a");
    await send("on", "b");
    expect(await end()).toEqual([1, [1, 2], ["a", "b"], 1]);
    await from({ name: "last" });
    expect(await end()).toEqual([1, [1, 2], ["a", "b"], 2]);
    await from({ name: "for news", count: 2, type: "waitForEvent" });
    await send("on", "c");
    expect(await end()).toEqual([1, [1, 2], ["a", "c"], 3]);
    await from({ name: "each", count: 2, type: "do" });
    await send("go", "d");
    await send("on", "e");
    expect(await end()).toEqual([1, [1, 3], ["d", "e"], 4]);
    await from({ name: "nap", type: "sleep" });
    await send("go", "f");
    await server.until("stages", "running", "waiting");
    await from({ name: "for news", type: "waitForEvent" });
    for (const [type, payload] of [
      ["go", "g"],
      ["on", "h"],
    ] as const)
      await send(type, payload);
    expect(await end()).toEqual([1, [4, 5], ["g", "h"], 5]);
  });

  test("an instance does not start again from a step that it never had", async () => {
    await server.create("stages-2", { program: "stages" });
    for (const [type, payload] of [
      ["go", "a"],
      ["on", "b"],
    ] as const)
      await call("sendEvent", "stages-2", { type, payload });
    await server.until("stages-2", "complete");
    for (const step of [{ name: "none" }, { name: "each", count: 3 }, { name: "first", type: "sleep" }])
      expect((await call("restart", "stages-2", { from: step })).error?.message).toMatch(
        /\(instance\.cannot_restart\)/,
      );
    expect(await server.status("stages-2")).toEqual(complete([1, [1, 2], ["a", "b"], 1]));
  });

  test("an instance starts again from a step that is under way", async () => {
    await server.create("stuck", { program: "stuck" });
    await expect.poll(async () => (await call("counted", "stuck hang")).value).toBe(1);
    expect(await call("restart", "stuck", { from: { name: "hang" } })).toMatchObject({ error: null });
    expect(await server.until("stuck", "complete")).toEqual(complete([1, 2]));
  });

  test("what is deleted is gone, and its id is free", async () => {
    await server.run("silent", "deleted");
    expect(await call("delete", "deleted")).toMatchObject({ error: null });
    expect((await call("get", "deleted")).error).not.toBeNull();
    expect(await server.run("silent", "deleted")).toEqual(complete(null));
    await server.create("deleted-2", { program: "wait" });
    await server.until("deleted-2", "running", "waiting");
    expect((await call("deleteBatch", "", ["deleted", "nobody", "deleted", "nobody", "deleted-2"])).value).toEqual({
      deleted: ["deleted", "deleted", "deleted-2"],
      errors: [
        ["nobody", 10400],
        ["nobody", 10400],
      ],
    });
  });

  test("subscribers are told of every step, sleep and wait, from the beginning to the end", async () => {
    await server.create("told", { program: "told", given: 7 });
    await call("sendEvent", "told", { type: "go", payload: "now" });
    const params = { program: "told", given: 7 };
    const done = (stepName: string, output?: unknown) => [
      { type: "step_started", stepName },
      { type: "attempt_started", stepName, attempt: 1 },
      { type: "attempt_completed", stepName, attempt: 1 },
      { type: "step_completed", stepName, ...(output !== undefined && { output }) },
    ];
    const [flaky, first, second] = ["flaky-1", "for the go-1", "for the go-2"];
    // A sleep of 20 ms may be on record a moment later than it was asked for.
    const told = [
      ...[{ type: "workflow_queued" }, { type: "workflow_started", params }, { type: "workflow_running" }],
      ...[...done("twice-1", { first: true }), ...done("twice-2", "[REDACTED]"), ...done("nothing-1")],
      { type: "sleep_started", stepName: "nap-1", durationMs: expect.toSatisfy((ms: number) => ms <= 20) },
      { type: "sleep_completed", stepName: "nap-1" },
      { type: "wait_started", stepName: first, eventType: "go" },
      { type: "wait_completed", stepName: first },
      { type: "wait_started", stepName: second, eventType: "never" },
      { type: "wait_timed_out", stepName: second },
      { type: "step_started", stepName: flaky },
      { type: "attempt_started", stepName: flaky, attempt: 1 },
      {
        ...{ type: "attempt_errored", stepName: flaky, attempt: 1, retryDelayMs: expect.any(Number) },
        error: { name: "TypeError", message: "not yet" },
      },
      { type: "attempt_started", stepName: flaky, attempt: 2 },
      { type: "attempt_completed", stepName: flaky, attempt: 2 },
      { type: "step_completed", stepName: flaky, output: 2 },
      { type: "workflow_completed", output: 2 },
    ];
    const { value: events } = await call<Seen[]>("events", "told", {});
    expect(events.map(plain)).toEqual(told);
    expect(events.every(({ instanceId, timestamp }) => instanceId === "told" && timestamp > 0)).toBe(true);
    const ids = events.map(({ eventId }) => eventId);
    expect(ids).toEqual([...new Set(ids)].toSorted((one, other) => one - other));
    const ended = { filter: ["step_completed", "workflow_completed"], cursor: ids.at(-3) };
    expect((await call<Seen[]>("events", "told", ended)).value.map(plain)).toEqual(told.slice(-2));
    expect((await call<Seen[]>("events", "told", { filter: ["workflow_errored"] })).value).toEqual([]);
  });

  test("subscribers are told of what is rolled back", async () => {
    await server.run("toldUndone");
    const { value: events } = await call<Seen[]>("events", "toldUndone", {});
    const undone = (stepName: string, attempt = 1) => [
      { type: "rollback_attempt_started", stepName, attempt },
      { type: "rollback_attempt_completed", stepName, attempt },
      { type: "rollback_step_completed", stepName },
    ];
    const at = events.findIndex(({ type }) => type === "attempt_errored");
    expect(events.slice(at).map(plain)).toEqual([
      { type: "attempt_errored", stepName: "broken-1", attempt: 1, error: { name: "Error", message: "no" } },
      { type: "step_errored", stepName: "broken-1" },
      { type: "rollback_started" },
      { type: "rollback_step_started", stepName: "broken-1" },
      ...undone("broken-1"),
      { type: "rollback_step_started", stepName: "made-1" },
      { type: "rollback_attempt_started", stepName: "made-1", attempt: 1 },
      {
        ...{ type: "rollback_attempt_errored", stepName: "made-1", attempt: 1, retryDelayMs: expect.any(Number) },
        error: { name: "Error", message: "not undone yet" },
      },
      ...undone("made-1", 2),
      { type: "rollback_completed" },
      { type: "workflow_errored", error: { name: "Error", message: "no" } },
    ]);
    await call("undone", "");
  });

  test("what failed is rolled back, the last first, with what each step gave", async () => {
    await server.run("undone");
    const rolled = (what: string, name: string, count: number, limit: number, output?: number) => {
      return {
        what,
        name: "Error",
        stepName: `${name}-${count}`,
        of: { name, count },
        limit,
        ...(output && { output }),
      };
    };
    expect((await call("undone", "")).value).toEqual([
      rolled("four", "broken", 1, 0),
      rolled("three", "caught", 1, 0),
      rolled("two", "twice", 2, 0, 2),
      rolled("one", "twice", 1, 5, 1),
    ]);
  });

  test("a rollback is tried as its own config says, and by no means as its step is", async () => {
    await server.run("undoneAgain");
    expect((await call("undone", "")).value).toEqual([["broken", 2], "slow", ["usual", 1], ["own", 3]]);
  });

  test("who terminates may have it rolled back", async () => {
    await server.create("unwound", { program: "unwound" });
    await expect.poll(async () => (await call("counted", "unwound")).value).toBe(1);
    expect(await call("terminate", "unwound", { rollback: true })).toMatchObject({ error: null });
    expect(await server.until("unwound", "terminated")).toMatchObject({ error: null });
    expect((await call("undone", "")).value).toMatchObject([{ what: "one", output: 1 }]);
  });
});

describe("Holdfast alone", () => {
  let server: Server;
  beforeAll(async () => void (server = await serve("moved")));
  afterAll(() => server.close());

  test.each([
    ["past", {}],
    ["nested", { name: "HoldfastError", message: expect.stringMatching(/^inner was called inside of step outer/) }],
    ["misnamed", { name: "HoldfastError", message: expect.stringMatching(/over 256 characters$/) }],
    ["misconfigured", { name: "HoldfastError", message: expect.stringMatching(/^step x: retry\.limit must be/) }],
    [
      "mistyped",
      {
        name: "HoldfastError",
        message: 'the config of step x has no option "timeOut"; it takes retries, timeout, sensitive',
      },
    ],
    ["function", { name: "HoldfastError", message: "the result of step x cannot be kept: it is a function" }],
    [
      "textStream",
      { name: "HoldfastError", message: "the stream of step x cannot be kept: it has chunks that are not bytes" },
    ],
    [
      "lockedStream",
      { name: "HoldfastError", message: "the stream of step x cannot be kept: it is locked by another reader" },
    ],
    ["largeStream", { name: "HoldfastError", message: "the stream of step x is too large to keep" }],
    ["renamed", { error: { name: "Declined", message: "declined" }, attempts: 1 }],
  ] as const)("where it differs, it says so: %s", async (program, output) => {
    expect(await server.run(program)).toEqual(complete(output));
  });

  const refusal = async (...args: Parameters<Server["call"]>) => (await server.call(...args)).error?.code;

  test("a refusal keeps its name and message; nobody matches those of another", async () => {
    expect(await server.run("refused")).toMatchObject({
      output: { error: { name: "NonRetryableError", message: "declined" }, attempts: 1 },
    });
    expect(await server.run("uncaughtRefusal")).toEqual(errored("NonRetryableError", "declined"));
    await server.call("create", "", { id: "hosted", params: { program: "uncaughtRefusal" } }, "/others");
    const { entries } = await readHistory(server, "hosted");
    expect(entries.map(({ kind }) => kind)).toEqual(["run.created", "run.started", "step.failed", "run.failed"]);
  });

  test("what is not there is refused by name", async () => {
    const params = { program: "wait" };
    for (const retention of [{ successRetention: 0 }, { errorRetention: "0 days" }, { errorRetention: "soon" }])
      expect(await refusal("create", "", { id: "kept", params, retention })).toMatch(/^(options|duration)_invalid$/);
    await server.create("refusals", { program: "wait" });
    expect(await refusal("restart", "refusals", { from: { name: "x" } })).toBe("fork_invalid");
    for (const from of [{ name: 7 }, { name: "x", count: 0 }, { name: "x", count: 1.5 }, { name: "x", type: "run" }])
      expect(await refusal("restart", "refusals", { from })).toBe("options_invalid");
    expect(await refusal("events", "refusals", { cursor: 1.5 })).toBe("options_invalid");
    expect(await refusal("get", "none of all")).toBe("id_invalid");
    expect(await refusal("create", "", { id: "_7" })).toBe("id_invalid");
    expect(await refusal("get", "kept")).toBe("run_not_found");
    await server.call("terminate", "refusals");
    expect((await server.call("terminate", "refusals")).error?.message).toMatch(/cannot be terminated$/);
    for (const op of ["pause", "resume", "terminate"] as const)
      expect([op, await refusal(op, "refusals")]).toEqual([op, "run_ended"]);
    expect(await refusal("sendEvent", "refusals", { type: "go", payload: 1 })).toBe("run_ended");
  });

  test("an instance is gone once it was kept as long as its creation says", async () => {
    const params = { program: "silent" };
    const retention = { successRetention: 1, errorRetention: "1 year" };
    await server.call("create", "", { id: "brief", params, retention });
    await expect.poll(async () => await refusal("get", "brief")).toBe("run_not_found");
    await server.call("create", "", { id: "brief-2", params: { program: "thrown" }, retention });
    const { entries } = await readHistory(server, "brief-2");
    expect(entries[0]).toMatchObject({ retention: { completedMs: 1, failedMs: 365.25 * 86_400_000 } });
  });

  test("what the schema of the params took is not taken again by a restart", async () => {
    await server.call("create", "", { id: "strict", params: { program: "again", given: "7" } }, "/strict");
    for (const times of [1, 2]) {
      await server.fetch("/v1/runs/strict?wait=60s");
      const { value } = await server.call<Status>("status", "strict", undefined, "/strict");
      expect(value).toEqual(complete({ times, given: 7 }));
      expect(await refusal("restart", "strict", undefined, "/strict")).toBeUndefined();
    }
  });

  test("a restart is one commit, and no start: nothing that refuses a start takes the instance away", async () => {
    await server.call("create", "", { id: "limited", params: { program: "wait" } }, "/limited");
    const from = { name: "for the go", type: "waitForEvent" };
    for (const [payload, options] of [[1], [2], [3, { from }], [4, { from }]] as const) {
      expect(await refusal("restart", "limited", { from: { name: "none" } }, "/limited")).toBe("fork_invalid");
      expect(await refusal("restart", "limited", options, "/limited")).toBeUndefined();
      await server.evict("limited");
      await server.call("sendEvent", "limited", { type: "go", payload }, "/limited");
      const { entries } = await readHistory(server, "limited");
      expect(entries.map(({ kind }) => kind).filter((kind) => kind.startsWith("run."))).toEqual([
        "run.created",
        "run.started",
        "run.completed",
      ]);
      const { value } = await server.call<Status>("status", "limited", undefined, "/limited");
      expect(value).toMatchObject({ status: "complete", output: [payload, "go", true, expect.anything()] });
    }
    const listed = async (): Promise<unknown> => {
      const { runs } = (await (await server.fetch("/v1/runs?workflow=limited")).json()) as { runs: unknown[] };
      return runs;
    };
    await expect.poll(listed).toMatchObject([{ id: "limited", status: "completed" }]);
  });

  test("a restart from a step is one commit as well, and its history says so; what was rolled back is done again", async () => {
    expect(await server.run("mended")).toMatchObject({ status: "errored" });
    expect((await server.call("undone", "")).value).toMatchObject([{ what: "undone", output: 1 }]);
    expect(await refusal("restart", "mended", { from: { name: "mend" } })).toBeUndefined();
    await server.evict("mended");
    expect(await server.until("mended", "complete")).toEqual(complete([1, 2]));
    const { entries } = await readHistory(server, "mended");
    expect(entries).toMatchObject([
      {
        kind: "run.created",
        by: "worker",
        text: expect.stringMatching(/^worker had the run begin once more from mend on/),
      },
      { kind: "step.completed", step: "plain" },
      { kind: "run.started" },
      { kind: "step.completed", step: "undone" },
      { kind: "step.completed", step: "mend" },
      { kind: "run.completed" },
    ]);
    const [created] = entries;
    expect(created?.continuation).toMatchObject({
      count: 1,
      restarted: { step: "mend", upTo: Number(created?.seq) + 1 },
    });
    const listed = async (): Promise<unknown> => {
      const { runs } = (await (await server.fetch("/v1/runs?workflow=main&limit=200")).json()) as {
        runs: { id: string; status: string }[];
      };
      return runs.flatMap(({ id, status }) => (id === "mended" ? [status] : []));
    };
    await expect.poll(listed).toEqual(["completed"]);
  });

  test("the status has what became of the rollbacks", async () => {
    const rollbackOf = async (id: string) => (await server.call("rollback", id)).value;
    await server.run("undone", "rolled-back");
    expect(await rollbackOf("rolled-back")).toEqual({ outcome: "complete", error: null });
    await server.run("notUndone");
    expect(await rollbackOf("notUndone")).toEqual({
      outcome: "failed",
      error: { name: "Error", message: "no refund" },
    });
    await server.run("silent", "nothing-to-undo");
    expect(await rollbackOf("nothing-to-undo")).toBeNull();
    await server.call("undone", "");
  });

  test("a batch has a count or instances, and not both", async () => {
    const instances = [{ id: "counted-too", params: { program: "silent" } }];
    expect(await refusal("createBatch", "", { count: 1, instances })).toBe("options_invalid");
    expect(await refusal("get", "counted-too")).toBe("run_not_found");
  });

  test("a batch of which one can be none creates none", async () => {
    const params = { program: "silent" };
    for (const [bad, code] of [
      [{ id: "b b" }, "id_invalid"],
      [{ retention: { successRetention: 0 } }, "options_invalid"],
    ] as const) {
      expect(await refusal("createBatch", "", [{ id: "unmade", params }, bad])).toBe(code);
      expect(await refusal("get", "unmade")).toBe("run_not_found");
    }
  });

  test("a batch of which one is refused for its params says so, as a single one does", async () => {
    const params = { program: "again", given: 7 };
    expect(await refusal("create", "", { id: "loose", params }, "/strict")).toBe("input_invalid");
    expect(await refusal("createBatch", "", [{ id: "loose", params }], "/strict")).toBe("input_invalid");
  });

  test("a start that another run answers gives the instance of that one", async () => {
    await server.call("create", "", { id: "first", params: { program: "wait" } }, "/single");
    for (const options of [{}, { id: "second" }])
      expect(await server.call("create", "", options, "/single")).toEqual({ value: "first", error: null });
    expect(await refusal("create", "", { id: "first" }, "/single")).toBe("run_exists");
  });

  test("a batch of which one can be none deletes none", async () => {
    await server.create("batched", { program: "silent" });
    expect(await refusal("deleteBatch", "", ["batched", "b b"])).toBe("id_invalid");
    expect(await refusal("get", "batched")).toBeUndefined();
  });

  test("ids are those of all workflows, and a binding sees the runs of its own", async () => {
    await server.create("common", { program: "wait" });
    expect(await refusal("create", "", { id: "common", params: { program: "wait" } }, "/others")).toBe("run_exists");
    expect(await refusal("get", "common", undefined, "/others")).toBe("run_not_found");
    expect(await server.until("common", "waiting")).toEqual({ status: "waiting", output: null, error: null });
  });

  test("an event may come from the API: its body is the payload", async () => {
    await server.create("posted", { program: "wait" });
    const headers = { "content-type": "application/json" };
    await server.fetch("/v1/runs/posted/signals/go", { method: "POST", body: `{"ok":true}`, headers });
    const { output } = await server.until("posted", "complete");
    expect(output).toEqual([{ ok: true }, "go", true, ["payload", "timestamp", "type"]]);
  });

  test("an instance that lost its memory goes on where it stood", async () => {
    await server.create("held", { program: "held" });
    await server.until("held", "waiting");
    await server.evict("held");
    await server.call("sendEvent", "held", { type: "go", payload: "now" });
    expect(await server.until("held", "complete")).toEqual(complete([1, "now", [2, 2]]));
  });

  test("whoever unsubscribes is told nothing more, though it was there already", async () => {
    await server.run("silent", "unsubscribed");
    const { value } = await server.call("firstEvent", "unsubscribed");
    expect(value).toEqual(["workflow_queued", { done: true }]);
  });

  test("whoever asks for several events at once is given each once, in order", async () => {
    await server.run("silent", "at-once");
    const { value } = await server.call("eventsAtOnce", "at-once");
    expect(value).toEqual(["workflow_queued", "workflow_started", "workflow_running"]);
  });

  test("whoever subscribed before a restart is told of all that is done again", async () => {
    await server.create("told-again", { program: "held" });
    const begun = ["workflow_queued", "workflow_started", "workflow_running"];
    const done = ["step_started", "attempt_started", "attempt_completed", "step_completed"];
    const { value } = await server.call("eventsOfRestart", "told-again");
    const waited = ["wait_started", "wait_completed"];
    expect(value).toEqual([...begun, ...done, ...waited, ...done, "workflow_completed"]);
  });

  test("subscribers to what was a handler before are told of no signal that it heard, and of no webhook", async () => {
    await server.fetch("/former");
    await server.call("sendEvent", "former", { type: "go", payload: 1 });
    const { entries } = await readHistory(server, "former");
    expect(entries.map(({ kind }) => kind)).toEqual(expect.arrayContaining(["signal.consumed", "wait.timed_out"]));
    const { value: events } = await server.call<Seen[]>("events", "former", {});
    expect(events.map(({ type }) => type)).toEqual([
      "workflow_queued",
      "workflow_started",
      "workflow_running",
      "workflow_completed",
    ]);
  });

  test("subscribers are told of the steps of the class alone: what is rolled back in the place of one has its name", async () => {
    await server.run("toldAtLength");
    await server.call("undone", "");
    const { value: events } = await server.call<readonly { type: string; stepName?: string }[]>(
      "events",
      "toldAtLength",
      {},
    );
    const named = (...counts: readonly number[]) => counts.map((count) => `${"long".repeat(60)}-${count}`);
    expect([...new Set(events.flatMap(({ stepName = [] }) => stepName))]).toEqual(named(1, 2, 3));
    const rolled = events.filter(({ type }) => type === "rollback_step_completed");
    expect(rolled.map(({ stepName }) => stepName)).toEqual(named(3, 2));
  });

  test("what is rolled back has the stream that its step gave", async () => {
    await server.run("streamUndone");
    expect((await server.call("undone", "")).value).toEqual(["some text"]);
  });

  test("a stream is kept whole, or not at all, and is not read on where nobody waits for it any more", async () => {
    expect(await server.run("streamOfThenable")).toEqual(complete("some text"));
    await server.create("streamCut", { program: "streamCut" });
    await expect.poll(async () => (await server.call("counted", "streamCut")).value).toBe(1);
    await server.call("terminate", "streamCut", { rollback: true });
    await server.until("streamCut", "terminated");
    const [rolled] = (await server.call<object[]>("undone", "")).value;
    expect(rolled).toMatchObject({ what: "half" });
    expect(rolled).not.toHaveProperty("output");
    expect(await server.run("streamLate")).toEqual(complete("stopped"));
  });

  test("a stream that a step gave is there after a loss of memory", async () => {
    await server.create("streamHeld", { program: "streamHeld" });
    await server.until("streamHeld", "waiting");
    await server.evict("streamHeld");
    await server.call("sendEvent", "streamHeld", { type: "go", payload: "now" });
    expect(await server.until("streamHeld", "complete")).toEqual(complete("some text"));
  });

  test("what is rolled back after a loss of memory is rolled back as before", async () => {
    await server.create("unwound", { program: "unwound" });
    await server.until("unwound", "waiting");
    await server.evict("unwound");
    await server.call("terminate", "unwound", { rollback: true });
    expect(await server.until("unwound", "terminated")).toMatchObject({ error: null });
    expect((await server.call("undone", "")).value).toMatchObject([{ what: "one", output: 1, stepName: "one-1" }]);
  });
});

/** When the run has ended. */
async function readHistory(server: Server, id: string): Promise<{ readonly entries: readonly Entry[] }> {
  await server.fetch(`/v1/runs/${id}?wait=60s`);
  return (await (await server.fetch(`/v1/runs/${id}/history?limit=200`)).json()) as { entries: Entry[] };
}

type Seen = {
  readonly type: string;
  readonly instanceId: string;
  readonly eventId: number;
  readonly timestamp: number;
};

/** What it says, without when; what a step's config was is told there alone. */
function plain(event: Seen): object {
  const { instanceId: _of, eventId: _id, timestamp: _at, ...rest } = event;
  const { config: _config, ...said } = rest as typeof rest & { readonly config?: unknown };
  return said;
}

type Entry = { readonly kind: string; readonly seq: number; readonly continuation?: unknown };
