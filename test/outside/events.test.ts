/** Runs followed over deaths of the Worker, as an event source in a browser does: it comes back with the last id. */
import { setTimeout as pause } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import type { Entry } from "./client.ts";
import { build, client, ledger, runtime } from "./stage.ts";

const kills = 3;
const voyages = 12;

build("worker.ts");
beforeAll(() => runtime.start());

/** Follows a run until its end was told; whatever cuts it off, it asks again for what comes after the last id. */
class Follower {
  readonly entries: Entry[] = [];
  readonly ids: number[] = [];
  end: unknown = null;
  connections = 0;
  readonly #url: string;

  constructor(id: string) {
    this.#url = `${runtime.origin}/v1/runs/${id}/events`;
  }

  async follow(): Promise<void> {
    const giveUpAt = Date.now() + 120_000;
    while (this.end === null && Date.now() < giveUpAt) {
      // Cut off, or nobody there.
      await this.#once().catch(() => {});
      if (this.end === null) await pause(200);
    }
  }

  async #once(): Promise<void> {
    const last = this.ids.at(-1);
    const headers: Record<string, string> = last === undefined ? {} : { "last-event-id": String(last) };
    const response = await fetch(this.#url, { headers });
    if (response.status !== 200 || response.body === null) return await response.body?.cancel();
    this.connections++;
    let text = "";
    for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
      const blocks = (text + part).split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) this.#take(block.split("\n"));
    }
  }

  #take(lines: readonly string[]): void {
    const field = (name: string): string | undefined =>
      lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
    const end = lines.find((line) => line.startsWith(": end "))?.slice(6);
    const data = field("data");
    if (end !== undefined) this.end = JSON.parse(end);
    if (data === undefined) return;
    this.ids.push(Number(field("id")));
    this.entries.push(JSON.parse(data) as Entry);
  }
}

/** Starts the run and sends its signals, however often the Worker dies meanwhile. */
async function drive(id: string, index: number): Promise<Follower> {
  await pause(index * 300);
  await client.start("voyage", id, { paceMs: 300, napMs: 500 });
  const follower = new Follower(id);
  const followed = follower.follow();
  for (const number of [1, 2]) {
    await pause(1500);
    await client.signal(id, "approval", { number }, `${id}/${number}`);
  }
  await followed;
  return follower;
}

test("kill -9 costs a follower neither an entry nor its order (1)", { timeout: 240_000 }, async () => {
  const ids = Array.from({ length: voyages }, (_, index) => `followed-${index}`);
  const driven = Promise.all(ids.map((id, index) => drive(id, index)));
  for (; ledger.life < kills; ledger.life++) {
    const seen = ledger.effects.length;
    await ledger.until("some progress in this life", 60_000, () => ledger.effects.length > seen + 5);
    await pause(500);
    await runtime.kill();
    await runtime.start();
  }
  const followers = await driven;
  for (const [index, follower] of followers.entries()) {
    const id = ids[index] ?? "";
    expect(follower.end, `run ${id}`).toEqual({ id, status: "completed" });
    expect(follower.ids).toEqual(follower.ids.map((_, at) => at + 1));
    expect(follower.entries).toEqual(await client.history(id));
  }
  const most = Math.max(...followers.map(({ connections }) => connections));
  console.log(`events: ${followers.map(({ connections }) => connections).join(", ")} connections`);
  expect(most, "somebody was cut off and came back").toBeGreaterThan(1);
});
