/** Clients of the live events, as somebody outside runs them: an event source and a WebSocket. */
import { exports } from "cloudflare:workers";
import { expect, vi } from "vitest";
import { tokens } from "./client.ts";

export type Told = {
  readonly id: string | null;
  /** `message` where it has no name, as in a browser. */
  readonly name: string;
  readonly data: Record<string, unknown>;
};

/** Reads server-sent events as the specification says; keeps what it was told. */
export class Listener {
  readonly told: Told[] = [];
  readonly comments: string[] = [];
  retry: string | null = null;
  closed = false;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #rest = "";

  /** @param eager reads as fast as it can; else only what `read` asks for */
  constructor(response: Response, eager = true) {
    if (response.body === null) throw new Error("no events");
    this.#reader = response.body.getReader();
    if (eager) void this.#readAll();
  }

  /** The next chunk, whatever is in it; false after the last. */
  async read(): Promise<boolean> {
    const next = await this.#reader.read();
    this.closed = next.done;
    if (!next.done) this.#take(this.#decoder.decode(next.value, { stream: true }));
    return !next.done;
  }

  async leave(): Promise<void> {
    await this.#reader.cancel();
  }

  get ids(): number[] {
    return this.told.flatMap(({ id }) => (id === null ? [] : [Number(id)]));
  }

  /** Entries, without what is around them. */
  get entries(): Record<string, unknown>[] {
    return this.told.filter(({ name }) => name === "message").map(({ data }) => data);
  }

  async until(what: (listener: this) => boolean): Promise<void> {
    await vi.waitFor(
      () => expect(what(this), `told at last: ${JSON.stringify(this.told.slice(-5))}`).toBe(true),
      waiting,
    );
  }

  async #readAll(): Promise<void> {
    try {
      while (await this.read());
    } catch {
      this.closed = true;
    }
  }

  #take(text: string): void {
    const blocks = (this.#rest + text).split("\n\n");
    this.#rest = blocks.pop() ?? "";
    for (const block of blocks) this.#note(block.split("\n"));
  }

  #note(lines: readonly string[]): void {
    const field = (name: string): string | null =>
      lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? null;
    const comments = lines.filter((line) => line.startsWith(":"));
    this.comments.push(...comments);
    for (const end of comments.filter((line) => line.startsWith(": end "))) {
      this.told.push({ id: null, name: "end", data: JSON.parse(end.slice(6)) as Record<string, unknown> });
    }
    this.retry ??= field("retry");
    const data = field("data");
    if (data === null) return;
    this.told.push({
      id: field("id"),
      name: field("event") ?? "message",
      data: JSON.parse(data) as Record<string, unknown>,
    });
  }
}

export const waiting = { timeout: 15_000, interval: 5 };

export async function openEvents(path: string, headers: Record<string, string> = {}): Promise<Response> {
  return await exports.default.fetch(`http://example.com${path}`, {
    headers: { authorization: `Bearer ${tokens.read}`, ...headers },
  });
}

/** Follows the path from the event on, if one is named. */
export async function listen(path: string, lastEventId?: number): Promise<Listener> {
  const headers = lastEventId === undefined ? {} : { "last-event-id": String(lastEventId) };
  const response = await openEvents(path, headers);
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
  return new Listener(response);
}

export type Channel = {
  readonly messages: Record<string, unknown>[];
  readonly closes: number[];
  readonly socket: WebSocket;
};

export async function connect(path: string, headers: Record<string, string> = {}): Promise<Channel> {
  const { status, webSocket: socket } = await openEvents(path, { upgrade: "websocket", ...headers });
  if (socket === null) throw new Error(`no socket but ${status}`);
  const messages: Record<string, unknown>[] = [];
  const closes: number[] = [];
  socket.addEventListener("message", ({ data }) => {
    messages.push(JSON.parse(String(data)) as Record<string, unknown>);
  });
  socket.addEventListener("close", ({ code }) => {
    closes.push(code);
  });
  socket.accept();
  return { messages, closes, socket };
}
