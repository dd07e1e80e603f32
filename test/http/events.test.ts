import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Entry } from "../../src/core/history/entry.ts";
import type { RunNews } from "../../src/core/service/service.ts";
import { createApp } from "../../src/http/app.ts";
import { Lockout } from "../../src/http/auth/lockout.ts";
import { parseConfig } from "../../src/http/config.ts";
import { eventRoutes } from "../../src/http/routes/events.ts";
import { failingService, reached, tokens } from "./service.ts";

const entry: Entry = { kind: "run.recovered", seq: 8, at: 0 };

/** What an event source gets that comes back after the seventh entry; 404: it goes on to follow. */
async function comesBack(page: { readonly entries: readonly Entry[]; readonly ended?: boolean }): Promise<number> {
  const service = failingService(reached);
  const history = () => Promise.resolve({ ...page, next: null });
  const app = createApp({ ...service, runs: { ...service.runs, history } }, () => parseConfig({ API_TOKENS: tokens }));
  const headers = { authorization: "Bearer r-token-123", accept: "text/event-stream", "last-event-id": "7" };
  return (await app.request("/v1/runs/a/events", { headers })).status;
}

test("an event source that has seen all is told so by its history alone: the run itself is not read", async () => {
  expect(await comesBack({ entries: [], ended: true })).toBe(204);
  expect(await comesBack({ entries: [entry], ended: true })).toBe(404);
  expect(await comesBack({ entries: [], ended: false })).toBe(404);
  // An object that runs the code of before does not say.
  expect(await comesBack({ entries: [] })).toBe(404);
});

describe("heartbeats of a stream of events", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
  afterEach(() => void vi.useRealTimers());

  /** A run that is followed with a heartbeat every 20 ms: how its news come, and what its follower gets. */
  async function followed() {
    let news: ReadableStreamDefaultController<RunNews> | undefined;
    const left = vi.fn();
    const stream = new ReadableStream<RunNews>({ start: (controller) => void (news = controller), cancel: left });
    const service = failingService(reached);
    const [route] = eventRoutes(20);
    const response = await route?.handle({
      service: { ...service, runs: { ...service.runs, follow: () => Promise.resolve(stream) } },
      request: new Request("http://example.com/"),
      param: () => "a",
      author: { by: "test" },
      caller: null,
      lockout: new Lockout(),
      config: () => parseConfig({ API_TOKENS: tokens }),
    });
    const reader = response?.body?.getReader();
    if (news === undefined || reader === undefined) throw new Error("nothing is followed");
    const read = async (): Promise<string | null> => {
      const { value } = await reader.read();
      return value === undefined ? null : new TextDecoder().decode(value);
    };
    expect(await read()).toBe("retry: 1000\n\n");
    return { news, read, leave: () => reader.cancel(), left };
  }

  test("come one a pause, and not to who has not read the one before", async () => {
    const { news, read } = await followed();
    vi.advanceTimersByTime(19);
    news.enqueue({ kind: "ended", status: "completed" });
    expect(await read()).toBe(': end {"id":"a","status":"completed"}\n\n');
    vi.advanceTimersByTime(100);
    news.enqueue({ kind: "ended", status: "failed" });
    expect([await read(), await read()]).toEqual([": heartbeat\n\n", ': end {"id":"a","status":"failed"}\n\n']);
  });

  test("cease once the events cannot be read any more", async () => {
    const { news, read } = await followed();
    const next = read();
    news.error(new Error("broken"));
    await expect(next).rejects.toThrow("broken");
    expect(vi.getTimerCount()).toBe(0);
  });

  test("cease with the events", async () => {
    const { news, read } = await followed();
    news.close();
    expect(await read()).toBeNull();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("cease once nobody listens, and the run is not followed any more", async () => {
    const { news, leave, left } = await followed();
    // Waits to be read, so that no more is asked for: nothing but the leaving tells that it is over.
    news.enqueue({ kind: "ended", status: "completed" });
    await new Promise((resolve) => setImmediate(resolve));
    expect(vi.getTimerCount()).toBe(1);
    await leave();
    expect([vi.getTimerCount(), left.mock.calls.length]).toEqual([0, 1]);
  });
});
