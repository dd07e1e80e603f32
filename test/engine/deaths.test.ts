import { expect, test } from "vitest";
import type { Step } from "../../src/core/definition/step.ts";
import { NonRetryableError } from "../../src/core/error.ts";
import { Host, act, play, startAt } from "./host.ts";
import { define } from "./memory.ts";
import type { Handler } from "./memory.ts";

/** The process dies: nothing that was begun comes back, and nothing more is driven. */
function die(host: Host): Promise<never> {
  host.dead = true;
  return new Promise(() => {});
}

type Flow = (host: () => Host) => (input: never, step: Step) => unknown;

/** Lives until one of them survives; `deployments` names the code of each life. */
async function live(
  flow: Flow,
  lives: number,
  deployment: (life: number) => string = () => "one",
): Promise<{ host: Host; lives: number }> {
  let host: Host = new Host(
    flow(() => host),
    { deployment: deployment(0) },
  );
  for (let life = 1; ; life++) {
    await host.drive();
    if (!host.dead || life >= lives) return { host, lives: life };
    const commits = host.journal.commits;
    const next: Host = new Host(
      flow(() => next),
      { commits, at: host.clock.at, deployment: deployment(life) },
    );
    host = next;
  }
}

test("guarantee 4: a step that kills its process is counted and at last fails with step_crashed", async () => {
  let begun = 0;
  const { host, lives } = await live(
    (host) => async (_input, step) => {
      try {
        return await step.run("killer", () => {
          begun++;
          return die(host());
        });
      } catch (error) {
        return (error as { code: string }).code;
      }
    },
    50,
  );
  expect(host.output).toBe("step_crashed");
  // Five marks, and once more.
  expect([begun, lives]).toEqual([6, 7]);
  expect(host.entries("step.failed")[0]).toMatchObject({
    step: "killer",
    attempt: begun,
    error: { code: "step_crashed", attempts: begun, step: "killer" },
  });
});

test("guarantee 4: deaths that come with a deploy are not held against the step, nor end it soon", async () => {
  let begun = 0;
  const flow: Flow = (host) => async (_input, step) =>
    await step.run("slow", () => (++begun <= 12 ? die(host()) : "done"));
  const { host } = await live(flow, 50, (life) => `deploy ${life}`);
  expect([host.output, begun]).toEqual(["done", 13]);
  expect(host.entries("step.interrupted").every(({ held }) => !held)).toBe(true);
  expect(host.entries("run.interrupted").every(({ held }) => !held)).toBe(true);
});

test("guarantee 4: not even deploys go on for ever", async () => {
  const { host, lives } = await live(
    (host) => async (_input, step) => await step.run("killer", () => die(host())),
    60,
    (life) => `deploy ${life}`,
  );
  expect(host.snapshot).toMatchObject({ status: "failed", error: { code: "step_crashed" } });
  // Twenty marks, and once more.
  expect(lives).toBe(22);
});

test.each([[["killer", "innocent"]], [["innocent", "killer"]]])(
  "guarantee 4: of %j in flight the innocent completes",
  async (names) => {
    const { host } = await live(
      (host) => async (_input, step) => {
        const work = {
          killer: () => die(host()),
          innocent: () =>
            host()
              .clock.after(10)
              .then(() => "fine"),
        };
        const results = await Promise.allSettled(
          names.map((name) => step.run(name, () => work[name as "killer" | "innocent"]())),
        );
        return results.map((result) =>
          result.status === "fulfilled" ? result.value : (result.reason as { code: string }).code,
        );
      },
      60,
    );
    expect(host.status).toBe("completed");
    expect([...(host.output as string[])].sort()).toEqual(["fine", "step_crashed"]);
  },
);

test("guarantee 4: two that kill fail one after the other, and the run goes on", async () => {
  const { host } = await live(
    (host) => async (_input, step) => {
      const results = await Promise.allSettled([
        step.run("one", () => die(host())),
        step.run("two", () => die(host())),
        step.run("three", () => host().clock.after(5)),
      ]);
      return results.map(({ status }) => status);
    },
    80,
  );
  expect(host.output).toEqual(["rejected", "rejected", "fulfilled"]);
});

test("guarantee 4: a handler that dies in every life ends as handler_crashed", async () => {
  const { host, lives } = await live(
    (host) => async (_input, step) => {
      await step.run("a", () => 1);
      await die(host());
    },
    50,
  );
  expect(host.snapshot).toMatchObject({ status: "failed", error: { code: "handler_crashed" } });
  // Eight marks, and once more.
  expect(lives).toBe(10);
});

/** Two steps that can be undone, of which the second is at work as the process dies; from the second life on the handler kills it. */
function poisoned(begin: (step: Step, pay: () => Promise<unknown>) => Promise<unknown>): Flow {
  let begun = 0;
  return (host) => async (_input, step) => {
    if (++begun > 2) await die(host());
    await step.run("book", () => 1, { undo: () => {} });
    await begin(step, async () => {
      await host().clock.after(100);
      await die(host());
    });
  };
}

test("guarantee 8: a handler that is given up names the steps that its deaths cut off, and what could have been undone", async () => {
  const { host } = await live(
    poisoned((step, pay) => step.run("charge", pay, { undo: () => {} })),
    50,
  );
  expect(host.snapshot.error).toMatchObject({
    code: "handler_crashed",
    message: expect.stringMatching(/; it is not known how step charge ended$/),
    notUndone: [{ step: "book", message: "the run ended before it could be undone" }],
  });
});

test("guarantee 8: one that is given up while its run is undone says what was undone, and what was not", async () => {
  const { host } = await live(
    poisoned(async (step, pay) => {
      await step.run("hold", () => 1, { undo: pay });
      await step.run("charge", () => 1, { undo: () => Promise.reject(new NonRetryableError("kept")) });
      await step.run("pack", () => 1, { undo: () => {} });
      step.fail(new Error("enough"));
    }),
    50,
  );
  const message = "the run ended before it could be undone";
  expect(host.snapshot.error).toMatchObject({
    code: "handler_crashed",
    message: expect.stringMatching(/; it is not known how undoing hold ended$/),
    undone: ["pack"],
    notUndone: [
      { step: "charge", message: "kept" },
      { step: "hold", message },
      { step: "book", message },
    ],
  });
});

test("what the handler called in a pause, in which it failed and its process died, never begins just to be undone", async () => {
  const seen: string[] = [];
  const flow = async (_input: unknown, step: Step): Promise<void> => {
    await step.run("look", () => host.clock.after(1000));
    const booked = step.run("book", () => seen.push("booked"), { undo: () => void seen.push("undone") });
    await Promise.all([booked, Promise.reject(new Error("enough"))]);
  };
  let host: Host = new Host(flow);
  await host.plan(startAt + 100, (run) => act(run, "pause")).drive();
  expect(host.journal.kinds.slice(-3)).toEqual(["run.paused", "step.completed", "run.failed"]);
  host = host.reopen({ keep: host.journal.commits.length - 1 });
  await host.plan(startAt + 5000, (run) => act(run, "resume")).drive();
  expect([host.snapshot.error?.message, seen]).toEqual(["enough", []]);
});

test("guarantee 4: one that dies with every deployment ends so too, later", async () => {
  const flow: Flow = (host) => async () => await die(host());
  const { host, lives } = await live(flow, 50, (life) => `deploy ${life}`);
  expect(host.snapshot).toMatchObject({ status: "failed", error: { code: "handler_crashed" } });
  expect(lives).toBe(27);
});

test("guarantee 4: a handler that dies right after parking on something else ends so too", async () => {
  const { host, lives } = await live(
    (host) => async (_input, step) => {
      void step.sleep("1 d");
      await die(host());
    },
    50,
  );
  expect(host.snapshot.error?.code).toBe("handler_crashed");
  expect(lives).toBeLessThan(15);
});

test("guarantee 4: alarms that find a parked run unharmed do not wear it out", async () => {
  let host: Host = await new Host(async (_input, step) => await step.waitFor("go")).drive();
  for (let life = 0; life < 40; life++) host = await host.reopen({ at: host.clock.at + 1000 }).drive();
  expect([host.status, host.run.state.crashes]).toEqual(["waiting", 0]);
  await host.signalAt(host.clock.at + 1, "go", "went").drive();
  expect(host.output).toBe("went");
});

test("guarantee 4: a pause holds suspects back, and resuming lets them go", async () => {
  let begun = 0;
  const flow: Flow = (host) => async (_input, step) => {
    const one = async () =>
      ++begun <= 6
        ? await die(host())
        : await host()
            .clock.after(60_000)
            .then(() => "one");
    return await Promise.all([
      step.run("one", one),
      step.run("two", () =>
        host()
          .clock.after(1000)
          .then(() => "two"),
      ),
    ]);
  };
  let { host } = await live(flow, 4);
  const next: Host = new Host(
    flow(() => next),
    { commits: host.journal.commits, at: host.clock.at },
  );
  begun = 10;
  host = next;
  host.plan(host.clock.at + 100, (run) => run.act({ kind: "pause", by: "test", reason: null }));
  await host.drive();
  expect([host.status, host.run.execution?.busy]).toEqual(["paused", false]);
  const done = host.entries("step.completed").map(({ step }) => step);
  expect(done).toEqual(["one"]);
  void host.run.act({ kind: "resume", by: "test", reason: null });
  await host.drive();
  expect(host.output).toEqual(["one", "two"]);
});

/** Called and evicted so often while it is paused, and then resumed. */
async function calledInPause(before: Host, times: number): Promise<Host> {
  let host = before.reopen({ cold: false });
  for (let life = 0; life < times; life++) {
    await host.run.awake();
    await host.drive(host.clock.at);
    host = host.reopen({ cold: false });
  }
  void host.run.act({ kind: "resume", by: "test", reason: null });
  return await host.drive();
}

/** Pauses the run half a second after it began. */
function pausedHost(handler: Handler): Host {
  return new Host(handler).plan(startAt + 500, (run) => run.act({ kind: "pause", by: "test", reason: null }));
}

test.each([0, 1, 6])(
  "guarantee 4: what only a pause holds back is no suspect, though the run is called and evicted %d times in it",
  async (times) => {
    const before: Host = pausedHost(async (_input, step) => {
      await step.run("in flight", () => before.clock.after(1000));
      await step.run("held back", () => {});
    });
    const host = await calledInPause(await before.drive(), times);
    expect([host.status, host.entries("step.interrupted")]).toEqual(["completed", []]);
  },
);

test("guarantee 4: nor is what falls due in the pause, or has no attempt left", async () => {
  const failing: Handler = async (_input, step) => {
    const retry = { limit: 1, delay: "1s", jitter: 0 } as const;
    await step.run("failing", () => Promise.reject(new Error("no")), { retry, onExhausted: "pause" });
  };
  const waiting = await pausedHost(failing).drive();
  waiting.clock.set(startAt + 5000);
  for (const before of [waiting, await play(failing)]) {
    const host = await calledInPause(before, 6);
    const { kinds } = host.journal;
    const inPause = kinds.slice(0, kinds.indexOf("run.resumed"));
    expect([host.status, inPause.at(-1)]).toEqual(["paused", "run.paused"]);
  }
});

test("guarantee 4: what was in flight in a pause in which its process died is marked, once", async () => {
  let hasDied = false;
  const before: Host = pausedHost(async (_input, step) => {
    const fatal = (): unknown => (hasDied ? "fatal" : before.clock.after(2000));
    const quick = step.run("quick", () => (hasDied ? {} : before.clock.after(1000)));
    return (await Promise.all([step.run("fatal", fatal), quick.then(() => step.run("held back", () => {}))]))[0];
  });
  await before.drive(startAt + 1500);
  hasDied = true;
  const host = await calledInPause(before, 6);
  expect(host.output).toBe("fatal");
  expect(host.entries("step.interrupted").map(({ step }) => step)).toEqual(["fatal"]);
});

test("guarantee 4: a suspect whose attempt has ended is none any more, however often it is tried again", async () => {
  let begun = 0;
  const { host } = await live(
    (host) => async (_input, step) => {
      const fatal = (): unknown => (++begun <= 3 ? die(host()) : Promise.reject(new Error("not yet")));
      return await step.run("fatal", () => (begun < 10 ? fatal() : "done"), { retry: { limit: 10 } });
    },
    10,
  );
  expect([host.output, host.entries("step.interrupted").length]).toEqual(["done", 3]);
});

test("guarantee 4: a suspect that is tried again waits for the one at work, and is not due all the while", async () => {
  let lives = 0;
  const flow: Flow = (host) => async (_input, step) => {
    const fatal = async () => (++lives <= 6 ? await die(host()) : "fatal");
    const long = () =>
      host()
        .clock.after(60_000)
        .then(() => "long");
    return await Promise.all([step.run("fatal", fatal, { onExhausted: "pause" }), step.run("long", long)]);
  };
  const { host } = await live(flow, 20);
  expect([host.status, host.snapshot.error?.code]).toEqual(["paused", "step_crashed"]);
  void host.run.act({ kind: "resume", by: "test", reason: null });
  host.run.advance(false);
  await host.clock.idle();
  const { busy, wakeAt } = host.run.advance(false);
  expect([busy, (wakeAt ?? Infinity) > host.clock.at]).toEqual([true, true]);
  await host.drive();
  expect(host.output).toEqual(["fatal", "long"]);
});

test("guarantee 4: a run that its own timeout wakes was not cut off; one that wakes before any time of its was", async () => {
  const timeoutMs = 60_000;
  const host = new Host(define(async (_input, step) => await step.waitFor("never"), { timeoutMs }));
  await host.drive(startAt);
  const { run } = host.reopen();
  expect(run.wasCutOff(startAt + timeoutMs - 1)).toBe(true);
  expect(run.wasCutOff(startAt + timeoutMs)).toBe(false);
});
