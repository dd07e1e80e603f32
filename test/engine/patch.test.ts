import { expect, test } from "vitest";
import type { Step } from "../../src/core/definition/step.ts";
import { Host, act, play, startAt } from "./host.ts";
import { define } from "./memory.ts";
import type { Handler } from "./memory.ts";

/** The old code, and the new with its change behind `patched`. */
const before: Handler = async (_input, step) => {
  await step.run("one", () => 1);
  await step.sleep("nap", "1 h");
  return await step.run("old", () => "old");
};
const after: Handler = async (_input, step) => {
  await step.run("one", () => 1);
  const patched = step.patched("change");
  await step.sleep("nap", "1 h");
  return patched ? await step.run("new", () => "new") : await step.run("old", () => "old");
};

function adopted(host: Host): string[] {
  return host.entries("patch.adopted").map(({ patch }) => patch);
}

test("guarantee 7: a run that begins with the change takes it, in every life, after a death at any point", async () => {
  const host = await play(after);
  expect([host.output, adopted(host)]).toEqual(["new", ["change"]]);
  const { commits } = host.journal;
  for (let keep = 2; keep < commits.length; keep++) {
    const again = await host.reopen({ keep, at: startAt }).drive();
    expect(again.entries("patch.adopted").length).toBeLessThanOrEqual(1);
    expect(again.output).toBe("new");
    expect(again.journal.kinds.filter((kind) => kind === "step.removed" || kind === "step.added")).toEqual([]);
  }
});

test("guarantee 7: a run parked right behind the point when the code changes keeps to the old side for ever", async () => {
  const host = await new Host(before).drive(startAt + 1000);
  expect(host.status).toBe("waiting");
  for (const keep of [host.journal.commits.length]) {
    const changed = host.reopen({ definition: after, keep, cold: false });
    await changed.drive();
    expect([changed.output, adopted(changed)]).toEqual(["old", []]);
    const again = await changed.reopen({ keep: changed.journal.commits.length - 1 }).drive();
    expect(again.output).toBe("old");
  }
});

test("guarantee 7: a run that had not come to the point when the code changed takes the change", async () => {
  const early: Handler = async (_input, step) => {
    await step.sleep("first", "1 h");
    return await before(_input, step);
  };
  const late: Handler = async (_input, step) => {
    await step.sleep("first", "1 h");
    return await after(_input, step);
  };
  const host = await new Host(early).drive(startAt + 1000);
  const changed = await host.reopen({ definition: late, cold: false }).drive();
  expect([changed.output, adopted(changed)]).toEqual(["new", ["change"]]);
});

test("guarantee 7: a step in flight before the point does not hide that the run has not passed it", async () => {
  const host: Host = new Host(async (_input, step) => {
    await step.run("one", () => (host.dead ? 1 : new Promise<number>(() => {})));
    return await step.run("old", () => "old");
  });
  await host.drive(startAt);
  const changed = await host.reopen({ definition: after }).drive();
  expect([changed.output, adopted(changed)]).toEqual(["new", ["change"]]);
});

test("guarantee 7: a step in flight behind the point shows that the run has passed it", async () => {
  const host: Host = new Host((_input, step) => step.run("old", () => new Promise(() => {})));
  await host.drive(startAt);
  const changed = await host
    .reopen({
      deployment: "two",
      definition: async (_input, step: Step) =>
        step.patched("change") ? await step.run("new", () => "new") : await step.run("old", () => "old"),
    })
    .drive();
  expect([changed.output, adopted(changed)]).toEqual(["old", []]);
});

test("guarantee 7: a death that took back all that a first life did changes no answer, while the code is the same", async () => {
  const flow = async (_input: never, step: Step) =>
    step.patched("change") ? await step.run("new", () => "new") : "old";
  const whole = await new Host(flow).drive();
  const again = await whole.reopen({ keep: 1, at: startAt }).drive();
  expect([again.output, adopted(again)]).toEqual(["new", ["change"]]);
});

test("guarantee 7: a run that begins with the change takes it though it dies before the mark, beside a step at work", async () => {
  const flow: (work: () => unknown) => Handler = (work) => async (_input, step) => {
    const slow = step.run("slow", work);
    await step.run("one", () => 1);
    const side = step.patched("change") ? "new" : "old";
    return [side, await step.run(side, () => 1), await slow];
  };
  const host = await new Host(flow(() => new Promise(() => {}))).drive(startAt + 1000);
  const outcome = host.journal.commits.findIndex((commit) => commit.includes('"step.completed"'));
  expect(host.journal.commits[outcome]).not.toContain("patch.adopted");
  const again = await host.reopen({ keep: outcome + 1, definition: flow(() => "slow") }).drive();
  expect([again.output, adopted(again)]).toEqual([["new", 1, "slow"], ["change"]]);
  // One that other code may have taken further is told nothing by that.
  const moved = await host.reopen({ keep: outcome + 1, definition: flow(() => "slow"), deployment: "two" }).drive();
  expect([moved.output, adopted(moved)]).toEqual([["old", 1, "slow"], []]);
});

test("what was once refused stays refused in this life and the next, in loops as well", async () => {
  const loop =
    (asks: boolean): Handler =>
    async (_input, step) => {
      const sides: boolean[] = [];
      for (let i = 0; i < 4; i++) {
        sides.push(asks && step.patched("loop"));
        await step.sleep("tick", "1 h");
      }
      return sides;
    };
  const host = await new Host(loop(false)).drive(startAt + 4_000_000);
  expect(host.entries("timer.fired")).toHaveLength(1);
  const changed = await host.reopen({ definition: loop(true), cold: false }).drive(startAt + 8_000_000);
  const last = await changed.reopen({ cold: false }).drive();
  expect([last.output, adopted(last)]).toEqual([[false, false, false, false], []]);
});

test("changes on changes, within branches and functions", async () => {
  const inner = (step: Step): Promise<string> => step.run(step.patched("two") ? "b" : "a", () => "x");
  const host = await play(async (_input, step) => {
    const both = await Promise.all([inner(step), inner(step)]);
    await step.sleep(5);
    return [both, step.patched("one"), step.patched("two"), step.patched("one")];
  });
  expect(host.output).toEqual([["x", "x"], true, true, true]);
  expect(adopted(host)).toEqual(["two", "one"]);
});

test("a retry does not make a run new", async () => {
  let healed = false;
  const host = await play((_input, step) =>
    step.run("old", () => (healed ? "old" : Promise.reject(new Error("no"))), { retry: { limit: 0 } }),
  );
  expect(host.status).toBe("failed");
  healed = true;
  const changed = host.reopen({
    definition: async (_input, step: Step) => [step.patched("change"), await step.run("old", () => "old")],
  });
  await act(changed.run, "retry");
  await changed.drive();
  expect([changed.output, adopted(changed)]).toEqual([[false, "old"], []]);
});

test("guarantee 7: nor where it does again what was undone, and has behind it what it keeps", async () => {
  let healed = false;
  const flow =
    (isChanged: boolean): Handler =>
    async (_input, step) => {
      await step.run("first", () => 1, { undo: () => {} });
      const side = isChanged && step.patched("change") ? "new" : await step.waitFor("go");
      await step.run("last", () => (healed ? 1 : Promise.reject(new Error("no"))), { retry: { limit: 0 } });
      return [side, isChanged && step.patched("behind")];
    };
  const old = await new Host(flow(false)).signalAt(startAt, "go", "old").drive();
  expect(old.snapshot).toMatchObject({ status: "failed", error: { undone: ["first"] } });
  healed = true;
  const changed = old.reopen({ definition: flow(true), deployment: "two" });
  await act(changed.run, "retry");
  await changed.drive();
  expect([changed.output, adopted(changed)]).toEqual([["old", true], ["behind"]]);
});

test("a run that waited for its start begins with the code that is there when it does", async () => {
  const { created } = await import("./host.ts");
  const host = new Host(define(after), {
    commits: [JSON.stringify([{ seq: 1, at: startAt, kind: "run.created", ...created(1), startAt: startAt + 50 }])],
    cold: false,
  });
  await host.drive();
  expect([host.output, adopted(host)]).toEqual(["new", ["change"]]);
});

test.each([[""], [7], [undefined], ["x".repeat(257)]])("%j is no name of a change", async (id) => {
  const host = await play(async (_input, step) => step.patched(id as string));
  expect(host.snapshot.error?.code).toBe("name_invalid");
});
