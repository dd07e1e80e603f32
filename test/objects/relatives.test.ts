import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { Relatives } from "../../src/objects/outbox/relatives.ts";
import type { Fact } from "../../src/core/history/entry.ts";
import { HoldfastError } from "../../src/core/error.ts";
import type { ChildStarted } from "../../src/engine/world.ts";
import { Host, startAt } from "../engine/host.ts";
import type { Handler } from "../engine/memory.ts";

const error = { name: "Cancelled", message: "enough", code: "cancelled" };
const ids = Array.from({ length: 300 }, (_, index) => `child-${index}`);
const childOf = (id: string) => ({ id, workflow: "child" });
/** By what its children have to be stopped. */
const reasons: Readonly<Record<string, readonly Fact[]>> = {
  "has ended": [{ kind: "run.cancelled", error, by: "test", reason: null }],
  "goes on without them": ids.map((id) => ({ kind: "child.failed", step: id, child: childOf(id), error, left: true })),
};

test.for(Object.entries(reasons))("a run that %s goes through its children once (budget)", async ([, why]) => {
  const { run } = new Host(() => null);
  run.append({ kind: "run.started", deployment: "one" });
  for (const id of ids)
    run.append({ kind: "child.started", step: id, child: childOf(id), until: null, policy: "cancel" });
  run.append(...why);
  const { orphans } = run.state;
  let listed = 0;
  const values = orphans.values.bind(orphans);
  orphans.values = () => {
    listed += orphans.size;
    return values();
  };
  const stopped: string[] = [];
  const unreachable = new Set([ids[7]]);
  const children = {
    stop: async (id: string) => {
      // Their answers come one by one.
      await setImmediate();
      if (unreachable.delete(id)) throw new Error("not now");
      stopped.push(id);
      return true;
    },
  };
  await new Promise<void>((done) => {
    const relatives: Relatives = new Relatives(run, children, {
      stopped: (child, policy) => run.noteStopped(child, policy),
      changed: () => {
        const dueAt = relatives.attend();
        if (dueAt !== null) setTimeout(() => relatives.attend(), dueAt - Date.now() + 1);
        if (!relatives.busy && dueAt === null) done();
      },
    });
    relatives.attend();
  });
  expect(stopped.toSorted()).toEqual(ids.toSorted());
  // Once more for the one that had to be called again, and that alone is left where it is on record who was stopped.
  expect(listed).toBe(ids.length + (run.state.end === null ? 1 : ids.length));
});

test("a child that its run waits for again by the time it would be stopped is left alone (guarantee 4)", async () => {
  const { run } = new Host(() => null);
  const [child, step] = [childOf("child-0"), "child-0"];
  run.append({ kind: "run.started", deployment: "one" });
  run.append({ kind: "child.started", step, child, until: null, policy: "cancel" });
  run.append({ kind: "child.failed", step, child, error, left: true });
  run.append({ kind: "run.failed", error });
  const stopped: string[] = [];
  const children = { stop: async (id: string) => stopped.push(id) > 0 };
  const sent = Promise.withResolvers<void>();
  const relatives = new Relatives(run, children, { stopped: () => {}, changed: () => sent.resolve() });
  relatives.attend();
  // It is looked whether a start of the child is under way, and meanwhile the run goes on.
  run.append({ kind: "run.retried", cleared: [step], by: "test", reason: null });
  await sent.promise;
  expect([stopped, run.state.orphans.size]).toEqual([[], 1]);
  // The step came to the same end.
  run.append({ kind: "run.failed", error });
  relatives.attend();
  await setImmediate();
  expect(stopped).toEqual(["child-0"]);
});

test.each([
  ["is left alone", true, []],
  ["is stopped where nothing comes of that", false, ["born"]],
])("a child that another call was having started as one gave it up %s (guarantee 4)", async (_what, isThere, ends) => {
  const made = { child: childOf("born"), existed: true, own: true, createdAt: startAt };
  const second = Promise.withResolvers<ChildStarted>();
  const starts = [Promise.resolve(made), second.promise];
  const stopped: string[] = [];
  const children = {
    start: () => starts.shift() ?? second.promise,
    end: async () => null,
    stop: async (id: string) => stopped.push(id) > 0,
    signal: async () => {},
  };
  const handler: Handler = async (_input, step) => {
    const first = step.invoke("child", null, { id: "born", timeout: "1 minute" }).catch(() => {});
    await step.sleep("30 s");
    const other = step.invoke("child", null, { id: "born" }).catch(() => {});
    return await Promise.all([first, other, step.waitFor("never")]);
  };
  const host = await new Host(handler, { children }).drive(startAt + 120_000);
  const relatives = new Relatives(host.run, children, { stopped: () => {}, changed: () => {} });
  relatives.attend();
  if (isThere) second.resolve(made);
  else second.reject(new HoldfastError("input_invalid", "no"));
  await host.drive(startAt + 120_000);
  relatives.attend();
  await setImmediate();
  expect(stopped).toEqual(ends);
});
