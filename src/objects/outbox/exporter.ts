/**
 * Owns: exporting the spans of an ended run to the collector, with retries for at most a day.
 * Does not own: the spans (core/trace), the collector (collector), keeping the object in memory meanwhile (host).
 * Invariant 1: it delays nothing: a run is answered, retried, listed and removed without waiting for it.
 * Invariant 2: what is still to be exported follows from the journal, the clock and one mark, so a later life goes on with
 * it. Spans that are sent twice are identical.
 * Invariant 3: without an endpoint, nothing is written or done.
 */
import type { EndEntry } from "../../core/history/end.ts";
import type { Entry } from "../../core/history/entry.ts";
import { HoldfastError } from "../../core/error.ts";
import type { Journal } from "../../core/history/journal.ts";
import type { Span } from "../../core/trace/span.ts";
import type { RunState } from "../../core/state/state.ts";
import { stretchesOf } from "../../core/trace/stretch.ts";
import { runTrace } from "../../core/trace/trace.ts";
import { spansOf } from "../../core/trace/tracer.ts";
import { deliver, findCollector } from "./collector.ts";
import type { Collector } from "./collector.ts";
import { describe } from "../patience.ts";
import { turn } from "../run/turn.ts";

/** The `seq` of the newest end that was exported. */
const mark = "exported";
const keptMs = 24 * 3_600_000;
const shortestPauseMs = 1000;
const longestPauseMs = 3_600_000;
const spansAtOnce = 500;
/** Entries are read in pages, so that no cursor is open while the collector responds. */
const entriesAtOnce = 500;

/** The host of the run. */
type Owner = {
  readonly state: RunState;
  /** Called when a row was written. */
  wrote(): void;
  /** Called when the spans were sent, or that failed. */
  changed(): void;
};

/** Marks an end that another deployment recorded, which also exports its spans. */
export function markExported(kv: SyncKvStorage, end: EndEntry): void {
  kv.put(mark, end.seq);
}

export class Exporter {
  readonly #journal: Pick<Journal, "page">;
  /** Its `kv` is an object that the platform makes, and keeps, for the first who asks. */
  readonly #storage: Pick<DurableObjectStorage, "kv">;
  readonly #owner: Owner;
  #stopped = false;
  /** Created when something is sent, because most runs send nothing. */
  #sending: AbortController | null = null;
  /** The `seq` of the newest end that was exported or given up; -1 before it was read. */
  #settled = -1;
  /** The newest end without a collector: the configuration does not change within a deployment. */
  #skipped = -1;
  #dueAt = 0;
  #failed = false;
  busy = false;

  constructor(journal: Pick<Journal, "page">, storage: Pick<DurableObjectStorage, "kv">, owner: Owner) {
    this.#journal = journal;
    this.#storage = storage;
    this.#owner = owner;
  }

  /**
   * Sends what is due. Returns when more will be due, epoch ms; null for never.
   * @param expired whether the retention of the run is over: then a failed export is given up
   */
  attend(expired: boolean): number | null {
    const { end, episode } = this.#owner.state;
    if (end === null || this.busy || this.#stopped) return null;
    if (end.seq === this.#skipped) return null;
    const now = Date.now();
    if (now > end.at + keptMs || (expired && this.#failed)) return null;
    const collector = collectorOrNone();
    if (collector === null) this.#skipped = end.seq;
    // The caller that started the run does not sample this trace.
    if (collector === null || !runTrace(this.#owner.state.creation).sampled || this.#isSettled(end)) return null;
    if (this.#dueAt > now) return this.#dueAt;
    this.busy = true;
    void this.#export(collector, end, episode);
    return null;
  }

  /** Called when the run is being removed. */
  stop(): void {
    this.#stopped = true;
    this.#sending?.abort();
  }

  #isSettled(end: EndEntry): boolean {
    if (this.#settled < 0) this.#settled = this.#storage.kv.get<number>(mark) ?? 0;
    return this.#settled >= end.seq;
  }

  async #export(collector: Collector, end: EndEntry, episode: number): Promise<void> {
    try {
      // Callers that wait for the end are answered first.
      await turn();
      if (!this.#stopped) await this.#send(collector, end, episode);
    } catch (error) {
      this.#postpone(end, describe(error), 0);
    }
    this.busy = false;
    this.#owner.changed();
  }

  async #send(collector: Collector, end: EndEntry, episode: number): Promise<void> {
    const { signal } = (this.#sending = new AbortController());
    for (const batch of batches(this.#pendingSpans(end, episode))) {
      const delivery = await deliver(collector, batch, signal);
      if (this.#stopped) return;
      if (delivery.kind === "busy") return this.#postpone(end, delivery.why, delivery.waitMs);
      if (delivery.kind === "refused") {
        console.error(`the spans of run ${this.#name} were refused and are given up: ${delivery.why}`);
        break;
      }
    }
    // A separate key, so that it costs a row only if spans are sent.
    this.#storage.kv.put(mark, end.seq);
    this.#owner.wrote();
    this.#settled = end.seq;
  }

  /** The pause is as long as the time since the end, which a later life also knows. */
  #postpone(end: EndEntry, why: string, waitMs: number): void {
    if (this.#stopped) return;
    const now = Date.now();
    const pauseMs = Math.min(longestPauseMs, Math.max(shortestPauseMs, waitMs, now - end.at));
    this.#dueAt = now + pauseMs;
    this.#failed = true;
    console.warn(`the spans of run ${this.#name} could not be sent; they will be again in ${pauseMs} ms: ${why}`);
  }

  get #name(): string {
    return this.#owner.state.creation.id;
  }

  /** The spans of all ends that are not exported yet: a run may be retried before its spans were. */
  *#pendingSpans(end: EndEntry, episode: number): Generator<Span> {
    const newest = [{ episode, end: end.seq }];
    const since = end.at - keptMs;
    const stretches = episode === 0 ? newest : stretchesOf(this.#entries(end.seq), this.#settled, since);
    for (const stretch of stretches) yield* spansOf(this.#entries(end.seq), stretch);
  }

  *#entries(last: number): Generator<Entry> {
    for (let seq = 0; seq < last;) {
      const page = this.#journal.page(seq, entriesAtOnce);
      const newest = page.at(-1);
      if (newest === undefined) return;
      yield* page;
      seq = newest.seq;
    }
  }
}

/** The collector, or null if its configuration is invalid, which the API reports. */
function collectorOrNone(): Collector | null {
  try {
    return findCollector();
  } catch (error) {
    if (error instanceof HoldfastError) return null;
    throw error;
  }
}

function* batches(spans: Iterable<Span>): Generator<readonly Span[]> {
  let batch: Span[] = [];
  for (const span of spans) {
    batch.push(span);
    if (batch.length < spansAtOnce) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
