/**
 * Owns: following a run: its history and then live entries, over connections that may break.
 * Does not own: parsing server-sent events (eventsource-parser).
 *
 * 1. Each entry comes once and in order: a new connection continues after the last entry.
 * 2. A connection on which nothing comes for long, not even a heartbeat, is dead.
 * 3. The run has ended if a comment says so; a connection that closes without it has broken.
 */
import { EventSourceParserStream } from "eventsource-parser/stream";
import type { EventSourceMessage } from "eventsource-parser/stream";
import { pause } from "./connection.ts";
import type { Connection } from "./connection.ts";
import type { HistoryEntry } from "./view.ts";

export type FollowOptions = {
  /** The `seq` of the last known entry. */
  readonly after?: number | undefined;
  /** Aborts the iteration, which then throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
};

/** The API sends a heartbeat every 15 seconds. */
const silenceMs = 45_000;
/** The pause that the API asks for before reconnecting. */
const returnMs = 1000;

/** @throws ApiError run_not_found; unreachable where there is no response within the client's patience */
export async function* followRun(
  connection: Connection,
  path: string,
  { after = 0, signal }: FollowOptions = {},
): AsyncGenerator<HistoryEntry> {
  for (let last = after; ;) {
    const stream = new EventStream(signal);
    try {
      const response = await connection.open(`${path}/events`, { "last-event-id": String(last) }, stream.signal);
      for await (const { event, data } of stream.read(response)) {
        if (event !== undefined) continue;
        const entry = JSON.parse(data) as HistoryEntry;
        last = entry.seq;
        yield entry;
      }
      if (stream.isLast) return;
    } finally {
      stream.end();
    }
    await pause(returnMs, signal);
  }
}

/** One connection. */
class EventStream {
  /** Whether the end of the run was told. */
  isLast = false;
  readonly #control = new AbortController();
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(signal: AbortSignal | undefined) {
    if (signal?.aborted === true) this.#control.abort(signal.reason);
    signal?.addEventListener("abort", () => this.#control.abort(signal.reason), { signal: this.#control.signal });
  }

  get signal(): AbortSignal {
    return this.#control.signal;
  }

  /** The events until the connection ends, in whatever way. */
  async *read({ body }: Response): AsyncGenerator<EventSourceMessage> {
    if (body === null) return;
    this.#heard();
    const onComment = (comment: string): void => {
      this.#heard();
      this.isLast ||= /^end\b/.test(comment);
    };
    const parser = new EventSourceParserStream({ onComment });
    const events = body.pipeThrough(new TextDecoderStream()).pipeThrough(parser).getReader();
    const leave = (): void => void events.cancel().catch(() => {});
    // A custom `fetch` may ignore the signal.
    if (this.signal.aborted) leave();
    this.signal.addEventListener("abort", leave);
    for (;;) {
      const next = await events.read().catch(() => null);
      if (next === null || next.done) return;
      this.#heard();
      yield next.value;
    }
  }

  end(): void {
    this.#hush();
    this.#control.abort();
  }

  #heard(): void {
    this.#hush();
    this.#timer = setTimeout(() => this.#control.abort(), silenceMs);
  }

  #hush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}
