/** Requests that couriers make for a run while it rests. */
import { describe, expect, test } from "vitest";
import { Bars } from "../../src/core/timeline/bars.ts";
import { NonRetryableError } from "../../src/core/error.ts";
import { planFork } from "../../src/core/lifecycle/fork.ts";
import type { OrderEnd } from "../../src/core/courier/order.ts";
import { dispatchedCalls } from "../../src/core/state/dispatched.ts";
import { act, startAt } from "./host.ts";
import { define } from "./memory.ts";
import type { Handler } from "./memory.ts";
import { FakeCouriers, answered } from "./couriers.ts";
import { stayMs } from "../../src/engine/next.ts";

const minuteMs = 60_000;
const slowMs = 30_000;
const url = "https://example.com/ask?key=secret";

const ask: Handler = async (_input, step) => (await step.fetch("ask", { url, method: "POST", body: { n: 1 } })).body;

const refused = (status: number, begins = "", waitMs: number | null = null): OrderEnd => {
  return { kind: "refused", status, begins, waitMs };
};

/** What a handler's failure says. */
const why = (error: Error & { code?: string; cause?: unknown }) => [
  error.name,
  error.code,
  error.message,
  error.cause instanceof Error ? Reflect.get(error.cause, "code") : null,
];

describe("a request that is made elsewhere", () => {
  test("is on record before it is sent, and needs no memory of the run until it is answered", async () => {
    const post = new FakeCouriers(ask, () => ({ end: answered("yes"), ms: slowMs }));
    await post.drive(startAt + 1000);
    expect(post.host.journal.kinds).toEqual(["run.created", "run.started", "step.dispatched"]);
    expect(post.made).toHaveLength(1);
    const next = post.host.run.advance();
    expect(next).toEqual({ busy: false, wakeAt: startAt + minuteMs, expired: false });
    await post.drive();
    expect(post.host.output).toBe("yes");
    const [completed] = post.host.entries("step.completed");
    expect(completed).toMatchObject({ step: "ask", attempt: 1, startedAt: startAt, at: startAt + slowMs });
  });

  test("is not made once more where the answer comes while it is about to be handed over again (guarantee 2)", async () => {
    const post = new FakeCouriers(ask, () => ({ end: answered("yes"), ms: minuteMs + 1000 }));
    await post.drive(startAt + 1000);
    const safe = Promise.withResolvers<void>();
    let asked = 0;
    post.host.journal.durable = () => (asked++ === 0 ? safe.promise : Promise.resolve());
    await post.drive();
    expect(post.host.output).toBe("yes");
    expect(asked).toBeGreaterThan(0);
    safe.resolve();
    for (let turns = 0; turns < 10; turns++) await Promise.resolve();
    expect(post.made).toHaveLength(1);
  });

  test("carries method, body, headers and the step's idempotency key", async () => {
    const post = await new FakeCouriers(ask, () => ({ end: answered("yes"), ms: 1 })).drive();
    const [order] = post.made;
    expect(order).toMatchObject({ step: "ask", key: `run-1:${startAt.toString(36)}:ask` });
    expect(order?.request).toEqual({
      ...{ method: "POST", url, body: '{"n":1}', accepted: [] },
      headers: [["content-type", "application/json"]],
    });
  });

  test("shows the run as running with its attempt, in memory as in a life that has not begun", async () => {
    const post = new FakeCouriers(ask, () => null);
    await post.drive(startAt + 1000);
    for (const { snapshot } of [post.host, post.reopen().host]) {
      expect(snapshot).toMatchObject({ status: "running", steps: { completed: 0, failed: 0, running: 1 } });
      expect(snapshot.active).toEqual([{ step: "ask", attempt: 1, since: startAt, until: startAt + 600_000 }]);
      expect(snapshot.reason).toMatch(/^running ask since /);
    }
  });

  test("counts among the steps, and the limits of steps hold for it", async () => {
    const twice: Handler = async (_input, step) => {
      await step.fetch("ask", url);
      return await step.fetch("ask", url).catch(why);
    };
    const limited = define(twice, { limits: { steps: 100, perStep: { ask: 1 } } });
    const post = await new FakeCouriers(limited, () => ({ end: answered(1), ms: 1 })).drive();
    expect(post.host.snapshot.steps).toEqual({ completed: 1, failed: 0, running: 0 });
    expect((post.host.output as unknown[])[1]).toBe("limit_exceeded");
  });

  test("is refused at once where it cannot be sent", async () => {
    const bad: Handler = async (_input, step) => [
      await step.fetch("a", { url: "nowhere" }).catch(why),
      await step.fetch("b", { url, body: "text" }).catch(why),
      await step.fetch("c", url, { timeout: "1 hour" }).catch(why),
      await step.fetch("d", url, { atMostOnce: true } as object).catch(why),
      await step.fetch("e", url, { acceptStatus: [99] }).catch(why),
    ];
    const post = await new FakeCouriers(bad, () => null).drive();
    const messages = (post.host.output as string[][]).map(([, code, message]) => `${code}: ${message}`);
    expect(messages).toEqual([
      "options_invalid: step a: url is no absolute URL, such as https://example.com/",
      "options_invalid: step b: a GET request has no body",
      expect.stringMatching(/^options_invalid: step c: timeout must be 14 min at most/),
      expect.stringMatching(/^options_invalid: step d has no option "atMostOnce"/),
      expect.stringMatching(/^options_invalid: step e: acceptStatus must be a list of statuses/),
    ]);
    expect(post.made).toEqual([]);
  });
});

describe("what comes of it", () => {
  test("passing failures are tried again by the policy, with the same key; Retry-After is kept whole", async () => {
    const replies = [refused(503, "busy"), refused(429, "slow down", 90_000), answered("at last")];
    const post = await new FakeCouriers(ask, (_order, nth) => ({
      end: replies[nth - 1] ?? answered(""),
      ms: 1000,
    })).drive();
    expect(post.host.output).toBe("at last");
    const [first, second] = post.host.entries("step.attempt_failed");
    expect(first?.error).toMatchObject({ message: "POST to example.com was answered 503: busy", code: "step_failed" });
    expect((second?.retryAt ?? 0) - (second?.at ?? 0)).toBe(90_000);
    expect(new Set(post.made.map(({ key }) => key)).size).toBe(1);
    expect(new Set(post.made.map(({ id }) => id.seq)).size).toBe(3);
  });

  test("other statuses fail the step at once, unless they are accepted; the address's path and query stay out", async () => {
    const both: Handler = async (_input, step) => [
      await step.fetch("ask", url).catch(why),
      (await step.fetch("ask", url, { acceptStatus: [404] })).status,
      await step.fetch("hush", url, { sensitive: true }).catch(why),
    ];
    const post = await new FakeCouriers(both, ({ request }) => ({
      end: request.accepted.includes(404) ? answered(null, 404) : refused(404, "no such thing"),
      ms: 1,
    })).drive();
    expect(post.host.output).toEqual([
      ["NonRetryableError", "non_retryable", "GET to example.com was answered 404: no such thing", "http_404"],
      404,
      ["NonRetryableError", "non_retryable", "GET to example.com was answered 404", "http_404"],
    ]);
    expect(post.host.entries("step.attempt_failed")).toEqual([]);
  });

  test("an answer too large for a value fails the step for good", async () => {
    const end: OrderEnd = { kind: "unusable", code: "value_too_large", message: "the answer is too large" };
    const post = await new FakeCouriers(ask, () => ({ end, ms: 1 })).drive();
    expect(post.host.snapshot.error).toMatchObject({ code: "value_too_large", step: "ask" });
    expect(post.made).toHaveLength(1);
  });

  test("it is recorded once, however often it is told; what comes late is nobody's (2)", async () => {
    const post = new FakeCouriers(ask, () => ({ end: answered("yes"), ms: 1000 }));
    const { receiveAnswer } = await import("../../src/engine/courier/dispatch.ts");
    await post.drive(startAt + 10);
    const id = post.made[0]?.id;
    if (id === undefined) throw new Error("nothing was sent");
    for (const at of [500, 500, 600, 2000])
      post.host.plan(startAt + at, (run) => receiveAnswer(run, { ...id, end: answered(at) }));
    post.host.plan(startAt + 400, (run) => receiveAnswer(run, { ...id, createdAt: 1, end: answered("another life") }));
    await post.drive();
    expect(post.host.output).toBe(500);
    expect(post.host.entries("step.completed")).toHaveLength(1);
  });

  test("a step that can be undone is undone with its answer", async () => {
    const undone: unknown[] = [];
    const order: Handler = async (_input, step) => {
      await step.fetch("ask", url, { undo: ({ body }) => void undone.push(body) });
      throw new NonRetryableError("it went wrong");
    };
    const post = await new FakeCouriers(order, () => ({ end: answered("paid"), ms: 1000 })).drive();
    expect(post.host.status).toBe("failed");
    expect(undone).toEqual(["paid"]);
  });

  test("with no attempt left, the run waits for a person, and a retry sends it again", async () => {
    const patient: Handler = async (_input, step) =>
      (await step.fetch("ask", url, { retry: { limit: 0 }, onExhausted: "pause" })).body;
    const post = new FakeCouriers(patient, (_order, nth) => ({
      end: nth === 1 ? refused(500) : answered("ok"),
      ms: 1000,
    }));
    await post.drive(startAt + minuteMs);
    expect(post.host.status).toBe("paused");
    post.host.plan(startAt + 2 * minuteMs, (run) => act(run, "retry"));
    await post.drive();
    expect(post.host.output).toBe("ok");
  });
});

describe("its time", () => {
  const quick: Handler = async (_input, step) =>
    await step.fetch("ask", url, { timeout: "3 minutes", retry: { limit: 0 } }).catch(why);

  test("is over at its deadline, and the courier is told", async () => {
    const post = await new FakeCouriers(quick, () => null).drive();
    expect((post.host.output as unknown[])[1]).toBe("step_timeout");
    expect(post.host.entries("step.failed")[0]?.at).toBe(startAt + 3 * minuteMs);
    expect(post.dropped).toHaveLength(1);
  });

  test("is moved by a pause and by nothing else, whether or not the memory stays", async () => {
    for (const isEvicted of [false, true]) {
      const post = new FakeCouriers(quick, () => null);
      post.host.plan(startAt + minuteMs, (run) => act(run, "pause"));
      await post.drive(startAt + 2 * minuteMs);
      if (isEvicted) post.reopen();
      await post.drive(startAt + 20 * minuteMs);
      expect(post.host.status).toBe("paused");
      post.host.plan(startAt + 21 * minuteMs, (run) => act(run, "resume"));
      await post.drive();
      expect(post.host.entries("step.failed")[0]?.at).toBe(startAt + 23 * minuteMs);
      expect(post.made).toHaveLength(1);
    }
  });

  const two: Handler = async (_input, step) => [(await step.fetch("ask", url)).body, await step.run("next", () => 2)];

  test.each([false, true])("an answer that comes in a pause is kept (evicted: %s)", async (isEvicted) => {
    const post = new FakeCouriers(two, () => ({ end: answered("yes"), ms: 2 * minuteMs }));
    post.host.plan(startAt + minuteMs, (run) => act(run, "pause"));
    await post.drive(startAt + minuteMs);
    if (isEvicted) post.reopen();
    await post.drive(startAt + 3 * minuteMs);
    expect(post.host.journal.kinds.at(-1)).toBe("step.completed");
    expect(post.host.snapshot).toMatchObject({ status: "paused", steps: { completed: 1, running: 0 } });
    post.host.plan(startAt + 4 * minuteMs, (run) => act(run, "resume"));
    expect((await post.drive()).host.output).toEqual(["yes", 2]);
    expect(post.made).toHaveLength(1);
  });

  test("code that makes its step a function of its own begins that once the pause is over", async () => {
    const post = new FakeCouriers(two, () => null);
    post.host.plan(startAt + minuteMs, (run) => act(run, "pause"));
    await post.drive(startAt + 2 * minuteMs);
    let begun = 0;
    post.reopen().host.definition = define(async (_input, step) => await step.run("ask", () => ++begun));
    await post.host.run.awake();
    await post.drive(startAt + 3 * minuteMs);
    expect([post.host.status, begun]).toEqual(["paused", 0]);
    post.host.plan(startAt + 4 * minuteMs, (run) => act(run, "resume"));
    expect((await post.drive()).host.output).toBe(1);
  });

  test("a courier that comes back in a pause is given the request by a run that was evicted", async () => {
    const post = new FakeCouriers(two, (_order, nth) => (nth === 1 ? null : { end: answered("yes"), ms: minuteMs }));
    post.host.plan(startAt + minuteMs, (run) => act(run, "pause"));
    await post.drive(startAt + 2 * minuteMs);
    post.reopen();
    await post.revive();
    await post.drive(startAt + 4 * minuteMs);
    expect([post.host.status, post.host.journal.kinds.at(-1)]).toEqual(["paused", "step.completed"]);
    expect(post.host.entries("step.dispatched")).toHaveLength(1);
  });
});

/** Its memory goes, and its alarm begins another life. */
function evicted(post: FakeCouriers, wakeAt: number): FakeCouriers {
  post.host.clock.set(wakeAt);
  return post.reopen(undefined, post.reopen().host.run.wasCutOff(wakeAt));
}

describe("whoever dies", () => {
  test("a courier that forgot it is found out a minute later, and makes it again (4)", async () => {
    const post = new FakeCouriers(ask, (_order, nth) => (nth === 1 ? null : { end: answered("yes"), ms: 1000 }));
    // Time passes: a run is not evicted at once.
    post.host.plan(startAt + 15_000, () => {});
    await post.drive(startAt + 15_000);
    post.forget();
    await post.reopen().drive();
    expect(post.host.output).toBe("yes");
    expect(post.host.entries("run.completed")[0]?.at).toBe(startAt + minuteMs + 1000);
    expect(post.made.map(({ id }) => id.seq)).toEqual([3, 3]);
    expect(post.host.entries("step.dispatched")).toHaveLength(1);
  });

  test("a courier that comes back asks the run for the request, and the attempt stays the same", async () => {
    const post = new FakeCouriers(ask, (_order, nth) => (nth === 1 ? null : { end: answered("yes"), ms: 1000 }));
    await post.drive(startAt + 1000);
    post.reopen();
    await post.revive();
    await post.drive();
    expect(post.host.output).toBe("yes");
    expect(post.made[0]).toEqual(post.made[1]);
  });

  test("a courier that cannot be reached is tried again", async () => {
    for (const what of ["reserve", "send"] as const) {
      let failures = 4;
      const post = new FakeCouriers(ask, () => ({ end: answered("yes"), ms: 1000 }));
      post.fails = (asked) => asked === what && failures-- > 0;
      await post.drive();
      expect(post.host.output).toBe("yes");
      expect(post.host.entries("step.dispatched")).toHaveLength(1);
    }
  });

  test("a run that finds no courier asks again before it could be evicted, which would pass for a death", async () => {
    const post = new FakeCouriers(ask, () => ({ end: answered("yes"), ms: 1000 }));
    post.fails = (what) => what === "reserve" && post.host.clock.at < startAt + 5 * minuteMs;
    while (post.host.run.state.end === null) {
      await post.drive(post.host.clock.at);
      const { busy, wakeAt } = post.host.run.advance();
      const isEvicted = !busy && (wakeAt ?? 0) - post.host.clock.at > stayMs;
      await (isEvicted ? evicted(post, wakeAt ?? 0) : post.drive(wakeAt ?? post.host.clock.nextAt));
    }
    expect(post.host.output).toBe("yes");
    expect(post.host.entries("run.interrupted")).toEqual([]);
  });

  test("a run that asks for room once more is at work until it is told (4)", async () => {
    const post = new FakeCouriers(ask, () => ({ end: answered("yes"), ms: 1000 }));
    const room = Promise.withResolvers<number>();
    let asked = 0;
    post.reserve = () => (++asked === 1 ? Promise.reject(new Error("no courier has room")) : room.promise);
    await post.drive(startAt + 1000);
    expect([asked, post.host.run.advance().busy]).toEqual([2, true]);
    room.resolve(2);
    await post.drive();
    expect(post.host.output).toBe("yes");
  });

  test("the run goes on from every commit, whether its couriers have what it sent or have lost it (2, 4)", async () => {
    const handler: Handler = async (_input, step) => {
      const [a, b] = await Promise.all([
        step.fetch("a", url, { retry: { delay: 1000 } }).then(({ body }) => body),
        step.run("b", () => 2),
      ]);
      const c = await step.fetch("c", url).then(({ body }) => body);
      return [a, b, c];
    };
    const reply = ({ step }: { readonly step: string }, nth: number) => ({
      end: nth === 1 ? refused(503) : answered(step),
      ms: 2000,
    });
    const whole = await new FakeCouriers(handler, reply).drive();
    expect(whole.host.output).toEqual(["a", 2, "c"]);
    const { commits } = whole.host.journal;
    for (let keep = 1; keep < commits.length; keep++) {
      for (const [cold, isKnown] of [
        [true, true],
        [true, false],
        [false, true],
        [false, false],
      ]) {
        const post = new FakeCouriers(handler, ({ step }) => ({ end: answered(step), ms: 2000 }));
        post.host = whole.host.reopen({ keep, cold: cold === true, couriers: post, at: startAt + 10 * 1000 });
        const out = dispatchedCalls(post.host.run.state).map(({ id, order }) => ({ id, seq: order.seq }));
        for (const { id, seq } of isKnown === true ? out : [])
          post.know({ runId: "run-1", createdAt: startAt, seq }, answered(id), 2000);
        await post.drive();
        // What they carry is not sent again.
        const again = post.made.filter(({ id }) => out.some(({ seq }) => seq === id.seq));
        expect(again).toHaveLength(isKnown === true ? 0 : out.length);
        expect(post.host.output, `from ${keep} commits`).toEqual(["a", 2, "c"]);
        const sent = post.host.entries("step.dispatched").map(({ seq }) => seq);
        for (const { id } of post.made) expect(sent).toContain(id.seq);
        // What was open is asked for again as the attempt that it was.
        expect(new Set(post.made.map(({ id }) => id.seq)).size).toBe(post.made.length);
        expect(post.host.entries("step.interrupted").filter(({ step }) => step !== "b")).toEqual([]);
      }
    }
  });

  test("a life that ends before it has handed the request over is followed by one that does so at once (4)", async () => {
    for (const cold of [true, false]) {
      const post = new FakeCouriers(ask, () => ({ end: answered("yes"), ms: 5000 }));
      post.fails = (what) => what === "send";
      post.host.journal.onAppend = (entries) => {
        if (entries.some(({ kind }) => kind === "step.dispatched")) post.host.dead = true;
      };
      await post.drive();
      post.fails = () => false;
      await post.reopen(undefined, cold).drive();
      expect(post.host.entries("run.completed")[0]?.at).toBe(startAt + 5000);
      expect(post.made).toHaveLength(1);
    }
  });

  test("what a death kept from its courier is handed over as the pause ends that the run was in by then (4)", async () => {
    const once: Handler = async (_input, step) => (await step.fetch("ask", url, { retry: { limit: 0 } })).body;
    for (const cold of [true, false]) {
      const post = new FakeCouriers(once, () => ({ end: answered("yes"), ms: 5000 }));
      post.fails = (what) => what === "send";
      post.host.journal.onAppend = (entries) => {
        if (entries.some(({ kind }) => kind === "step.dispatched")) post.host.dead = true;
      };
      await post.drive();
      post.fails = () => false;
      post.reopen(undefined, cold);
      void act(post.host.run, "pause");
      post.host.plan(startAt + 60 * minuteMs, (run) => act(run, "resume"));
      await post.drive();
      expect(post.host.entries("run.completed")[0]?.at).toBe(startAt + 60 * minuteMs + 5000);
      expect(post.made).toHaveLength(1);
    }
  });

  test("a courier that forgot it in a long pause is found out as that ends, and is asked anew from then on (4)", async () => {
    for (const isEvicted of [false, true]) {
      const post = new FakeCouriers(ask, (_order, nth) => (nth < 3 ? null : { end: answered("yes"), ms: 1000 }));
      post.host.plan(startAt + 1000, (run) => act(run, "pause"));
      post.host.plan(startAt + 60 * minuteMs, (run) => act(run, "resume"));
      await post.drive(startAt + 20_000);
      post.forget();
      if (isEvicted) post.reopen();
      await post.drive(startAt + 60 * minuteMs + 20_000);
      post.forget();
      await post.drive();
      expect(post.host.entries("run.completed")[0]?.at).toBe(startAt + 61 * minuteMs + 1000);
      expect(post.host.entries("step.dispatched")).toHaveLength(1);
    }
  });

  test("an alarm to ask for it, counted from the end of a pause, passes for no death", async () => {
    const post = new FakeCouriers(ask, () => ({ end: answered("yes"), ms: 13 * minuteMs }));
    post.host.plan(startAt + minuteMs, (run) => act(run, "pause"));
    post.host.plan(startAt + 10 * minuteMs, (run) => act(run, "resume"));
    await post.drive(startAt + 10 * minuteMs);
    const { wakeAt } = post.host.run.advance();
    await evicted(post, wakeAt ?? 0).drive();
    expect([wakeAt, post.host.output]).toEqual([startAt + 11 * minuteMs, "yes"]);
    expect(post.host.entries("run.interrupted")).toEqual([]);
  });

  test("a courier that forgot it is found out by a run that is evicted whenever it rests (4)", async () => {
    const post = new FakeCouriers(ask, (_order, nth) => (nth === 1 ? null : { end: answered("yes"), ms: 1000 }));
    await post.drive(startAt + 1000);
    post.forget();
    const { wakeAt } = post.host.run.advance();
    post.host.clock.set(wakeAt ?? 0);
    await post.reopen().drive();
    expect(post.host.entries("run.completed")[0]?.at).toBe(startAt + minuteMs + 1000);
  });

  test("a run that gives its memory up, for its journal or its code, tells no courier to stop (2, 4)", async () => {
    const both: Handler = async (_input, step) =>
      await Promise.all([step.fetch("a", url).then(({ body }) => body), step.sleep("b", 1000)]);
    const post = new FakeCouriers(both, () => ({ end: answered("yes"), ms: 5000 }));
    post.host.journal.beforeAppend = (entries) => {
      if (entries.some(({ kind }) => kind === "timer.fired")) throw new Error("the disk is full");
    };
    await expect(post.drive()).rejects.toThrow("the disk is full");
    await post.reopen(undefined, true).drive();
    expect(post.host.status).toBe("completed");
    const changed: Handler = async (_input, step) => await step.sleep("ask", 1);
    const halted = new FakeCouriers(ask, () => ({ end: answered("yes"), ms: 5000 }));
    await halted.drive(startAt + 1000);
    halted.host = halted.host.reopen({ definition: changed, couriers: halted });
    await halted.drive(startAt + 4000);
    expect(halted.host.status).toBe("paused");
    for (const { made, dropped } of [post, halted]) expect([made.length, dropped]).toEqual([1, []]);
  });

  test("a death at each commit sends no second request that the first does not know of", async () => {
    const handler: Handler = async (_input, step) => (await step.fetch("a", url)).body;
    for (let commit = 1; commit <= 4; commit++) {
      for (const cold of [true, false]) {
        const post = new FakeCouriers(handler, () => ({ end: answered("a"), ms: 5000 }));
        let count = 1;
        post.host.journal.onAppend = () => {
          if (++count === commit) post.host.dead = true;
        };
        await post.drive();
        await post.reopen(undefined, cold).drive();
        expect(post.host.output).toBe("a");
        expect(post.made).toHaveLength(1);
      }
    }
  });
});

describe("a history that goes elsewhere", () => {
  test("an imported run sends what was under way anew: its couriers are others", async () => {
    const post = new FakeCouriers(ask, () => ({ end: answered("yes"), ms: 10_000 }));
    await post.drive(startAt + 1000);
    post.host.run.append({ kind: "run.imported", from: { id: "run-1", digest: "" }, by: "test", reason: null });
    post.forget();
    await post.reopen().drive();
    expect(post.host.output).toBe("yes");
    expect(post.host.entries("step.dispatched").map(({ attempt }) => attempt)).toEqual([1, 1]);
    expect(post.host.entries("step.completed")).toHaveLength(1);
  });

  test("a fork takes the answer along, and nothing of what is still out", async () => {
    const two: Handler = async (_input, step) => [await step.fetch("a", url), await step.fetch("b", url)];
    const post = new FakeCouriers(two, ({ step }) => (step === "a" ? { end: answered("yes"), ms: 1000 } : null));
    await post.drive(startAt + 5000);
    const { entries } = post.host.journal;
    const { copied, kept, rerun } = planFork(entries, { from: "b", given: [] });
    expect([kept, rerun]).toEqual([["a"], ["b"]]);
    expect(entries.filter(({ seq }) => copied.includes(seq)).map(({ kind }) => kind)).toEqual(["step.completed"]);
  });

  test("its timeline has one attempt, whether it is out or over", async () => {
    const post = new FakeCouriers(ask, () => ({ end: answered("yes"), ms: 5000 }));
    const drawn = (): unknown => {
      const bars = new Bars((_key, error) => error);
      for (const entry of post.host.journal.entries) bars.add(entry);
      const [bar] = bars.sorted();
      return [bar?.status, bar?.attempts.map(({ attempt, startedAt, endedAt }) => [attempt, startedAt, endedAt])];
    };
    await post.drive(startAt + 1000);
    expect(drawn()).toEqual(["open", [[1, startAt, null]]]);
    await post.drive();
    expect(drawn()).toEqual(["completed", [[1, startAt, startAt + 5000]]]);
  });
});

describe("a run that does not wait for it any more", () => {
  test("cancelled, it is told to stop; what cannot be undone is not waited for", async () => {
    const post = new FakeCouriers(ask, () => ({ end: answered("yes"), ms: 10 * minuteMs }));
    post.host.plan(startAt + minuteMs / 2, (run) => act(run, "cancel"));
    await post.drive();
    expect(post.host.status).toBe("cancelled");
    expect(post.host.entries("run.cancelled")[0]?.at).toBe(startAt + minuteMs / 2);
    expect(post.dropped).toHaveLength(1);
  });

  test("cancelled, one that can be undone is waited for, and undone if it was answered", async () => {
    for (const ms of [minuteMs / 2 + 10_000, minuteMs / 2 + 40_000]) {
      const undone: unknown[] = [];
      const order: Handler = async (_input, step) =>
        await step.fetch("ask", url, { undo: ({ body }) => void undone.push(body) });
      const post = new FakeCouriers(order, () => ({ end: answered("paid"), ms }));
      post.host.plan(startAt + minuteMs / 2, (run) => act(run, "cancel"));
      await post.drive();
      expect(post.host.status).toBe("cancelled");
      expect(undone).toEqual(ms === minuteMs / 2 + 10_000 ? ["paid"] : []);
    }
  });

  test("terminated while nobody is in memory, it ends at once and takes nothing more", async () => {
    const post = new FakeCouriers(ask, () => ({ end: answered("yes"), ms: minuteMs }));
    await post.drive(startAt + 1000);
    post.reopen();
    await act(post.host.run, "terminate");
    await post.drive();
    expect(post.host.status).toBe("cancelled");
    expect(post.host.entries("step.completed")).toEqual([]);
  });

  const abandoned = ({ host }: FakeCouriers) => {
    return host.entries("step.abandoned").map(({ step, attempt, startedAt }) => [step, attempt, startedAt - startAt]);
  };

  test.each([true, false])(
    "guarantee 8: one that an end leaves behind is on record (in memory: %s)",
    async (isThere) => {
      const post = new FakeCouriers(ask, () => null);
      await post.drive(startAt + 1000);
      if (!isThere) post.reopen();
      await act(post.host.run, "terminate");
      expect(post.host.journal.kinds.slice(-2)).toEqual(["step.abandoned", "run.cancelled"]);
      expect(abandoned(post)).toEqual([["ask", 1, 0]]);
      const late = new FakeCouriers(define(ask, { timeoutMs: minuteMs }), () => null);
      await late.drive(startAt + 1000);
      if (!isThere) late.reopen();
      late.host.clock.set(startAt + minuteMs);
      await late.drive();
      expect(late.host.snapshot.error?.code).toBe("run_timeout");
      expect(abandoned(late)).toEqual([["ask", 1, 0]]);
    },
  );

  test("guarantee 8: so is one that a handler without its code leaves behind, cancelled with something to undo", async () => {
    const handler: Handler = async (_input, step) => {
      await step.run("book", () => 1, { undo: () => {} });
      await step.fetch("ask", url);
    };
    const post = new FakeCouriers(handler, () => null);
    await post.drive(startAt + 1000);
    const { definition } = post.host;
    post.reopen().host.definition = undefined;
    await act(post.host.run, "cancel");
    expect(abandoned(post)).toEqual([["ask", 1, 0]]);
    post.host.definition = definition;
    await post.drive();
    expect(post.host.snapshot.error?.undone).toEqual(["book"]);
    expect(abandoned(post)).toHaveLength(1);
  });

  test("guarantee 8: one that is left behind by a run that is undone is on record once, and at work no more", async () => {
    const handler: Handler = async (_input, step) => {
      await step.run("book", () => 1, { undo: () => post.host.clock.after(5000) });
      void step.fetch("ask", url).catch(() => {});
      await step.sleep(1000);
      throw new Error("enough");
    };
    const post: FakeCouriers = new FakeCouriers(handler, () => null);
    await post.drive(startAt + 3000);
    expect(post.host.journal.kinds.slice(-2)).toEqual(["step.abandoned", "undo.started"]);
    expect(post.reopen().host.snapshot.active).toEqual([]);
    await post.drive();
    expect([post.host.status, abandoned(post)]).toEqual(["failed", [["ask", 1, 0]]]);
  });

  test("a race it lost goes on to its end, as any step at work does", async () => {
    const handler: Handler = async (_input, step) => {
      const { key } = await step.race({ ask: () => step.fetch("ask", url), nap: () => step.sleep("nap", 1000) });
      await step.sleep("rest", 10_000);
      return key;
    };
    const post = await new FakeCouriers(handler, () => ({ end: answered("late"), ms: 5000 })).drive();
    expect(post.host.output).toBe("nap");
    expect(post.host.entries("step.completed")).toHaveLength(1);
  });

  test("a retry of the failed run sends it anew, and the first answer is nobody's", async () => {
    const handler = define(ask, { timeoutMs: minuteMs });
    const post = new FakeCouriers(handler, (_order, nth) => ({ end: answered(nth), ms: nth === 1 ? 90_000 : 1000 }));
    await post.drive();
    expect(post.host.snapshot.error?.code).toBe("run_timeout");
    post.host.plan(startAt + 2 * minuteMs, (run) => act(run, "retry"));
    await act(post.host.run, "retry");
    await post.drive();
    expect(post.host.output).toBe(2);
  });
});
