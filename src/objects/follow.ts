/**
 * Owns: a run's history and what it writes from then on, as one stream in the Worker.
 * Does not own: the socket on which the run tells of it (socket, followers), how it is shown (http).
 *
 * The Worker waits while the object sleeps. Entries that come while the reader is busy are not all kept: the rest is read
 * from the history once the reader asks for it.
 * Invariant 1: entries are passed on in order of `seq`, none twice, none left out that is on record.
 * Invariant 2: a reader, however slow, costs one page of history and `buffered` live entries at most.
 */
import type { Entry } from "../core/entry.ts";
import { hasCode } from "../core/error.ts";
import type { HistoryPage, RunStatus } from "../core/run.ts";
import type { RunNews } from "../core/service.ts";
import { Bell } from "../engine/bell.ts";
import { runObject } from "./address.ts";
import { unwrap } from "./answer.ts";
import { calleeHeader, noRun } from "./callee.ts";
import { patiently } from "./patience.ts";
import type { Refusal } from "./answer.ts";
import type { RunSaid } from "./rpc/run.ts";
import { LiveSocket } from "./socket.ts";

const pageLimit = 500;
/** Entries, and characters of the messages that brought them, that wait for the reader. */
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
  if (response.status === 404) throw noRun();
  if (response.status === 503) unwrap({ ok: false, refusal: await response.json<Refusal>() });
  return response;
}

class Relay {
  readonly #id: string;
  readonly #socket: LiveSocket;
  readonly #news = new Bell();
  /** The `seq` of the newest entry that was passed on. */
  #position: number;
  /** The `seq` of the newest entry on record, and the status of an ended run, as the object last said. */
  #newest = 0;
  #status: RunStatus | "deleted" | null = null;
  #createdAt: number | undefined;
  /** Entries that follow the position without a gap. */
  #live: Entry[] = [];
  #liveSize = 0;
  #failure: unknown = null;
  #isCancelled = false;

  constructor(id: string, after: number) {
    this.#id = id;
    this.#position = after;
    this.#socket = new LiveSocket(() => dial(id), {
      heard: (text) => this.#hear(JSON.parse(text) as RunSaid, text.length),
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

  /** The entries that come next; none once there will be no more. */
  async #next(): Promise<readonly Entry[]> {
    while (!this.#isCancelled) {
      const entries = this.#takeLive();
      if (entries.length > 0) return entries;
      if (this.#failure !== null) return [];
      if (this.#newest > this.#position && this.#status !== "deleted") {
        const page = await this.#page();
        if (page.length > 0) return page;
      } else if (this.#status !== null) return [];
      else await this.#news.heard();
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
      // The object spoke of entries that are gone: the run went on as new, or died before they were durable.
      if (entries.length === 0) this.#newest = Math.min(this.#newest, after);
      return entries;
    } catch (error) {
      this.#fail(error);
      return [];
    }
  }

  #hear(said: RunSaid, size: number): void {
    if (said === "gone" || this.#isAnother(said.createdAt)) return this.#delete();
    this.#newest = said.seq;
    this.#status = said.status;
    this.#keep(said.entries ?? [], size);
    this.#news.ring();
  }

  /** The id was free again, and somebody took it. */
  #isAnother(createdAt: number | undefined): boolean {
    if (createdAt === undefined) return false;
    this.#createdAt ??= createdAt;
    return this.#createdAt !== createdAt;
  }

  /** Keeps entries that follow on what the reader has without a gap; all others are read from the history. */
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
