/** Many starts with one call, workerd being killed with -9 in the middle and as soon as it has answered. */
import { beforeAll, describe, expect, test } from "vitest";
import { each } from "./concurrency.ts";
import { build, client, ledger, runtime } from "./stage.ts";

type Result = { readonly id: string; readonly created: boolean };

const runs = Array.from({ length: 100 }, (_, ship) => ({ input: { ship } }));

build("worker.ts");
beforeAll(() => runtime.start({ variables: { LIFE: "0" } }));

/** The results, however often the call has to be made for an answer. */
async function batch(key: string): Promise<readonly Result[]> {
  const path = "/v1/workflows/convoy/batch";
  return (await client.call<{ runs: Result[] }>({ method: "POST", path, body: { runs }, key })).runs;
}

async function restart(): Promise<void> {
  await runtime.kill();
  await runtime.start({ variables: { LIFE: "1" } });
}

/** Each run has completed, is that of its place in the batch, and is known to the ledger. */
async function check(results: readonly Result[]): Promise<void> {
  await each([...results.entries()], async ([ship, { id }]) => {
    expect(await client.end(id)).toMatchObject({ status: "completed", output: ship });
    expect(ledger.of(id)).not.toEqual([]);
  });
}

// The Worker holds up a start in its first life alone.
describe("a batch", { shuffle: false }, () => {
  test("one that a kill cut off is finished by its repetition, and starts nothing twice (1)", async () => {
    const answered = batch("cut off");
    await ledger.until("the batch is in its middle", 60_000, () => ledger.of("convoy", "held").length > 0);
    await restart();
    const results = await answered;
    expect(client.repeated).toBeGreaterThan(0);
    expect(results.slice(0, 50)).toEqual(
      results.slice(0, 50).map(({ id }) => expect.objectContaining({ id, created: false })),
    );
    expect(results.slice(60).map(({ created }) => created)).toEqual(results.slice(60).map(() => true));
    await check(results);
    const ids = new Set(results.map(({ id }) => id));
    const sailed = new Set(ledger.effects.filter(({ step }) => step === "sail").map(({ run }) => run));
    expect([ids.size, sailed]).toEqual([runs.length, ids]);
  }, 90_000);

  test("one that was answered is kept, and found by its repetition (1)", async () => {
    const results = await batch("kept");
    await restart();
    await check(results);
    expect(await batch("kept")).toEqual(results.map(({ id }) => ({ id, created: false, status: "completed" })));
  }, 90_000);
});
