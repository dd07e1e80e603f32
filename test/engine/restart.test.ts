import { describe, expect, test } from "vitest";
import { decode } from "../../src/core/value.ts";
import { Family } from "./family.ts";
import { Fleet, need } from "./fleet.ts";
import { Host, act, play, signal, startAt } from "./host.ts";
import { define } from "./memory.ts";
import type { Handler } from "./memory.ts";

const minuteMs = 60_000;
const author = { by: "test", reason: null };

const counted = (): { readonly handler: Handler; readonly done: number[] } => {
  const done: number[] = [];
  const handler: Handler = async (input: number, step) => {
    await step.run("work", () => done.push(input));
    return await step.waitFor("go");
  };
  return { handler, done };
};

describe("a run that begins once more", () => {
  test("does all of it again with its id and its input; nothing of before is left, and no signal", async () => {
    const { handler, done } = counted();
    const host = await new Host(handler, { input: 7 }).signalAt(startAt, "go", 1).signalAt(startAt, "go", 2).drive();
    expect([host.status, host.output, done]).toEqual(["completed", 1, [7]]);
    host.run.restart("1", { by: "somebody", reason: "once more" });
    await host.drive();
    expect([host.status, done]).toEqual(["waiting", [7, 7]]);
    expect(host.journal.kinds).toEqual(["run.created", "run.started", "step.completed", "wait.started"]);
    expect(host.snapshot).toMatchObject({ id: "run-1", createdAt: startAt, output: null, finishedAt: null });
    expect(decode(host.snapshot.input)).toBe(7);
    expect(host.entries("run.created")).toMatchObject([{ by: "somebody", reason: "once more" }]);
    signal(host.run, "go", 3);
    expect((await host.drive()).output).toBe(3);
  });

  test.each(["waiting", "paused"] as const)("is stopped for it where it is %s", async (status) => {
    const { handler, done } = counted();
    const host = await play(handler, { input: 7 });
    if (status === "paused") void act(host.run, "pause");
    expect((await host.drive()).status).toBe(status);
    host.run.restart("1", author);
    expect([(await host.drive()).status, done]).toEqual(["waiting", [7, 7]]);
  });

  test("has the code of the version that it is to begin with; where that is not there it is left as it was", async () => {
    const host = await play(async (_, step) => await step.waitFor("go"));
    const before = host.journal.commits.length;
    expect(() => host.run.restart("2", author)).toThrow(expect.objectContaining({ code: "version_missing" }));
    expect([host.status, host.journal.commits.length]).toEqual(["waiting", before]);
    host.definition = define(() => "new", { version: "2" });
    host.run.restart("2", author);
    expect([(await host.drive()).output, host.snapshot.version]).toEqual(["new", "2"]);
  });

  test("has the old history or the new one, whenever it dies", async () => {
    const { handler } = counted();
    const host = await new Host(handler, { input: 7 }).signalAt(startAt, "go", 1).drive();
    host.journal.beforeAppend = () => {
      throw new Error("the disk is gone");
    };
    expect(() => host.run.restart("1", author)).toThrow("the disk is gone");
    const again = host.reopen();
    expect([again.status, again.output]).toEqual(["completed", 1]);
    again.run.restart("1", author);
    const last = again.reopen();
    expect([(await last.drive()).status, last.journal.kinds.slice(0, 2)]).toEqual([
      "waiting",
      ["run.created", "run.started"],
    ]);
  });

  test("asks its lanes again for the slots that it gave back", async () => {
    const host = await play(define(() => "done"));
    host.definition = define(() => "done", { flow: { concurrency: 1 } });
    host.run.restart("1", author);
    expect([host.status, host.journal.kinds]).toEqual(["queued", ["run.created"]]);
  });

  test("has those of its children stopped that nobody waits for any more", async () => {
    const child = define((_, step) => step.waitFor("never"), { name: "child" });
    const parent = define((_, step) => step.invoke("child", 1), { name: "parent" });
    const family = await new Family(child, parent).begin("parent").drive(startAt + minuteMs);
    family.run("parent").restart("1", author);
    await family.drive(startAt + 2 * minuteMs);
    expect([...family.made.keys()].map((id) => family.snapshot(id).status)).toEqual(["cancelled", "waiting"]);
    expect([family.snapshot("parent").status, family.run("parent").state.orphans.size]).toEqual(["waiting", 0]);
  });
});

test("a run that begins once more while it is at work gives back the slots of its steps, and those that it needs no more", async () => {
  const fleet = new Fleet();
  const needs = [need("mail", 1, { hold: true }), need("steps", 1, { scope: "step" })];
  let lives = 0;
  const handler: Handler = async (_, step) => {
    if (++lives === 1) await step.run("old", () => fleet.clock.after(60 * minuteMs));
    else await step.waitFor("never");
  };
  const a = fleet.add("a", handler, needs);
  await fleet.drive(minuteMs);
  expect([fleet.lane("mail").used, fleet.lane("steps").used]).toEqual([1, 1]);
  a.run.restart("1", author);
  fleet.add("b", (_, step) => step.run("work", () => 1), needs);
  await fleet.drive(10 * minuteMs);
  expect([...fleet.ships.values()].map(({ status }) => status)).toEqual(["waiting", "completed"]);
});
