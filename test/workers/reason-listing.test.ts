/** What the listing says of why runs do not go on: true at the instant of the answer, not at that of the report. */
import { describe, expect, it, vi } from "vitest";
import type { RunSummary } from "../../src/core/run/run.ts";
import { directoryShard } from "../../src/objects/address.ts";
import { ask, newId, runThatIs, start } from "./client.ts";
import type { RunJson } from "./client.ts";
import { isAtWork } from "./flows/gated.ts";
import { release } from "./flows/reason.ts";
import { summaryOf } from "./summary.ts";

type Listed = RunJson & { readonly reason: string | null };

async function listed(query: string): Promise<Listed[]> {
  const { status, body } = await ask(`GET /v1/runs?${query}`);
  expect([status, body]).toEqual([200, expect.anything()]);
  return body["runs"] as Listed[];
}

/** The run as it is listed, once that is what is asked for. */
async function listedThatIs(id: string, like: object): Promise<Listed> {
  const read = async (): Promise<Listed> => {
    const [run] = await listed(`idPrefix=${id}`);
    expect(run).toMatchObject(like);
    return run as Listed;
  };
  return await vi.waitFor(read, { timeout: 60_000, interval: 20 });
}

/** Runs as a shard was told of them. */
async function told(...runs: RunSummary[]): Promise<void> {
  for (const run of runs) await directoryShard(0).report(run);
}

const lane = (name: string) => ({ kind: "lane", name, since: Date.now() - 60_000, until: null }) as const;

describe("a listed run", () => {
  it("that waits for its next attempt says how long from now, and of what the last one failed", async () => {
    const { id } = await start("reason-charge");
    release(id);
    const said = /^next attempt of charge in 59 min \d+ s \(attempt 2 of 6: 503 from the bank\)$/;
    const waitingFor = [{ kind: "retry", name: "charge", attempt: 2, of: 6, error: "503 from the bank" }];
    const { reason } = await listedThatIs(id, { waitingFor, reason: expect.stringMatching(said) });
    // Nothing is reported meanwhile: the run sleeps.
    await expect.poll(async () => (await listed(`idPrefix=${id}`))[0]?.reason).not.toBe(reason);
    await listedThatIs(id, { reason: expect.stringMatching(said) });
  });

  it("that is at work leaves to itself what it is at", async () => {
    const { id } = await start("reason-charge");
    await runThatIs(id, { status: "running", reason: expect.stringMatching(/^running charge since \d\d:\d\d$/) });
    await listedThatIs(id, { status: "running", reason: null });
    release(id);
  });

  it("that stands in line says where", async () => {
    const key = newId("listed");
    const lane = `concurrency:gated-one:${key}`;
    const blocker = await start("gated-one", { input: { key, ms: 15_000 } });
    await expect.poll(() => isAtWork(key, blocker.id)).toBe(true);
    for (const position of [1, 2]) {
      const { id } = await start("gated-one", { input: { key } });
      await runThatIs(id, { waitingFor: [{ kind: "lane", position }] });
      await listedThatIs(id, {
        status: "queued",
        waitingFor: [{ kind: "lane", name: lane, position, used: 1, limit: 1 }],
        reason: `${position === 1 ? "1st" : "2nd"} in lane ${lane}, 1 of 1 slots in use`,
      });
    }
  });

  it("whose lane does not know it shows no place, however many lanes a page has", async () => {
    const batch = newId("batch");
    const over = (name: string) =>
      ({ status: "queued", labels: { batch }, waitingFor: [lane(name)], lead: null }) as const;
    await told(...Array.from({ length: 12 }, (_, i) => summaryOf(newId("nowhere"), over(`${batch}-${i}`))));
    const runs = await listed(`label.batch=${batch}`);
    expect(runs).toHaveLength(12);
    for (const { reason } of runs) expect(reason).toMatch(/^waiting for a slot in lane \S+ since /);
  });

  it("that an older deployment told of says what it said then", async () => {
    const batch = newId("batch");
    const waitingFor = [{ kind: "timer", name: "nap", since: 1, until: Date.now() + 3_600_000 }] as const;
    const reason = "sleeping (nap) for another 6 days, until 3 Nov 14:02";
    await told(summaryOf(newId("older"), { status: "waiting", labels: { batch }, waitingFor, reason }));
    expect(await listed(`label.batch=${batch}`)).toMatchObject([{ reason }]);
  });
});
