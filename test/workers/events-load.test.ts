/** Live events under load: long histories, readers that do not read, silence. */
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it, vi } from "vitest";
import type { RunNews } from "../../src/core/service/service.ts";
import { Lockout } from "../../src/http/auth/lockout.ts";
import { eventRoutes } from "../../src/http/routes/events.ts";
import { ask, runThatIs, start } from "./client.ts";
import { lives } from "./flows/engine.ts";
import { openings } from "./flows/events.ts";
import { Listener, connect, listen, openEvents } from "./listener.ts";
import { service } from "./driver.ts";

const events = (id: string): string => `/v1/runs/${id}/events`;
const go = (id: string): Promise<unknown> => ask(`POST /v1/runs/${id}/signals/go`, { json: {} });
/** Whether these are 1, 2, 3 … */
const isWhole = (ids: readonly number[]): boolean => ids.every((id, index) => id === index + 1);

/** The same routes with another heartbeat, as the app serves them. */
async function beating(
  path: string,
  id: string,
  headers: Record<string, string> = {},
  { runs = service.runs, everyMs = 20 } = {},
): Promise<Response> {
  const route = eventRoutes(everyMs).find((each) => each.path === path);
  const call = {
    service: { ...service, runs },
    request: new Request("http://example.com/", { headers }),
    param: () => id,
    author: { by: "test" },
    caller: null,
    lockout: new Lockout(),
    config: () => {
      throw new Error("not asked for");
    },
  };
  if (route === undefined) throw new Error("no such route");
  return await route.handle(call);
}

/** Stories in which nothing happens for a while: they are begun at once, and told beside the others. */
const silences: { followed?: Promise<void>; parked?: Promise<void> } = {};

async function followed(): Promise<void> {
  const { id } = await start("live-parked");
  await runThatIs(id, { status: "waiting" });
  const listener = await listen(events(id));
  const { messages } = await connect(events(id));
  await listener.until(({ entries }) => entries.length > 2);
  const [life, opened, told] = [lives.get(id) ?? 0, openings.get(id), listener.entries.length];
  // workerd drops an object that has been idle for 10 s; the ping at 20 s must not bring it back.
  await new Promise((resolve) => setTimeout(resolve, 23_000));
  expect(lives.get(id)).toBe(life);
  await go(id);
  await listener.until(({ entries }) => entries.length >= told + 2);
  expect([lives.get(id), openings.get(id)]).toEqual([life + 1, opened]);
  expect(listener.comments.length).toBeGreaterThan(0);
  expect(messages).toContainEqual({ heartbeat: true });
  await listener.leave();
}

async function parked(): Promise<void> {
  const { id } = await start("approval", { input: {} });
  await runThatIs(id, { status: "waiting" });
  const before = lives.get(id);
  // workerd drops an object that has been idle for 10 s; a timer or an open promise of ours would keep it.
  await new Promise((resolve) => setTimeout(resolve, 13_000));
  await runThatIs(id, { status: "waiting" });
  expect(lives.get(id)).toBe((before ?? 0) + 1);
}

beforeAll(() => {
  Object.assign(silences, { followed: followed(), parked: parked() });
  for (const silence of Object.values(silences)) silence.catch(() => {});
});

describe("a history of 10,000 entries", () => {
  it("is followed while it is written, and after, whole and in order", async () => {
    const { id } = await start("live-long", { input: { lines: 10_000 } });
    const live = await listen(events(id));
    const socket = await connect(events(id));
    await expect.poll(async () => (await ask(`GET /v1/runs/${id}`)).body["status"], { interval: 100 }).toBe("waiting");
    const late = await listen(events(id));
    await go(id);
    for (const listener of [live, late]) {
      await expect.poll(() => listener.closed).toBe(true);
      expect(listener.ids.length).toBeGreaterThan(10_000);
      expect(isWhole(listener.ids)).toBe(true);
    }
    await expect.poll(() => socket.closes).toEqual([1000]);
    const ids = socket.messages.filter((message) => "id" in message).map((message) => Number(message["id"]));
    expect(ids).toEqual(live.ids);
  });
});

describe("a reader that does not read", () => {
  it("holds nothing up, is told everything once it reads, and only once", async () => {
    const { id } = await start("live-long", { input: { steps: 800, size: 20_000 } });
    const slow = new Listener(await openEvents(events(id)), false);
    await slow.read();
    const quick = await listen(events(id));
    await expect.poll(async () => (await ask(`GET /v1/runs/${id}`)).body["status"], { interval: 100 }).toBe("waiting");
    await go(id);
    await quick.until(({ closed }) => closed);
    while (await slow.read());
    expect(slow.told).toEqual(quick.told);
    expect(isWhole(slow.ids)).toBe(true);
    expect(slow.ids.length).toBeGreaterThan(800);
  });
});

describe("a WebSocket", () => {
  it.each([
    ["8 MiB", { steps: 600, size: 20_000 }, [1013, 1000]],
    ["an event that is longer, alone", { steps: 2, size: 9_000_000 }, [1013, 1013, 1013, 1000]],
  ])("carries %s, then asks its client back, who misses nothing", async (_what, input, closed) => {
    const { id } = await start("live-long", { input });
    await runThatIs(id, { status: "waiting" });
    await go(id);
    const ids: number[] = [];
    let last: Record<string, unknown> | undefined;
    const codes: number[] = [];
    while (codes.length < closed.length) {
      const { messages, closes } = await connect(`${events(id)}?after=${ids.at(-1) ?? 0}`);
      await expect.poll(() => closes.length).toBe(1);
      codes.push(...closes);
      last = messages.at(-1);
      ids.push(...messages.filter((message) => "id" in message).map((message) => Number(message["id"])));
    }
    expect(codes).toEqual(closed);
    expect(last).toEqual({ end: { id, status: "completed" } });
    expect(isWhole(ids)).toBe(true);
    expect(ids.length).toBeGreaterThan(input.steps);
  });
});

describe("silence", () => {
  it("lets the object leave memory by itself, sockets and pings notwithstanding (4)", async () => {
    await silences.followed;
  });

  it("lets a run that nobody follows leave memory by itself, and costs nothing until it is called (4)", async () => {
    await silences.parked;
  });

  it("is broken by a comment now and then, which wakes nobody", async () => {
    const { id } = await start("live-parked");
    await runThatIs(id, { status: "waiting" });
    const listener = new Listener(await beating("/v1/runs/:id/events", id));
    await listener.until(({ comments }) => comments.length >= 5);
    expect(new Set(listener.comments)).toEqual(new Set([": heartbeat"]));
    await listener.leave();
    const feed = new Listener(await beating("/v1/directory/events", id));
    await feed.until(({ comments, told }) => comments.length >= 5 && told.length > 0);
    await feed.leave();
  });

  it("is broken on a WebSocket by a message", async () => {
    const { id } = await start("live-parked");
    const { webSocket: socket } = await beating("/v1/runs/:id/events", id, { upgrade: "websocket" });
    const beats: string[] = [];
    socket?.addEventListener("message", ({ data }) => {
      if (String(data).includes("heartbeat")) beats.push(String(data));
    });
    socket?.accept();
    await expect.poll(() => beats.length).toBeGreaterThan(2);
    expect(new Set(beats)).toEqual(new Set(['{"heartbeat":true}']));
    socket?.close();
    expect(env.AUTH).toBe("token");
  });

  it.each([
    ["whose events cannot be read any more", 1011],
    ["that its client closes", 4000],
  ])("is for ever on a WebSocket %s", async (_what, code) => {
    let news: ReadableStreamDefaultController<RunNews> | undefined;
    const stream = new ReadableStream<RunNews>({ start: (controller) => void (news = controller) });
    const [set, cleared] = [vi.spyOn(globalThis, "setInterval"), vi.spyOn(globalThis, "clearInterval")];
    const runs = { ...service.runs, follow: () => Promise.resolve(stream) };
    // No heartbeat comes, which would find that nobody is there.
    const own = { runs, everyMs: 600_000 };
    const { webSocket: socket } = await beating("/v1/runs/:id/events", "any", { upgrade: "websocket" }, own);
    const beats = set.mock.results.map(({ value }) => value as unknown);
    // By identity: timers of this runtime compare as equal.
    const stopped = (): boolean[] => beats.map((beat) => cleared.mock.calls.some(([timer]) => timer === beat));
    const codes: number[] = [];
    socket?.addEventListener("close", (event) => void codes.push(event.code));
    if (code === 1011) {
      news?.error(new Error("told to fail"));
      // Before the client has heard of it.
      await expect.poll(stopped).toEqual([true]);
    }
    socket?.accept();
    if (code !== 1011) socket?.close(code);
    await expect.poll(() => [stopped(), codes]).toEqual([[true], [code]]);
    vi.restoreAllMocks();
  });
});
