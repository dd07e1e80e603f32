import { expect, test } from "vitest";
import { Relatives } from "../../src/objects/outbox/relatives.ts";
import { Host } from "../engine/host.ts";

test("a run that has ended goes through its children once, however many it stops (budget)", async () => {
  const { run } = new Host(() => null);
  run.append({ kind: "run.started", deployment: "one" });
  const ids = Array.from({ length: 300 }, (_, index) => `child-${index}`);
  for (const id of ids)
    run.append({ kind: "child.started", step: id, child: { id, workflow: "child" }, until: null, policy: "cancel" });
  const error = { name: "Cancelled", message: "enough", code: "cancelled" };
  run.append({ kind: "run.cancelled", error, by: "test", reason: null });
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
      if (unreachable.delete(id)) throw new Error("not now");
      stopped.push(id);
      return true;
    },
  };
  await new Promise<void>((done) => {
    const relatives: Relatives = new Relatives(run, children, {
      stopped: () => undefined,
      changed: () => {
        const dueAt = relatives.attend();
        if (dueAt !== null) setTimeout(() => relatives.attend(), dueAt - Date.now() + 1);
        if (!relatives.busy && dueAt === null) done();
      },
    });
    relatives.attend();
  });
  expect(stopped.toSorted()).toEqual(ids.toSorted());
  // Once more for the one that had to be called again.
  expect(listed).toBe(2 * ids.length);
});
