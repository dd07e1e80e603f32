/**
 * Owns: the changes of the directory as one stream: merged from all shards, and filtered.
 * Does not own: the sockets of the shards (socket, followers), the meaning of filters (core/listing/filter).
 *
 * A shard serializes each change once and sends it to every follower; it is filtered here.
 * Invariant 1: after changes were dropped, the reader gets `ready`, so that it reads the list again.
 * Invariant 2: for a slow reader, at most the newest states of `longest` runs are kept.
 */
import { fits, mayHaveFitted } from "../../core/listing/filter.ts";
import type { DirectoryChange, RunFilter } from "../../core/service/directory.ts";
import { Bell } from "../../engine/turn/bell.ts";
import { directoryShard, directoryShards } from "../address.ts";
import type { ShardMessage } from "../rpc/directory.ts";
import { LiveSocket } from "./socket.ts";

/** The shortest time between two deliveries. */
const flushMs = 250;
const longest = 1000;

export function followDirectory(filter: RunFilter): ReadableStream<readonly DirectoryChange[]> {
  return new ReadableStream<readonly DirectoryChange[]>(new Relay(filter), { highWaterMark: 0 });
}

function dial(shard: number): Promise<Response> {
  return directoryShard(shard).fetch(new Request("https://directory/events", { headers: { upgrade: "websocket" } }));
}

class Relay {
  readonly #filter: RunFilter;
  readonly #sockets: readonly LiveSocket[];
  readonly #news = new Bell();
  /** Shards that have not confirmed the subscription yet. */
  readonly #unconfirmed: Set<number>;
  /** The newest change of each run, in the order of arrival. */
  readonly #changes = new Map<string, DirectoryChange>();
  /** Whether the reader has to read the list: at first, and after missed changes. */
  #needsReady = true;
  #flushedAt = 0;
  #failure: unknown = null;
  #isCancelled = false;

  constructor(filter: RunFilter) {
    this.#filter = filter;
    const shards = [...directoryShards().keys()];
    this.#unconfirmed = new Set(shards);
    this.#sockets = shards.map((shard) => {
      const heard = (text: string): void => this.#receive(shard, JSON.parse(text) as ShardMessage);
      return new LiveSocket(() => dial(shard), { heard, failed: (error) => this.#fail(error) });
    });
  }

  start(): void {
    for (const socket of this.#sockets) socket.open().catch((error: unknown) => this.#fail(error));
  }

  async pull(controller: ReadableStreamDefaultController<readonly DirectoryChange[]>): Promise<void> {
    while (!this.#isDue()) await this.#news.rung();
    if (this.#isCancelled) return;
    const waitMs = this.#flushedAt + flushMs - Date.now();
    if (waitMs > 0) await scheduler.wait(waitMs);
    if (this.#isCancelled) return;
    if (this.#failure !== null) {
      this.#close();
      return controller.error(this.#failure);
    }
    controller.enqueue(this.#take());
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#close();
    this.#news.ring();
  }

  #isDue(): boolean {
    if (this.#isCancelled || this.#failure !== null) return true;
    // A reader that lists before all shards are subscribed to would miss changes.
    return this.#unconfirmed.size === 0 && (this.#needsReady || this.#changes.size > 0);
  }

  #take(): readonly DirectoryChange[] {
    const ready: DirectoryChange[] = this.#needsReady ? [{ kind: "ready" }] : [];
    const changes = [...ready, ...this.#changes.values()];
    this.#needsReady = false;
    this.#changes.clear();
    this.#flushedAt = Date.now();
    return changes;
  }

  #receive(shard: number, message: ShardMessage): void {
    if (message === "subscribed") {
      // A second confirmation: the socket was reconnected, and changes may be missing.
      if (!this.#unconfirmed.delete(shard)) this.#needsReady = true;
    } else if ("listed" in message) {
      const { listed: run } = message;
      if (fits(run, this.#filter)) this.#note(run.id, { kind: "listed", run });
      else if (mayHaveFitted(run, this.#filter)) this.#note(run.id, { kind: "removed", id: run.id });
    } else this.#note(message.removed, { kind: "removed", id: message.removed });
    this.#news.ring();
  }

  #note(id: string, change: DirectoryChange): void {
    this.#changes.delete(id);
    this.#changes.set(id, change);
    if (this.#changes.size <= longest) return;
    // A reader that is this far behind reads the list again.
    this.#changes.clear();
    this.#needsReady = true;
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#news.ring();
  }

  #close(): void {
    for (const socket of this.#sockets) socket.close();
  }
}
