/**
 * Owns: the changes of the directory as one stream: merged from all shards, and filtered.
 * Does not own: the sockets of the shards (socket, followers), the meaning of filters (core/filter).
 *
 * A shard serializes each change once and sends it to every follower; it is filtered here.
 * Invariant 1: after changes were dropped, the reader gets `ready`, so that it reads the list again.
 * Invariant 2: for a slow reader, at most the newest states of `longest` runs are kept.
 */
import { fits, mayHaveFitted } from "../core/filter.ts";
import type { DirectoryChange, RunFilter } from "../core/directory.ts";
import { Bell } from "../engine/bell.ts";
import { directoryShard, directoryShards } from "./address.ts";
import type { ShardSaid } from "./rpc/directory.ts";
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
  readonly #silent: Set<number>;
  /** The newest change of each run, in the order of arrival. */
  readonly #changes = new Map<string, DirectoryChange>();
  /** Whether the reader has to read the list: at first, and after missed changes. */
  #isOwedReady = true;
  #flushedAt = 0;
  #failure: unknown = null;
  #isCancelled = false;

  constructor(filter: RunFilter) {
    this.#filter = filter;
    const shards = [...directoryShards().keys()];
    this.#silent = new Set(shards);
    this.#sockets = shards.map((shard) => {
      const heard = (text: string): void => this.#hear(shard, JSON.parse(text) as ShardSaid);
      return new LiveSocket(() => dial(shard), { heard, failed: (error) => this.#fail(error) });
    });
  }

  start(): void {
    for (const socket of this.#sockets) socket.open().catch((error: unknown) => this.#fail(error));
  }

  async pull(controller: ReadableStreamDefaultController<readonly DirectoryChange[]>): Promise<void> {
    while (!this.#isDue()) await this.#news.heard();
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
    return this.#silent.size === 0 && (this.#isOwedReady || this.#changes.size > 0);
  }

  #take(): readonly DirectoryChange[] {
    const ready: DirectoryChange[] = this.#isOwedReady ? [{ kind: "ready" }] : [];
    const changes = [...ready, ...this.#changes.values()];
    this.#isOwedReady = false;
    this.#changes.clear();
    this.#flushedAt = Date.now();
    return changes;
  }

  #hear(shard: number, said: ShardSaid): void {
    if (said === "subscribed") {
      // A second confirmation: the socket was reconnected, and changes may be missing.
      if (!this.#silent.delete(shard)) this.#isOwedReady = true;
    } else if ("listed" in said) {
      const { listed: run } = said;
      if (fits(run, this.#filter)) this.#note(run.id, { kind: "listed", run });
      else if (mayHaveFitted(run, this.#filter)) this.#note(run.id, { kind: "removed", id: run.id });
    } else this.#note(said.removed, { kind: "removed", id: said.removed });
    this.#news.ring();
  }

  #note(id: string, change: DirectoryChange): void {
    this.#changes.delete(id);
    this.#changes.set(id, change);
    if (this.#changes.size <= longest) return;
    // A reader that is this far behind reads the list again.
    this.#changes.clear();
    this.#isOwedReady = true;
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#news.ring();
  }

  #close(): void {
    for (const socket of this.#sockets) socket.close();
  }
}
