/** A client over a network that loses calls and answers, before a Worker that is killed. */
import { beforeAll, expect, test } from "vitest";
import { createClient } from "../../src/client.ts";
import { createPick } from "../core/sample.ts";
import { build, runtime } from "./stage.ts";
import type { inbox } from "./workers/inbox.ts";

const seed = process.env["NETWORK_SEED"] ?? "a windy day";
const runs = 12;
const signals = 5;
const updates = 3;

build("workers/inbox.ts");
beforeAll(() => runtime.start());

/** Half of the calls go wrong: lost on their way there, on their way back, or answered by somebody between. */
class Weather {
  readonly #pick = createPick(seed);
  /** Whoever waits for so many calls to have been made. */
  readonly #awaited = new Map<number, () => void>();
  #calls = 0;

  readonly fetch = async (request: Request): Promise<Response> => {
    this.#awaited.get(++this.#calls)?.();
    const fate = this.#pick.below(100);
    if (fate < 20) throw new TypeError("lost on the way there");
    const response = await fetch(request);
    if (fate >= 50) return response;
    await response.body?.cancel();
    if (fate < 40) throw new TypeError("lost on the way back");
    return new Response("<h1>Bad gateway</h1>", { status: 502 });
  };

  calls(count: number): Promise<void> {
    return new Promise((resolve) => this.#awaited.set(count, resolve));
  }
}

test("guarantee 5: over a network that loses half of all, each start, signal and update counts once", async () => {
  const weather = new Weather();
  const deaths = [60, 140].map((calls) => weather.calls(calls));
  const client = createClient({ url: runtime.origin, patience: "2 minutes", fetch: weather.fetch });
  const inboxes = client.workflow<typeof inbox>("inbox");
  const items = Array.from({ length: signals }, (_, index) => index);
  const carried = async (): Promise<unknown> => {
    const run = await inboxes.start({ signals, updates }, { labels: { weather: seed } });
    for (const item of items) await run.signal("item", item);
    const sizes: unknown[] = [];
    for (let index = 0; index < updates; index++) sizes.push(await run.update("put", index));
    await run.signal("enough");
    return { sizes, ...(await run.result()) };
  };
  const all = Array.from({ length: runs }, carried);
  for (const death of deaths) {
    await death;
    await runtime.kill();
    await runtime.start();
  }
  const put = Array.from({ length: updates }, (_, index) => index);
  const whole = { sizes: put.map((index) => index + 1), sent: items, put, isWhole: true };
  expect(await Promise.all(all)).toEqual(Array.from({ length: runs }, () => whole));
  // A start without an id whose answer was lost has made no second run.
  const listed: string[] = [];
  for await (const { id } of client.runs({ workflow: "inbox", labels: { weather: seed } })) listed.push(id);
  expect(new Set(listed).size).toBe(runs);
}, 180_000);

test("who follows a run has each entry once, however often the connection is cut", async () => {
  const client = createClient({ url: runtime.origin, fetch: cutting(3) });
  const run = await client.workflow<typeof inbox>("inbox").start({ signals, updates: 0 });
  const followed = (async () => {
    const seen: number[] = [];
    for await (const { seq } of run.events()) seen.push(seq);
    return seen;
  })();
  for (let item = 0; item < signals; item++) await run.signal("item", item);
  await run.signal("enough");
  const seen = await followed;
  const history: number[] = [];
  for await (const { seq } of run.history()) history.push(seq);
  expect(seen).toEqual(history);
  expect(seen.length).toBeGreaterThan(signals);
});

/** The first so many streams end in the middle of an event. */
function cutting(times: number): (request: Request) => Promise<Response> {
  let left = times;
  return async (request) => {
    const response = await fetch(request);
    if (!request.url.endsWith("/events") || response.body === null || left-- <= 0) return response;
    let bytes = 200;
    const cut = new TransformStream<Uint8Array, Uint8Array>({
      transform: (part, controller) => {
        controller.enqueue(part.subarray(0, bytes));
        bytes -= part.length;
        if (bytes <= 0) controller.error(new TypeError("cut"));
      },
    });
    return new Response(response.body.pipeThrough(cut), response);
  };
}
