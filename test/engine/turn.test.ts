import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { Host } from "./host.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

test("what a turn came to is not kept by the run, which may live long and be called often", async () => {
  const host = await new Host(async (_input, step) => await step.waitFor("end")).drive();
  const call = async (): Promise<WeakRef<object>> => {
    const came = await host.run.execution?.course.turn(() => ({}));
    return new WeakRef(came ?? host);
  };
  const came = await call();
  // A reference that was just made, or looked at, is kept until the next turn of the event loop.
  await host.clock.idle();
  collect();
  expect(came.deref()).toBeUndefined();
});

test("whoever waits for a turn of a run that is given up is told", async () => {
  const host = await new Host(async (_input, step) => await step.waitFor("end")).drive();
  const course = host.run.execution?.course;
  const waiting = course?.turn(() => 1);
  course?.stop(() => new Error("given up"));
  expect(await waiting).toBeNull();
  expect(await course?.turn(() => 1)).toBeNull();
});
