/** A run followed as it goes on: everything it writes arrives, once and in order. */
import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { DurableObject } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import type { RunNews } from "../../src/core/service/service.ts";
import { followRun } from "../../src/objects/follow/follow.ts";
import { ask, historyOf, newId, refusal, runThatIs, start } from "./client.ts";
import type { EntryJson } from "./client.ts";
import { lives } from "./flows/engine.ts";
import { openings } from "./flows/events.ts";
import { connect, listen, openEvents, waiting } from "./listener.ts";
import { watched } from "./crashpoint.ts";
import { RunObject } from "./worker.ts";
import { inRun } from "./storage.ts";

const events = (id: string): string => `/v1/runs/${id}/events`;

async function signal(id: string, payload: object = {}): Promise<void> {
  expect((await ask(`POST /v1/runs/${id}/signals/go`, { json: payload })).status).toBe(202);
}

async function parked(id: string): Promise<void> {
  await runThatIs(id, { status: "waiting", waitingFor: [{ kind: "signal", name: "go" }] });
}

/** A run that has ended, with something of everything in its history. */
async function told(): Promise<{ id: string; history: EntryJson[] }> {
  const { id } = await start("live-tale");
  await signal(id, { number: 1 });
  await signal(id, { number: 2 });
  await runThatIs(id, { status: "completed" });
  return { id, history: await historyOf(id) };
}

async function evict(id: string, webSockets: "hibernate" | "close"): Promise<void> {
  await vi.waitFor(() => evictDurableObject(env.RUNS.getByName(id), { webSockets }), waiting);
}

/** How many follow the run, as its object knows. */
function sockets(id: string): Promise<number> {
  return inRun(id, (ctx) => ctx.getWebSockets().length);
}

describe("the events of a run that has ended", () => {
  it("are its history from any position on, then its end, and nothing after", async () => {
    const { id, history } = await told();
    expect(history.length).toBeGreaterThan(12);
    const positions = Array.from({ length: history.length + 1 }, (_, position) => position);
    await Promise.all(
      positions.map(async (position) => {
        const listener = await listen(events(id), position);
        await listener.until(({ closed }) => closed);
        const rest = history.slice(position);
        expect(listener.entries).toEqual(rest);
        expect(listener.ids).toEqual(rest.map(({ seq }) => seq));
        expect(listener.told.at(-1)).toEqual({ id: null, name: "end", data: { id, status: "completed" } });
        expect(listener.told.length).toBe(rest.length + 1);
        expect(listener.retry).toBe("1000");
      }),
    );
  });

  it("are entries and nothing else: what has an id or data is one, and what has neither says nothing", async () => {
    const { id, history } = await told();
    const { text } = await ask(`GET ${events(id)}`);
    const blocks = text.split("\n\n").filter((block) => /^(?:id|data|event)\b/m.test(block));
    expect(blocks).toEqual(history.map((entry) => `id: ${entry.seq}\ndata: ${JSON.stringify(entry)}`));
  });

  it("begin at the beginning where Last-Event-ID is empty", async () => {
    const { id } = await start("web-echo", {}, "?wait=60s");
    const { status, text } = await ask(`GET ${events(id)}`, { headers: { "last-event-id": "" } });
    expect([status, text.split("\n").find((line) => line.startsWith("id:"))]).toEqual([200, "id: 1"]);
  });

  it("are over for an event source that comes back with the last entry: 204, by which it stays away", async () => {
    const { id, history } = await told();
    const comeBack = (last: number, path = events(id)) =>
      ask(`GET ${path}`, { headers: { accept: "text/event-stream", "last-event-id": String(last) } });
    for (const last of [history.length, history.length + 7]) {
      const { status, text } = await comeBack(last);
      expect([status, text]).toEqual([204, ""]);
    }
    // It was given no entry, so it has no id to name.
    const behind = `GET ${events(id)}?after=${history.length}`;
    expect((await ask(behind, { headers: { accept: "text/event-stream" } })).status).toBe(204);
    expect((await ask(behind)).status).toBe(200);
    expect((await comeBack(history.length - 1)).text).toContain(`id: ${history.length}\n`);
    expect((await comeBack(0, `${events(id)}?after=${history.length}`)).text).toContain("id: 1\n");
  });

  it("begin behind ?after=, and behind Last-Event-ID where both are there", async () => {
    const { id, history } = await told();
    const byParameter = await listen(`${events(id)}?after=3`);
    const byHeader = await listen(`${events(id)}?after=3`, 5);
    await byParameter.until(({ closed }) => closed);
    await byHeader.until(({ closed }) => closed);
    expect(byParameter.entries).toEqual(history.slice(3));
    expect(byHeader.entries).toEqual(history.slice(5));
  });

  it("say how it ended, also to one who has seen it all and more", async () => {
    const { id } = await start("live-broken", {}, "?wait=60s");
    const listener = await listen(events(id), 1000);
    await listener.until(({ closed }) => closed);
    expect(listener.told).toEqual([{ id: null, name: "end", data: { id, status: "failed" } }]);
  });
});

describe("the events of a run that goes on", () => {
  it("arrive as they happen, retries, timers and signals, and end with it", async () => {
    const { id } = await start("live-tale");
    const listener = await listen(events(id));
    await listener.until(({ entries }) => entries.some(({ kind }) => kind === "wait.started"));
    expect(listener.closed).toBe(false);
    await signal(id, { number: 1 });
    await listener.until(({ entries }) => entries.filter(({ kind }) => kind === "wait.started").length === 2);
    await signal(id, { number: 2 });
    await listener.until(({ closed }) => closed);
    expect(listener.entries).toEqual(await historyOf(id));
    expect(listener.entries.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(["step.attempt_failed", "timer.fired", "log.written", "progress.published"]),
    );
    expect(listener.told.at(-1)).toMatchObject({ name: "end", data: { id, status: "completed" } });
  });

  it("are the same for everybody who follows, from wherever, and for one who comes in between", async () => {
    const { id } = await start("live-parked");
    const first = await listen(events(id));
    const second = await listen(events(id), 2);
    for (let count = 0; count < 5; count++) await signal(id, { count });
    const third = await listen(events(id));
    const socket = await connect(events(id));
    for (let count = 5; count < 10; count++) await signal(id, { count });
    await first.leave();
    await signal(id, { stop: true });
    for (const listener of [second, third]) await listener.until(({ closed }) => closed);
    await expect.poll(() => socket.closes, waiting).toEqual([1000]);
    const history = await historyOf(id);
    expect(second.entries).toEqual(history.slice(2));
    expect(third.entries).toEqual(history);
    expect(socket.messages.slice(0, -1)).toEqual(history.map((entry) => ({ id: entry.seq, data: entry })));
    expect(first.entries).toEqual(history.slice(0, first.entries.length));
  });

  it("come over a WebSocket as messages, with the end as the last", async () => {
    const { id } = await start("live-parked");
    await parked(id);
    const { messages, closes } = await connect(events(id), { "last-event-id": "2" });
    await signal(id, { stop: true });
    await expect.poll(() => closes, waiting).toEqual([1000]);
    const history = await historyOf(id);
    const expected = history.slice(2).map((entry) => ({ id: entry.seq, data: entry }));
    expect(messages).toEqual([...expected, { end: { id, status: "completed" } }]);
  });

  it("go on where it goes on as new, without what is gone", async () => {
    const { id } = await start("live-renewed", { input: { life: 1 } });
    await parked(id);
    const live = await listen(events(id));
    await signal(id);
    await live.until(({ entries }) => entries.filter(({ kind }) => kind === "wait.started").length === 2);
    const before = live.ids.indexOf(live.ids.at(-1) ?? 0);
    expect(before).toBe(live.ids.length - 1);
    const late = await listen(events(id), 1);
    await signal(id);
    for (const listener of [live, late]) await listener.until(({ closed }) => closed);
    const history = await historyOf(id);
    expect(late.entries).toEqual(history);
    expect(live.entries.slice(-history.length)).toEqual(history);
    expect(live.ids).toEqual(live.ids.map((_, index) => index + 1));
  });

  it("end with deleted where the run is deleted, also when its id was taken again", async () => {
    const { id } = await start("live-broken", {}, "?wait=60s");
    const response = await openEvents(events(id));
    expect((await ask(`DELETE /v1/runs/${id}`)).status).toBe(204);
    await start("live-parked", { id });
    const text = await response.text();
    expect(text).toContain(`: end ${JSON.stringify({ id, status: "deleted" })}\n\n`);
    expect(text).not.toContain("live-parked");
  });
});

describe("a reader", () => {
  /** All that it is told from now on. */
  async function readAll(stream: ReadableStream<RunNews>): Promise<RunNews[]> {
    const news: RunNews[] = [];
    for await (const each of stream) news.push(each);
    return news;
  }

  it("that has not read is told of the deletion alone: the history is gone", async () => {
    const { id } = await start("live-broken", {}, "?wait=60s");
    const [stream, listener] = [await followRun(id, 0), await listen(events(id), 1000)];
    await listener.until(({ closed }) => closed);
    expect((await ask(`DELETE /v1/runs/${id}`)).status).toBe(204);
    expect(await readAll(stream)).toEqual([{ kind: "ended", status: "deleted" }]);
  }, 20_000);

  it("leaves neither a socket nor a timer behind at the end, nor where there is nothing to follow", async () => {
    const { id } = await start("live-broken", {}, "?wait=60s");
    const [set, cleared] = [vi.spyOn(globalThis, "setInterval"), vi.spyOn(globalThis, "clearInterval")];
    await expect(followRun(newId("nobody"), 0)).rejects.toMatchObject({ code: "run_not_found" });
    const stream = await followRun(id, 0);
    expect((await readAll(stream)).at(-1)).toEqual({ kind: "ended", status: "failed" });
    // By identity: one timer equals any other, because it has no fields.
    const timers = new Set<unknown>(set.mock.results.map(({ value }) => value));
    for (const [timer] of cleared.mock.calls) timers.delete(timer);
    expect([set.mock.calls.length, timers.size]).toEqual([2, 0]);
    vi.restoreAllMocks();
    await expect.poll(() => sockets(id), waiting).toBe(0);
  });

  it("is told that the run cannot be reached any more, once that has been tried for long", async () => {
    const { id } = await start("live-parked");
    await parked(id);
    const { length } = await historyOf(id);
    const stream = await followRun(id, length);
    const run = RunObject.prototype as Required<DurableObject>;
    const now = Date.now();
    const dialled = vi.spyOn(run, "fetch").mockImplementation(async () => {
      vi.spyOn(Date, "now").mockReturnValue(now + 120_000);
      throw new Error("told to throw");
    });
    const evicted = evict(id, "close");
    await expect(readAll(stream)).rejects.toThrow("told to throw");
    await evicted;
    dialled.mockRestore();
    vi.restoreAllMocks();
  });

  it("has its socket opened anew when a ping is not answered by the next, and only then", async () => {
    const { id } = await start("live-parked");
    await parked(id);
    const set = vi.spyOn(globalThis, "setInterval");
    const reader = (await followRun(id, (await historyOf(id)).length)).getReader();
    const ping = set.mock.calls[0]?.[0] as () => void;
    set.mockRestore();
    const opened = openings.get(id) ?? 0;
    ping();
    ping();
    await expect.poll(() => openings.get(id), waiting).toBe(opened + 1);
    for (let count = 0; count < 3; count++) {
      await signal(id, { count });
      // Behind the answer to the last ping.
      await reader.read();
      ping();
    }
    expect(openings.get(id)).toBe(opened + 1);
    await reader.cancel();
  });
});

describe("a run that dies at any write", () => {
  /** A signal, again until it is answered. */
  const surely = (id: string, key: string): Promise<void> =>
    vi.waitFor(async () => {
      const headers = { "idempotency-key": `${id}:${key}` };
      expect((await ask(`POST /v1/runs/${id}/signals/go`, { json: { key }, headers })).status).toBe(202);
    }, waiting);

  it("tells nothing that its death took back, and all that it kept (1)", async () => {
    const blows = [4, 5, 6, 7, 8, 9, 10, 12, 14].flatMap((at) => [
      { at, how: "lost" as const },
      { at, how: "kept" as const },
    ]);
    const play = async (blow: (typeof blows)[number]): Promise<void> => {
      const id = newId(`dying-${blow.how}-${blow.at}`);
      watched(id).blows = [blow];
      await start("live-tale", { id });
      const listener = await listen(events(id));
      await surely(id, "one");
      await surely(id, "two");
      await listener.until(({ closed }) => closed);
      expect(watched(id).blows).toEqual([]);
      expect(listener.entries).toEqual(await historyOf(id));
      expect(listener.told.at(-1)).toMatchObject({ name: "end", data: { id, status: "completed" } });
    };
    await Promise.all(blows.map(play));
  });
});

describe("a run that nothing happens to", () => {
  it("is not kept awake by who follows it, and tells of the next signal all the same", async () => {
    const { id } = await start("live-parked");
    await parked(id);
    const listener = await listen(events(id));
    const channel = await connect(events(id));
    await listener.until(({ entries }) => entries.length > 2);
    for (let round = 1; round <= 3; round++) {
      const life = lives.get(id) ?? 0;
      const before = listener.entries.length;
      await evict(id, "hibernate");
      await signal(id, { round });
      await listener.until(({ entries }) => entries.length >= before + 2);
      expect(lives.get(id), "it was gone, and nothing but the signal brought it back").toBe(life + 1);
    }
    await evict(id, "hibernate");
    await signal(id, { stop: true });
    await listener.until(({ closed }) => closed);
    await expect.poll(() => channel.closes, waiting).toEqual([1000]);
    const history = await historyOf(id);
    expect(listener.entries).toEqual(history);
    expect(channel.messages.length).toBe(history.length + 1);
    expect(openings.get(id), "each socket was opened once and outlived its object").toBe(2);
  });

  it("is read from its beginning by who reads late, however much has happened since (1)", async () => {
    const { id } = await start("live-parked");
    await parked(id);
    const stream = await followRun(id, 0);
    const listener = await listen(events(id));
    await signal(id, { round: 1 });
    const history = await historyOf(id);
    await listener.until(({ entries }) => entries.length >= history.length);
    const read: number[] = [];
    for await (const news of stream) {
      if (news.kind === "entries") read.push(...news.entries.map(({ seq }) => seq));
      if (read.at(-1) === history.at(-1)?.seq) break;
    }
    expect(read).toEqual(history.map(({ seq }) => seq));
    await listener.leave();
  });

  it("is told to be deleted where its sockets were lost, and another has its id by now", async () => {
    const { id } = await start("live-parked");
    await parked(id);
    const listener = await listen(events(id));
    const { length } = await historyOf(id);
    await listener.until(({ entries }) => entries.length >= length);
    const run = RunObject.prototype as Required<DurableObject>;
    const { fetch } = run;
    const { promise: taken, resolve: take } = Promise.withResolvers<void>();
    const dialled = vi.spyOn(run, "fetch").mockImplementationOnce(async function (this: DurableObject, request) {
      await taken;
      return await fetch.call(this, request);
    });
    await evict(id, "close");
    await expect.poll(() => dialled, waiting).toHaveBeenCalled();
    await ask(`POST /v1/runs/${id}/terminate`);
    expect((await ask(`DELETE /v1/runs/${id}`)).status).toBe(204);
    await start("live-parked", { id });
    take();
    await listener.until(({ closed }) => closed);
    expect(listener.told.at(-1)).toEqual({ id: null, name: "end", data: { id, status: "deleted" } });
    expect(listener.entries).toHaveLength(length);
  });

  it("may lose its process or its sockets, and who follows sees neither a gap nor a double", async () => {
    const { id } = await start("live-parked");
    await parked(id);
    const listener = await listen(events(id));
    await listener.until(({ entries }) => entries.length > 2);
    for (let round = 1; round <= 3; round++) {
      const opened = openings.get(id) ?? 0;
      const abort = inRun(id, (ctx) => ctx.abort("the test ends this life"));
      await expect(abort).rejects.toThrow("the test ends this life");
      await signal(id, { round });
      await expect.poll(() => openings.get(id), waiting).toBeGreaterThan(opened);
      await signal(id, { round });
      const seen = await historyOf(id);
      await listener.until(({ entries }) => entries.length >= seen.length);
      await evict(id, "close");
    }
    await signal(id, { stop: true });
    await listener.until(({ closed }) => closed);
    expect(listener.entries).toEqual(await historyOf(id));
    expect(listener.told.at(-1)).toMatchObject({ name: "end", data: { status: "completed" } });
  });

  it("has no socket left once its followers have gone", async () => {
    const { id } = await start("live-parked");
    await parked(id);
    const listener = await listen(events(id));
    const channel = await connect(events(id));
    await listener.until(({ entries }) => entries.length > 2);
    expect(await sockets(id)).toBe(2);
    await listener.leave();
    await expect.poll(() => sockets(id), waiting).toBe(1);
    channel.socket.close(1000, "enough");
    await expect.poll(() => sockets(id), waiting).toBe(0);
  });
});

describe("what cannot be followed", () => {
  it("is refused before any event: unknown runs, bad positions, unknown parameters, no token", async () => {
    const { id } = await start("live-parked");
    expect(await refusal(`GET ${events(newId("nobody"))}`)).toBe("404 run_not_found");
    expect(await refusal(`GET ${events("-bad-")}`)).toBe("400 id_invalid");
    for (const bad of ["x", "-1", "1.5", "1e3", "9".repeat(16)]) {
      const headers = { "last-event-id": bad };
      expect([bad, await refusal(`GET ${events(id)}`, { headers })]).toEqual([bad, "400 header_invalid"]);
    }
    expect(await refusal(`GET ${events(id)}?after=x`)).toBe("400 parameter_invalid");
    expect(await refusal(`GET ${events(id)}?from=1`)).toBe("400 parameter_unknown");
    expect(await refusal(`GET ${events(id)}`, { token: null })).toBe("401 token_missing");
    const { status, headers } = await openEvents(events(newId("nobody")), { upgrade: "websocket" });
    expect([status, headers.get("content-type")]).toEqual([404, "application/problem+json"]);
  });

  it("may still be asked for by HEAD, which follows nothing", async () => {
    const { id } = await start("live-parked");
    await parked(id);
    const { status, headers, text } = await ask(`HEAD ${events(id)}`);
    expect([status, headers.get("content-type"), text]).toEqual([200, "text/event-stream", ""]);
    await expect.poll(() => sockets(id), waiting).toBe(0);
  });
});
