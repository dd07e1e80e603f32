/** Runs in their Durable Objects: evicted, aborted, woken by real alarms. */
import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import * as z from "zod";
import { encode } from "../../src/core/value/value.ts";
import type { RunSnapshot } from "../../src/core/run/run.ts";
import { defineWorkflow, getRun, signal } from "../../src/index.ts";
import { directoryShards, runObject } from "../../src/objects/address.ts";
import { unwrap } from "../../src/objects/answer.ts";
import { Catalog } from "../../src/objects/deployment/catalog.ts";
import { createService } from "../../src/objects/service.ts";
import type { RunRpc } from "../../src/objects/rpc/run.ts";
import { effects, effectsOf, engineWorkflows, openGate } from "./flows/engine.ts";
import { evict, inRun, passTime } from "./storage.ts";

const service = createService(new Catalog(engineWorkflows.map(({ definition }) => definition)));
let made = 0;

async function start(workflow: string, input: unknown, waitMs = 0): Promise<RunSnapshot> {
  const id = `${workflow}-${++made}`;
  const { run } = await service.runs.start({ workflow, input: encode(input, "input"), id, by: "test", waitMs });
  return run;
}

async function kinds(id: string): Promise<string[]> {
  return (await service.runs.history(id, 0, 200)).entries.map((entry) => entry.kind);
}

async function until(id: string, status: RunSnapshot["status"]): Promise<RunSnapshot> {
  return await vi.waitFor(
    async () => {
      const run = await service.runs.read(id);
      expect(run.status).toBe(status);
      return run;
    },
    { timeout: 60_000, interval: 20 },
  );
}

/** How the call ends if half a minute passes while it is made. Where it hangs all the same, it is still open. */
async function hurried(make: () => Promise<unknown>): Promise<unknown> {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    let ended: unknown = "open";
    void Promise.allSettled([make()]).then(([end]) => (ended = end));
    for (let turn = 0; turn < 20 && ended === "open"; turn++) {
      await vi.advanceTimersByTimeAsync(10_000);
      await scheduler.wait(5);
    }
    return ended;
  } finally {
    vi.useRealTimers();
  }
}

describe("a run in its object", () => {
  it("runs to its end and tells its story (guarantee 8)", async () => {
    const run = await start("chain", { steps: 3 }, 60_000);
    expect(run).toMatchObject({
      status: "completed",
      output: encode(3, ""),
      steps: { completed: 3, failed: 0, running: 0 },
    });
    expect(await kinds(run.id)).toEqual([
      "run.created",
      "run.started",
      "step.completed",
      "step.completed",
      "step.completed",
      "run.completed",
    ]);
  });

  it("keeps a chain of two thousand steps, and every one ran once (guarantee 2)", async () => {
    const run = await start("chain", { steps: 2000 }, 60_000);
    expect(run).toMatchObject({ status: "completed", output: encode((1999 * 2000) / 2, "") });
    expect(effectsOf(run.id)).toHaveLength(2000);
  });

  it("writes one row a step and at most four more (budget)", async () => {
    const run = await start("chain", { steps: 5 }, 60_000);
    const rows = await inRun(run.id, (ctx) =>
      ctx.storage.sql.exec<{ n: number }>("SELECT count(*) AS n FROM journal").one(),
    );
    // Created and started are one commit; the alarm is set twice, for the watch and for retention.
    expect(rows.n).toBe(5 + 2);
  });

  it("finds the same run for the same id, and refuses another (guarantee 1)", async () => {
    const run = await start("echo", { n: 1 }, 60_000);
    const again = { workflow: "echo", id: run.id, by: "test" };
    expect(await service.runs.start({ ...again, input: encode({ n: 1 }, "") })).toMatchObject({
      created: false,
      run: { id: run.id },
    });
    await expect(service.runs.start({ ...again, input: encode({ n: 2 }, "") })).rejects.toMatchObject({
      code: "run_exists",
    });
  });

  it("takes one Idempotency-Key for one start, whatever id comes with it", async () => {
    const begin = (key: string, id?: string, n = 1) =>
      service.runs.start({
        workflow: "echo",
        key,
        by: "test",
        input: encode({ n }, ""),
        ...(id === undefined ? {} : { id }),
      });
    const conflict = { code: "idempotency_conflict" };
    expect(await begin("k-1")).toMatchObject({ created: true });
    expect(await begin("k-1")).toMatchObject({ created: false });
    await expect(begin("k-1", undefined, 2)).rejects.toMatchObject(conflict);
    await expect(begin("k-1", "other")).rejects.toMatchObject(conflict);
    expect(await begin("k-2", "keyed-1")).toMatchObject({ created: true, run: { id: "keyed-1" } });
    expect(await begin("k-2", "keyed-1")).toMatchObject({ created: false, run: { id: "keyed-1" } });
    await expect(begin("k-2", "keyed-2")).rejects.toMatchObject(conflict);
    await expect(begin("k-2")).rejects.toMatchObject(conflict);
  });

  it("retries by its policy with one key for all attempts, woken by real alarms", async () => {
    const run = await start("flaky", { failures: 2 });
    expect(await until(run.id, "completed")).toMatchObject({ output: encode(3, "") });
    expect(effectsOf(run.id)).toEqual(["attempt1", "attempt2", "attempt3"]);
    expect(new Set(effects.filter((effect) => effect.run === run.id).map((effect) => effect.key)).size).toBe(1);
  });

  it("fails with the error's own name, message and cause", async () => {
    const run = await start("flaky", { failures: 0, fatal: true }, 60_000);
    expect(run.error).toMatchObject({
      code: "non_retryable",
      message: "declined",
      step: "call",
      attempts: 1,
      cause: { message: "the bank said no" },
    });
  });

  it("answers the typed handle", async () => {
    const { id } = await start("approval", {});
    const run = getRun<{ told: string }>(id);
    expect((await run.status()).status).toMatch(/running|waiting/);
    await run.signal("decision", { approved: true });
    expect(await run.result()).toEqual({ told: "yes" });
    await expect(run.signal("decision", { approved: true })).rejects.toMatchObject({ code: "run_ended" });
    await expect(run.cancel()).rejects.toMatchObject({ code: "run_ended" });
  });

  it("signals whoever waits, by the name alone", async () => {
    const { id } = await start("approval", {});
    await until(id, "waiting");
    const { delivered, buffered } = await signal("decision", { approved: true });
    expect(delivered > 0).toBe(!buffered);
    expect(await getRun(id).result()).toEqual({ told: "yes" });
    await expect(signal("", {})).rejects.toMatchObject({ code: "name_invalid" });
    await expect(signal("decision", null)).rejects.toMatchObject({ code: "signal_invalid" });
  });

  it("refuses a signal that does not fit its schema", async () => {
    const { id } = await start("approval", {});
    await expect(getRun(id).signal("decision", { approved: "perhaps" })).rejects.toMatchObject({
      code: "signal_invalid",
    });
    await getRun(id).cancel("enough");
    await expect(getRun(id).result()).rejects.toMatchObject({ code: "cancelled", message: "enough" });
  });

  it("waits thirty seconds for a schema, and no longer, before it is started or signalled", async () => {
    const { id } = await start("notes", { text: "small" });
    await until(id, "waiting");
    const payload = encode({ text: "hangs" }, "payload");
    const why = expect.stringContaining("did not answer within 30 s") as string;
    expect(await hurried(() => start("notes", { text: "hangs" }))).toMatchObject({
      reason: { code: "input_invalid", message: why },
    });
    const answered = await runInDurableObject(env.RUNS.getByName(id), (object) =>
      hurried(() => (object as unknown as RunRpc).signal({ name: "note", payload, by: "test" }, false)),
    );
    expect(answered).toMatchObject({ value: { refusal: { code: "signal_invalid", message: why } } });
  });

  it("answers whoever waits for the end of a run that is not kept at all", async () => {
    expect(await start("unkept", 7, 60_000)).toMatchObject({ status: "completed", output: encode(7, "") });
    const { id } = await start("unkept", 8);
    await vi.waitFor(
      async () => {
        await expect(service.runs.read(id)).rejects.toMatchObject({ code: "run_not_found" });
      },
      { timeout: 60_000 },
    );
  });

  it("fails a run past its timeout", async () => {
    const { id } = await start("deadline", {});
    expect((await until(id, "failed")).error).toMatchObject({ code: "run_timeout" });
  });
});

describe("a definition", () => {
  it("has no name, of its own or of a signal, that no URL can name", () => {
    const handler = () => null;
    const refused = expect.objectContaining({ code: "name_invalid" });
    for (const name of [".", ".."]) {
      expect(() => defineWorkflow(name, { handler })).toThrow(refused);
      expect(() => defineWorkflow("flow", { handler, signals: { [name]: z.unknown() } })).toThrow(refused);
      expect(() => defineWorkflow("flow", { handler, lane: name })).toThrow("no URL can name it");
      expect(() => defineWorkflow("flow", { handler, schedule: { cron: "* * * * *", id: name } })).toThrow(
        "no URL can name it",
      );
    }
  });
});

describe("a parked run", () => {
  it("goes on after its eviction, and what was done stays done (guarantees 2 and 4)", async () => {
    const { id } = await start("approval", {});
    await until(id, "waiting");
    await evict(id);
    expect((await service.runs.read(id)).status).toBe("waiting");
    await evict(id);
    await getRun(id).signal("decision", { approved: false });
    expect(await getRun(id).result()).toEqual({ told: "no" });
    expect(effectsOf(id)).toEqual(["ask", "tell"]);
  });

  it("wakes from its sleep by its own alarm after an eviction (guarantee 4)", async () => {
    const { id } = await start("nap", { ms: 2000 });
    await expect.poll(() => kinds(id)).toContain("timer.set");
    await evict(id);
    await until(id, "completed");
    expect(effectsOf(id)).toEqual(["before", "after"]);
    expect(await kinds(id)).toEqual([
      "run.created",
      "run.started",
      "step.completed",
      "timer.set",
      "timer.fired",
      "step.completed",
      "run.completed",
    ]);
  });

  it("times out on time after an eviction, and the reason says it before", async () => {
    const { id } = await start("approval", { timeout: "2s" });
    const waiting = await until(id, "waiting");
    expect(waiting.reason).toContain("waiting for signal decision");
    await evict(id);
    expect((await until(id, "cancelled")).error).toMatchObject({ code: "bailed", message: "nobody decided" });
  });

  it("takes two thousand signals in order, evicted among them (guarantee 5)", async () => {
    const { id } = await start("inbox", { count: 2000 });
    for (let from = 0; from < 2000; from += 500) {
      const batch = Array.from({ length: 500 }, (_, index) => getRun(id).signal("item", { n: from + index }));
      await Promise.all(batch);
      if (from === 500) await abortAllDurableObjects();
    }
    const seen = await getRun<number[]>(id).result();
    expect(seen).toEqual(Array.from({ length: 2000 }, (_, index) => index));
  });

  it("takes the same key once, and refuses it for another signal (guarantee 5)", async () => {
    const { id } = await start("inbox", { count: 2 });
    await getRun(id).signal("item", { n: 1 }, { idempotencyKey: "k" });
    await getRun(id).signal("item", { n: 1 }, { idempotencyKey: "k" });
    await evict(id);
    await getRun(id).signal("item", { n: 1 }, { idempotencyKey: "k" });
    await expect(getRun(id).signal("item", { n: 5 }, { idempotencyKey: "k" })).rejects.toMatchObject({
      code: "idempotency_conflict",
    });
    await getRun(id).signal("item", { n: 2 });
    expect(await getRun(id).result()).toEqual([1, 2]);
  });

  it("keeps large values over an eviction", async () => {
    const { id } = await start("big", { bytes: 3_000_000 });
    await until(id, "waiting");
    await evict(id);
    await getRun(id).signal("go");
    expect(await getRun(id).result()).toEqual({ length: 3_000_000, last: 7 });
  });

  it("shows a run whose values would not fit one call between objects", async () => {
    const text = "x".repeat(15_000_000);
    const run = await start("echo", text, 60_000);
    expect(run).toMatchObject({ status: "completed", output: encode(text, "") });
    const page = await service.runs.history(run.id, 0, 200);
    expect(page.entries.length).toBeLessThan(5);
    expect(page.next).toBe(page.entries.at(-1)?.seq);
  });

  it("is refused where its values would not fit one call, and takes them up to that", async () => {
    const wide = (length: number) => ({ text: `${"x".repeat(length)}→` });
    await expect(start("notes", wide(9_000_000))).rejects.toMatchObject({ code: "value_too_large" });
    const { id } = await start("notes", wide(8_000_000));
    const { entries } = await service.runs.history(id, 0, 1);
    expect(entries).toMatchObject([{ kind: "run.created" }]);
  });

  it("is listed in the directory with what it waits for", async () => {
    const { id } = await start("approval", {});
    await until(id, "waiting");
    await vi.waitFor(async () => {
      const pages = await Promise.all(directoryShards().map((shard) => shard.list({ limit: 200 }, null)));
      expect(pages.flat().find((run) => run.id === id)).toMatchObject({ status: "waiting" });
    }, 60_000);
  });
});

describe("pause and repair", () => {
  it("holds a paused run, moves its deadline by the pause, and goes on", async () => {
    const { id } = await start("nap", { ms: 3_600_000 });
    const before = await until(id, "waiting");
    const dueAt = before.waitingFor[0]?.until ?? 0;
    const act = (kind: "pause" | "resume") => service.runs.act(id, { kind, by: "ana", reason: "checking the invoice" });
    expect(await act("pause")).toMatchObject({ status: "paused", reason: "paused by ana: checking the invoice" });
    await evict(id);
    await passTime(id, 3_600_000);
    expect((await service.runs.read(id)).status).toBe("paused");
    const paused = (await service.runs.history(id, 0, 200)).entries.find(({ kind }) => kind === "run.paused");
    vi.useFakeTimers({ toFake: ["Date"], now: dueAt + 1000 });
    const after = await act("resume").finally(() => vi.useRealTimers());
    expect(after.waitingFor[0]?.until).toBe(dueAt + dueAt + 1000 - (paused?.at ?? 0));
    await passTime(id, 3 * 3_600_000);
    await until(id, "completed");
  });

  it("retries a failed run from what failed", async () => {
    const run = await start("flaky", { failures: 5 });
    await until(run.id, "failed");
    await service.runs.act(run.id, { kind: "retry", by: "ana", reason: null });
    // Four attempts failed before; four more are allowed now, and the second of them succeeds no sooner.
    await until(run.id, "failed");
    expect(await kinds(run.id)).toContain("run.retried");
  });

  it("is not restarted as a run of another workflow, which had its id before", async () => {
    const { id } = await start("nap", { ms: 3_600_000 });
    await until(id, "waiting");
    const request = { workflow: "flaky", version: "1", by: "test", reason: null };
    expect(await runObject(id).restart(request)).toMatchObject({ ok: false, refusal: { code: "run_not_found" } });
    expect(await until(id, "waiting")).toMatchObject({ workflow: "nap" });
  });
});

describe("a webhook", () => {
  async function open(input: object): Promise<{ id: string; token: string }> {
    const { id } = await start("hooked", input);
    const run = await until(id, "waiting");
    const url = run.waitingFor[0]?.url ?? "";
    expect(url).toMatch(/^http:\/\/example\.com\/hooks\//);
    return { id, token: url.split("/").at(-1) ?? "" };
  }
  const post = (body: string) => ({
    method: "POST",
    headers: { "content-type": "application/json" },
    query: { a: "1" },
    body: new TextEncoder().encode(body),
  });

  it("resolves once, over an eviction, and later calls are duplicates", async () => {
    const { id, token } = await open({});
    await evict(id);
    const [first, second] = await Promise.all([
      service.hooks.receive(token, post('{"x":1}')),
      service.hooks.receive(token, post("{}")),
    ]);
    expect([first.duplicate, second.duplicate].toSorted()).toEqual([false, true]);
    expect(await getRun(id).result()).toEqual({ method: "POST", query: { a: "1" }, body: { x: 1 } });
    await expect(service.hooks.receive(token, post("{}"))).rejects.toMatchObject({ code: "run_ended" });
  });

  it("refuses forged tokens, broken bodies and calls that verify refuses, and stays open", async () => {
    const { id, token } = await open({ secret: "s" });
    await expect(service.hooks.receive(`${token.slice(0, -2)}xx`, post("{}"))).rejects.toMatchObject({
      code: "webhook_not_found",
    });
    await expect(service.hooks.receive(token, post("{"))).rejects.toMatchObject({ code: "body_invalid" });
    await expect(service.hooks.receive(token, post("{}"))).rejects.toMatchObject({ code: "webhook_rejected" });
    const good = { ...post("{}"), headers: { "content-type": "application/json", "x-secret": "s" } };
    expect(await service.hooks.receive(token, good)).toEqual({
      duplicate: false,
      response: { status: 200, headers: { "content-type": "application/json" }, body: '{"thanks":"POST"}' },
    });
    await until(id, "completed");
    expect((await kinds(id)).filter((kind) => kind === "webhook.rejected")).toHaveLength(2);
  });

  it("gives a form's fields and files, and refuses a broken form", async () => {
    const { id, token } = await open({});
    const form = new FormData();
    form.set("name", "Ann");
    form.set("scan", new File(["%PDF"], "scan.pdf", { type: "application/pdf" }));
    const sent = new Response(form);
    const headers = { "content-type": sent.headers.get("content-type") ?? "" };
    const body = new Uint8Array(await sent.arrayBuffer());
    const call = { method: "POST", headers, query: {}, body };
    const broken = { ...call, body: body.subarray(0, 40) };
    await expect(service.hooks.receive(token, broken)).rejects.toMatchObject({ code: "body_invalid" });
    expect(await service.hooks.receive(token, call)).toMatchObject({ duplicate: false });
    expect(await getRun(id).result()).toMatchObject({
      body: {
        name: "Ann",
        scan: { name: "scan.pdf", type: "application/pdf", bytes: new TextEncoder().encode("%PDF") },
      },
    });
  });

  it("expires with its wait", async () => {
    const { id, token } = await open({ timeout: "1 hour" });
    await passTime(id, 3_600_000);
    await until(id, "completed");
    await expect(service.hooks.receive(token, post("{}"))).rejects.toMatchObject({ code: "run_ended" });
    expect(await getRun(id).result()).toBe("nobody called");
  });
});

describe("deaths", () => {
  it("repeats an interrupted step with the same key, and only that one (guarantee 2)", async () => {
    const { id } = await start("gated", { gates: ["one", "two"] });
    openGate(`${id}/one`);
    await expect.poll(async () => (await service.runs.read(id)).steps.completed).toBe(1);
    await abortAllDurableObjects();
    // Nobody calls: the alarm brings it back.
    await expect.poll(() => effectsOf(id)).toEqual(["one", "two", "two"]);
    openGate(`${id}/two`);
    await until(id, "completed");
    const keys = effects.filter((effect) => effect.run === id && effect.step === "two").map((effect) => effect.key);
    expect(new Set(keys).size).toBe(1);
    expect(await kinds(id)).toContain("step.interrupted");
  });

  it.each(["poison", "relapse"])(
    "ends a step that kills its object again and again as step_crashed (guarantee 4): %s",
    async (workflow) => {
      const id = `${workflow}-${++made}`;
      // The first death takes the start's own answer with it: it was not accepted then, or it was.
      await service.runs.start({ workflow, input: encode({ rescue: true }, ""), id, by: "test" }).catch(() => {});
      await vi.waitFor(
        async () => {
          const run = unwrap(await runObject(id).read(0));
          expect(run.output).toBe(encode({ code: "step_crashed" }, ""));
        },
        { timeout: 60_000, interval: 100 },
      );
    },
  );

  it("starts a run again, with care, whose object dies of its start: its deaths are counted (guarantees 1 and 4)", async () => {
    const id = `mine-${++made}`;
    // That it was started once more is on record, whether or not the answer gets out before the next death.
    await service.runs
      .start({ workflow: "mine", input: encode({ signal: false }, ""), id, by: "test" })
      .catch(() => {});
    await mined(id);
    expect((await kinds(id)).slice(0, 3)).toEqual(["run.created", "run.started", "run.interrupted"]);
    // One that nobody could note, and the six that a step may have.
    expect(effectsOf(id)).toHaveLength(7);
  });

  it.each([
    ["", false],
    [", and found no memory of it", true],
  ])(
    "goes on with care where its object dies of a signal that nobody has answered%s (guarantees 4 and 5)",
    async (_, cold) => {
      const { id } = await start("mine", { signal: true });
      await until(id, "waiting");
      if (cold) await evict(id);
      const signal = { name: "go", payload: encode({}, ""), key: "go", by: "test" };
      await expect(service.signals.send(id, signal)).rejects.toThrow("mine");
      expect((await kinds(id)).slice(-2)).toEqual(["run.interrupted", "run.recovered"]);
      // Whoever was not answered sends it again. It dies of this one as well, but now that is on record.
      await service.signals.send(id, signal).catch(() => {});
      await mined(id);
      expect((await kinds(id)).filter((kind) => kind === "signal.received")).toHaveLength(1);
      // One that nobody could note, and the six that a step may have.
      expect(effectsOf(id)).toHaveLength(7);
    },
  );

  async function mined(id: string): Promise<void> {
    await vi.waitFor(
      async () => {
        const { output } = unwrap(await runObject(id).read(0));
        expect(output).toBe(encode({ code: "step_crashed" }, ""));
      },
      { timeout: 60_000, interval: 100 },
    );
  }
});
