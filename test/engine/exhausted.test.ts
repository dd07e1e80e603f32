import { describe, expect, test } from "vitest";
import { Host, act, play, startAt } from "./host.ts";
import type { Handler } from "./memory.ts";

describe("onExhausted: pause", () => {
  /** Fails until it is mended. */
  function fragile(state: { broken: boolean; attempts: number[] }): Handler {
    return async (_input, step) => {
      await step.run("before", () => 1);
      return await step.run(
        "charge",
        ({ attempt }) => {
          state.attempts.push(attempt);
          if (state.broken) throw new Error("503 from the bank");
          return "charged";
        },
        { onExhausted: "pause", retry: { limit: 2, delay: "1s", jitter: 0 } },
      );
    };
  }

  test("the run is parked for a person, who sees why; a retry gives it all its attempts again", async () => {
    const state = { broken: true, attempts: [] as number[] };
    const host = await play(fragile(state));
    expect(host.snapshot).toMatchObject({
      status: "paused",
      reason: "paused by engine: step charge has no attempt left after 3: 503 from the bank",
      error: { code: "step_failed", step: "charge", attempts: 3, message: "503 from the bank" },
      steps: { completed: 1, failed: 0 },
    });
    void act(host.run, "retry");
    await host.drive();
    expect(host.status).toBe("paused");
    expect(state.attempts).toEqual([1, 2, 3, 4, 5, 6]);
    state.broken = false;
    void act(host.run, "retry");
    await host.drive();
    expect(host.output).toBe("charged");
    expect(state.attempts).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  test("resume does the same", async () => {
    const state = { broken: true, attempts: [] as number[] };
    const host = await play(fragile(state));
    state.broken = false;
    void act(host.run, "resume");
    await host.drive();
    expect(host.output).toBe("charged");
  });

  test("nobody is asked about a step of a branch that lost its race: it fails, whoever dies, and the run goes on", async () => {
    const state = { broken: true, attempts: [] as number[] };
    const flow: Handler = async (_input, step) => {
      const { key } = await step.race({
        work: () => fragile(state)(undefined as never, step),
        late: () => step.sleep(1500),
      });
      await step.sleep("1 h");
      return key;
    };
    const host = await play(flow);
    expect([host.status, host.output]).toEqual(["completed", "late"]);
    expect(host.entries("step.failed")).toMatchObject([{ step: "charge", attempt: 3 }]);
    const lost = host.journal.kinds.indexOf("timer.fired");
    const again = await host.reopen({ keep: lost, at: startAt + 1500 }).drive();
    expect([again.status, again.output, again.entries("step.failed")]).toMatchObject([
      "completed",
      "late",
      [{ attempt: 3 }],
    ]);
  });

  test("guarantee 4: the other deadlines move by the length of the pause, whoever ends it", async () => {
    for (const how of ["retry", "resume"] as const) {
      const state = { broken: true, attempts: [] as number[] };
      const fired: number[] = [];
      const host: Host = new Host(async (_input, step) => {
        const nap = step.sleep("1h").then(() => fired.push(host.clock.at - startAt));
        await Promise.all([nap, fragile(state)(undefined as never, step)]);
      });
      await host.drive(startAt + 600_000);
      expect(host.status).toBe("paused");
      const pausedMs = 86_400_000;
      host.clock.set(host.snapshot.updatedAt + pausedMs);
      state.broken = false;
      void act(host.run, how);
      await host.drive();
      expect(host.status).toBe("completed");
      expect(fired).toEqual([3_600_000 + pausedMs]);
    }
  });

  test("a retry does not have it made once more where the handler has failed beside it, and waits only for what is at work", async () => {
    const attempts: number[] = [];
    const undo = (): void => {};
    const handler: Handler = async (_input, step) => {
      const charge = ({ attempt }: { readonly attempt: number }): void => {
        attempts.push(attempt);
        throw new Error("503 from the bank");
      };
      await Promise.all([
        step.run("charge", charge, { undo, onExhausted: "pause", retry: { limit: 0 } }),
        step.run("book", () => host.clock.after(5000), { undo }),
        step.run("look", () => host.clock.after(1000)).then(() => Promise.reject(new Error("enough"))),
      ]);
    };
    const host: Host = new Host(handler);
    await host.plan(startAt + 2000, (run) => act(run, "retry")).drive();
    expect([host.status, host.snapshot.error?.message, attempts]).toEqual(["failed", "enough", [1]]);
  });

  test("what is not worth a retry is a person's decision all the same; so is a step that kills its process", async () => {
    const host = await play(async (_input, step) => {
      const refuse = () => {
        throw Object.assign(new Error("bad card"), { name: "NonRetryableError" });
      };
      await step.run("charge", refuse, { onExhausted: "pause" });
    });
    expect(host.snapshot).toMatchObject({ status: "paused", error: { code: "non_retryable" } });
  });

  test("guarantees 2, 4: killed at every entry, it comes to the same decision", async () => {
    const reference = { broken: true, attempts: [] as number[] };
    const host = await play(fragile(reference));
    const { commits } = host.journal;
    for (let keep = 1; keep <= commits.length; keep++) {
      const state = { broken: true, attempts: [] as number[] };
      const again = await new Host(fragile(state), { commits: commits.slice(0, keep) }).drive();
      expect(again.snapshot).toMatchObject({ status: "paused", error: { step: "charge", attempts: 3 } });
      state.broken = false;
      void act(again.run, "retry");
      await (keep % 2 === 0 ? again : again.reopen()).drive().then((end) => expect(end.output).toBe("charged"));
    }
  });
});

describe("atMostOnce", () => {
  test("its start is on record before its function is called", async () => {
    const host: Host = new Host(async (_input, step) => {
      return await step.run("once", () => host.journal.kinds.at(-1), { atMostOnce: true });
    });
    await host.drive();
    expect(host.output).toBe("step.attempt_started");
  });

  test("an attempt cut off by a death fails with step_interrupted and is not made again", async () => {
    let calls = 0;
    const flow: Handler = async (_input, step) => {
      try {
        return await step.run("once", () => new Promise(() => calls++), { atMostOnce: true });
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    const host = new Host(flow);
    await host.drive(startAt);
    expect(calls).toBe(1);
    for (const deployment of ["one", "two"]) {
      const again = await host.reopen({ deployment }).drive();
      expect(again.output).toBe("step_interrupted");
    }
    expect(calls).toBe(1);
  });

  test("nor is one that was cut off by the end of the run, where that is retried: of no death is spoken then", async () => {
    let [calls, lives] = [0, 0];
    const host = await play(async (_input, step) => {
      const once = step.run("once", () => new Promise(() => calls++), { atMostOnce: true });
      await step.sleep("1 s");
      if (++lives === 1) throw new Error("not yet");
      await once;
    });
    void act(host.run, "retry");
    await host.drive();
    const message = expect.stringContaining("was cut off at work by the death of its process or the end of the run");
    expect(host.snapshot.error).toMatchObject({ code: "step_interrupted", message });
    expect(calls).toBe(1);
  });

  test("thrown errors are retried by its policy, each attempt once", async () => {
    const attempts: number[] = [];
    const flow: Handler = async (_input, step) => {
      await step.run(
        "once",
        ({ attempt }) => {
          attempts.push(attempt);
          if (attempt < 3) throw new Error("again");
        },
        { atMostOnce: true, retry: { delay: "1m", jitter: 0 } },
      );
      return attempts.length;
    };
    const reference = await play(flow);
    expect(reference.output).toBe(3);
    const { commits } = reference.journal;
    for (let keep = 1; keep < commits.length; keep++) {
      attempts.length = 0;
      const entries = commits
        .slice(0, keep)
        .flatMap((text) => JSON.parse(text) as { kind: string; attempt?: number }[]);
      const again = await new Host(flow, { commits: commits.slice(0, keep) }).drive();
      const last = entries.findLast(({ kind }) => kind.startsWith("step."));
      const interrupted = last?.kind === "step.attempt_started";
      expect(again.status).toBe(interrupted ? "failed" : "completed");
      if (interrupted) expect(again.snapshot.error?.code).toBe("step_interrupted");
      if (interrupted) expect(attempts).toEqual([]);
      expect(new Set(attempts).size).toBe(attempts.length);
    }
  });

  test("with onExhausted: pause, whether it took effect is asked of a person", async () => {
    let calls = 0;
    const flow: Handler = async (_input, step) => {
      const hangs = () => (++calls === 1 ? new Promise(() => {}) : "done");
      return await step.run("once", hangs, { atMostOnce: true, onExhausted: "pause" });
    };
    const host = new Host(flow);
    await host.drive(startAt);
    const again = await host.reopen().drive();
    expect(again.snapshot).toMatchObject({ status: "paused", error: { code: "step_interrupted" } });
    void act(again.run, "retry");
    await again.drive();
    expect(again.output).toBe("done");
  });
});

test("options of a step are checked", async () => {
  for (const options of [{ undo: 1 }, { onExhausted: "stop" }, { atMostOnce: "yes" }, { sensitive: 0 }, { often: 1 }]) {
    const host = await play(async (_input, step) => await step.run("a", () => 1, options as never));
    expect(host.snapshot.error).toMatchObject({ code: "options_invalid" });
    expect(host.snapshot.error?.message).toContain(Object.keys(options)[0]);
  }
});
