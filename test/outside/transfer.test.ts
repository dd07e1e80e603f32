/**
 * A run that moves: from one deployment, which is gone then, into another with its own secrets and keys. What it did
 * there is not done again here, as the ledger that both report to has seen.
 */
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFailed, test } from "vitest";
import { Client } from "./client.ts";
import { Ledger } from "./ledger.ts";
import { Runtime } from "./runtime.ts";

const worker = join(import.meta.dirname, "worker.ts");
const keyOf = (byte: number): string => Buffer.alloc(32, byte).toString("base64");

let ledger: Ledger;
let here: Runtime;
let there: Runtime;

beforeAll(async () => {
  ledger = await Ledger.open();
  here = await Runtime.build(worker, { LEDGER: ledger.url, ENCRYPTION_KEYS: `one:${keyOf(1)}` });
  there = await Runtime.build(worker, {
    LEDGER: ledger.url,
    ENCRYPTION_KEYS: `two:${keyOf(2)}`,
    SIGNING_SECRET: "another signing secret, of 32 characters or more",
  });
  await Promise.all([here.start(), there.start()]);
});

afterAll(async () => {
  await Promise.all([here.discard(), there.discard(), ledger.close()]);
});

test("guarantee 2: a run that is exported goes on in another deployment and does nothing twice", async () => {
  onTestFailed(() => console.log(here.tail(), there.tail()));
  const [old, next] = [new Client(here.origin), new Client(there.origin)];
  const id = "voyage-1";
  await old.start("voyage", id, { paceMs: 5, napMs: 20 });
  await expect.poll(async () => (await old.run(id)).status).toBe("waiting");
  await expect.poll(async () => (await old.run(id)).reason ?? "").toContain("signal approval");
  await old.call({ method: "POST", path: `/v1/runs/${id}/pause` });
  const text = await old.text({ method: "POST", path: `/v1/runs/${id}/export` });
  await here.kill();
  const before = ledger.of(id).length;
  expect(before).toBe(4);

  const response = await fetch(`${there.origin}/v1/runs/import`, { method: "POST", body: text });
  expect(response.status).toBe(201);
  const paused = await next.run(id);
  expect(paused).toMatchObject({ id, workflow: "voyage", status: "paused" });
  await next.call({ method: "POST", path: `/v1/runs/${id}/resume` });
  for (const number of [1, 2]) {
    await next.call({
      method: "POST",
      path: `/v1/runs/${id}/signals/approval`,
      body: { number },
      key: `${id}-${number}`,
    });
  }
  await expect.poll(async () => (await next.run(id)).status).toBe("completed");
  expect((await next.run(id)).output).toMatchObject({ approvals: [1, 2] });
  const steps = ledger.of(id).map(({ step }) => step);
  expect(steps.toSorted()).toEqual(
    ["charge", "charge#2", "flaky", "flaky", "hare", "left", "middle", "right", "tortoise"].toSorted(),
  );
  expect((await next.history(id)).map(({ seq }) => seq)).toEqual(
    (await next.history(id)).map((_entry, index) => index + 1),
  );
});
