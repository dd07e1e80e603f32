/** What a run does at the moment, and how many attempts its steps have, as far as they are told. */
import { describe, expect, test } from "vitest";
import { Host, act, play, signal, startAt } from "./host.ts";

const retry = { limit: 2, delay: "1s", jitter: 0 } as const;

function refuse(): never {
  throw new Error("503 from the bank");
}

describe("the limit of a step's attempts", () => {
  const limits = (host: Host): (number | undefined)[] => host.entries("step.attempt_failed").map(({ limit }) => limit);

  test("is on record with each that failed: the retries and the first of all", async () => {
    const host = await play(async (_input, step) => await step.run("charge", refuse, { retry }));
    expect(limits(host)).toEqual([3, 3]);
    expect(host.entries("step.failed")).toMatchObject([{ attempt: 3 }]);
  });

  test("is left out where a function decides, or there is no end to them", async () => {
    for (const endless of [(_error: unknown, attempt: number) => (attempt < 3 ? "1s" : null), { limit: Infinity }]) {
      const host = new Host(async (_input, step) => await step.run("charge", refuse, { retry: endless }));
      await host.drive(startAt + 2500);
      expect(limits(host).slice(0, 2)).toEqual([undefined, undefined]);
      expect(host.journal.commits.join("")).not.toContain("limit");
    }
  });

  test("grows by those that a person granted anew, so that the sentence stays true", async () => {
    const host = await play(async (_input, step) => await step.run("charge", refuse, { retry, onExhausted: "pause" }));
    expect(limits(host)).toEqual([3, 3, 3]);
    void act(host.run, "retry");
    const asleep = new Host(host.definition, { commits: host.journal.commits, at: host.clock.at });
    expect(asleep.snapshot.reason).toBe("next attempt of charge now (attempt 4 of 6: 503 from the bank)");
    await host.drive();
    expect(limits(host)).toEqual([3, 3, 3, 6, 6, 6]);
    expect(host.reopen().snapshot.status).toBe("paused");
  });

  test("of undoing is told too", async () => {
    const host = await play(async (_input, step) => {
      await step.run("charge", () => 1, { undo: refuse, retry });
      refuse();
    });
    expect(host.entries("undo.attempt_failed").map(({ limit }) => limit)).toEqual([3, 3]);
  });
});

describe("a glance at a run", () => {
  test("says what its snapshot says, from its start to its end, and measures nothing", async () => {
    const host = new Host(async (_input, step) => {
      await step.run("charge", refuse, { retry: { ...retry, limit: 1 } }).catch(() => {});
      await Promise.all([step.waitFor("go"), step.sleep("nap", "1h"), step.run("slow", () => host.clock.after(5000))]);
    });
    const seen = new Set<string>();
    for (const at of [startAt, startAt + 500, startAt + 1500, startAt + 10_000, startAt + 3_700_000]) {
      await host.drive(at);
      const { measure } = host.run;
      host.run.measure = () => refuse();
      const glance = host.run.glance();
      host.run.measure = measure;
      expect(host.run.snapshot()).toMatchObject(glance);
      seen.add(`${glance.status} ${glance.waitingFor.map(({ kind }) => kind).join(" ")}`.trim());
    }
    signal(host.run, "go", 1);
    await host.drive();
    expect(host.run.snapshot()).toMatchObject(host.run.glance());
    expect([...seen, host.run.glance().status]).toEqual([
      "waiting retry",
      "running signal timer",
      "waiting signal timer",
      "waiting signal",
      "completed",
    ]);
  });
});

describe("attempts in flight", () => {
  test("are shown with their numbers, the oldest first; what waits for its next attempt is not among them", async () => {
    const host = new Host(async (_input, step) => {
      const slow = async ({ attempt }: { attempt: number }): Promise<void> => {
        if (attempt === 1) refuse();
        await host.clock.after(10_000);
      };
      await Promise.all([
        step.run("charge", slow, { retry }),
        step.run("mail", () => host.clock.after(10_000), { timeout: "20s" }),
        step.run("later", refuse, { retry: { ...retry, delay: "1h" } }),
      ]);
    });
    await host.drive(startAt + 500);
    expect(host.snapshot).toMatchObject({
      status: "running",
      active: [{ step: "mail", attempt: 1, since: startAt }],
      waitingFor: [{ name: "later" }, { name: "charge" }],
    });
    await host.drive(startAt + 2000);
    expect(host.snapshot).toMatchObject({
      status: "running",
      reason: "running mail since 09:00 (and 1 more)",
      active: [
        { step: "mail", attempt: 1, since: startAt, until: startAt + 20_000 },
        { step: "charge", attempt: 2, since: startAt + 1000, until: startAt + 1000 + 600_000 },
      ],
      waitingFor: [{ kind: "retry", name: "later" }],
      steps: { running: 2 },
    });
    void act(host.run, "pause");
    expect(host.snapshot).toMatchObject({ status: "paused", active: [{ step: "mail" }, { step: "charge" }] });
  });

  test("another life of the run knows of none until it has begun them", async () => {
    const host = new Host(async (_input, step) => await step.run("charge", () => host.clock.after(10_000)));
    await host.drive(startAt + 500);
    const again = host.reopen();
    expect(again.snapshot.active).toEqual([]);
    void act(again.run, "terminate");
    expect(again.snapshot).toMatchObject({ status: "cancelled", active: [] });
  });
});
