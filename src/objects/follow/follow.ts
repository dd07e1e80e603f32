/**
 * Owns: the history of a run and its further entries as one stream in the Worker.
 * Does not own: the socket of the run (socket, followers), the presentation (http).
 *
 * The Worker waits while the object hibernates. If a slow reader would need too large a buffer, entries are dropped and later
 * read from the history.
 * Invariant 1: all recorded entries are passed on once, in order of `seq`.
 * Invariant 2: a slow reader needs at most one page of history and `buffered` live entries.
 */
import type { Entry } from "../../core/history/entry.ts";
import { hasCode } from "../../core/error.ts";
import type { HistoryPage, RunStatus } from "../../core/run/run.ts";
import type { RunNews } from "../../core/service/service.ts";
import { Bell } from "../../engine/turn/bell.ts";
import { runObject } from "../address.ts";
import { unwrap } from "../answer.ts";
import { calleeHeader, noRun } from "../callee.ts";
import { patiently } from "../patience.ts";
import type { Refusal } from "../answer.ts";
import type { RunMessage } from "../rpc/run.ts";
import { LiveSocket } from "./socket.ts";

const pageLimit = 500;
/** The limits of buffered entries, and of the characters of their messages. */
const buffered = { entries: 500, size: 2_000_000 } as const;

/** @throws HoldfastError run_not_found */
export async function followRun(id: string, after: number): Promise<ReadableStream<RunNews>> {
  const relay = new Relay(id, after);
  await relay.open();
  return new ReadableStream<RunNews>(relay, { highWaterMark: 0 });
}

async function dial(id: string): Promise<Response> {
  const request = new Request("https://run/events", { headers: { upgrade: "websocket", [calleeHeader]: id } });
  const response = await runObject(id).fetch(request);
  if (response.status === 404) throw noRun(id);
  if (response.status === 503) unwrap({ ok: false, refusal: await response.json<Refusal>() });
  return response;
}

class Relay {
  readonly #id: string;
  readonly #socket: LiveSocket;
  readonly #news = new Bell();
  /** The `seq` of the newest entry that was passed on. */
  #position: number;
  /** The `seq` of the newest recorded entry, and the status of an ended run, as last reported by the object. */
  #newest = 0;
  #status: RunStatus | "deleted" | null = null;
  #createdAt: number | undefined;
  /** Buffered entries that follow the position without a gap. */
  #live: Entry[] = [];
  #liveSize = 0;
  #failure: unknown = null;
  #isCancelled = false;

  constructor(id: string, after: number) {
    this.#id = id;
    this.#position = after;
    this.#socket = new LiveSocket(() => dial(id), {
      heard: (text) => this.#receive(JSON.parse(text) as RunMessage, text.length),
      failed: (error) => this.#fail(error),
    });
  }

  open(): Promise<void> {
    return this.#socket.open();
  }

  async pull(controller: ReadableStreamDefaultController<RunNews>): Promise<void> {
    const entries = await this.#next();
    if (this.#isCancelled) return;
    if (entries.length > 0) {
      this.#position = entries.at(-1)?.seq ?? this.#position;
      controller.enqueue({ kind: "entries", entries });
      return;
    }
    this.#socket.close();
    if (this.#failure !== null) return controller.error(this.#failure);
    if (this.#status !== null) controller.enqueue({ kind: "ended", status: this.#status });
    controller.close();
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#socket.close();
    this.#news.ring();
  }

  /** The next entries; none if there will be no more. */
  async #next(): Promise<readonly Entry[]> {
    while (!this.#isCancelled) {
      const entries = this.#takeLive();
      if (entries.length > 0) return entries;
      if (this.#failure !== null) return [];
      if (this.#newest > this.#position && this.#status !== "deleted") {
        const page = await this.#page();
        if (page.length > 0) return page;
      } else if (this.#status !== null) return [];
      else await this.#news.rung();
    }
    return [];
  }

  #takeLive(): readonly Entry[] {
    const entries = this.#live.filter(({ seq }) => seq > this.#position);
    this.#live = [];
    this.#liveSize = 0;
    return entries;
  }

  async #page(): Promise<readonly Entry[]> {
    const after = this.#position;
    const read = async (): Promise<HistoryPage> => unwrap(await runObject(this.#id).history(after, pageLimit));
    try {
      const { entries } = await patiently(read, () => this.#isCancelled);
      // The reported entries do not exist any more: the run was continued as new, or died before they were durable.
      if (entries.length === 0) this.#newest = Math.min(this.#newest, after);
      return entries;
    } catch (error) {
      this.#fail(error);
      return [];
    }
  }

  #receive(message: RunMessage, size: number): void {
    if (message === "gone" || this.#isAnother(message.createdAt)) return this.#delete();
    this.#newest = message.seq;
    this.#status = message.status;
    this.#keep(message.entries ?? [], size);
    this.#news.ring();
  }

  /** Whether another run has the id by now. */
  #isAnother(createdAt: number | undefined): boolean {
    if (createdAt === undefined) return false;
    this.#createdAt ??= createdAt;
    return this.#createdAt !== createdAt;
  }

  /** Buffers entries that follow without a gap; all others are read from the history. */
  #keep(entries: readonly Entry[], size: number): void {
    const next = (this.#live.at(-1)?.seq ?? this.#position) + 1;
    const first = entries[0]?.seq ?? Infinity;
    const fits = this.#live.length + entries.length <= buffered.entries && this.#liveSize + size <= buffered.size;
    const fresh = entries.filter(({ seq }) => seq >= next);
    if (first > next || !fits || fresh.length === 0) return;
    this.#live.push(...fresh);
    this.#liveSize += size;
  }

  #fail(error: unknown): void {
    if (hasCode(error, "run_not_found")) return this.#delete();
    this.#failure = error;
    this.#news.ring();
  }

  #delete(): void {
    this.#status = "deleted";
    this.#socket.close();
    this.#news.ring();
  }
}
