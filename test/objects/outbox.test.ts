import { expect, test } from "vitest";
import { Outbox } from "../../src/objects/outbox/outbox.ts";
import { Host } from "../engine/host.ts";

const error = { name: "Cancelled", message: "enough", code: "cancelled" };
const child = { id: "child-0", workflow: "child" };

test.for([true, false])(
  "what was sent is recorded by a memory that is the run's (%s), and by no other (2)",
  (isCurrent) => {
    const { run } = new Host(() => null);
    run.append({ kind: "run.started", deployment: "one" });
    run.append({ kind: "child.started", step: "child", child, until: null, policy: "cancel" });
    run.append({ kind: "child.failed", step: "child", child, error, left: true });
    const outbox = new Outbox({ run, isCurrent: () => isCurrent, changed: () => {} } as never);
    const { seq } = run.state;
    outbox.stopped(child, "cancel");
    outbox.note({ url: "https://orders.example.com/", of: seq, run: "notice-0" });
    expect(run.state.seq - seq).toBe(isCurrent ? 2 : 0);
  },
);
