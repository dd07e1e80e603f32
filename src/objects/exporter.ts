/**
 * Owns: sending the spans of a run that has ended to the collector, until they were taken, for a day at most.
 * Does not own: what the spans are (core/trace), where they go (collector), keeping the memory meanwhile (host).
 * Invariant 1: it holds nothing up: a run is answered, retried, listed and removed without waiting for it.
 * Invariant 2: what is owed follows from the journal, the clock and one mark; a later life goes on with it. Spans
 * that are sent twice are the same spans.
 * Invariant 3: where no endpoint is set, nothing is written and nothing is done.
 */
import type { EndEntry } from "../core/end.ts";
import type { Entry } from "../core/entry.ts";
import { HoldfastError } from "../core/error.ts";
import type { Journal } from "../core/journal.ts";
import type { Span } from "../core/trace/span.ts";
import type { RunState } from "../core/state.ts";
import { stretchesOf } from "../core/trace/stretch.ts";
import { runTrace } from "../core/trace.ts";
import { spansOf } from "../core/trace/tracer.ts";
import { deliver, findCollector } from "./collector.ts";
import type { Collector } from "./collector.ts";
import { describe } from "./patience.ts";
import { turn } from "./turn.ts";

/** The `seq` of the newest end that was exported. */
const mark = "exported";
const keptMs = 24 * 3_600_000;
const shortestPauseMs = 1000;
const longestPauseMs = 3_600_000;
const spansAtOnce = 500;
/** Entries read at once, so that no cursor is open while a collector takes its time. */
const entriesAtOnce = 500;

/** Whoever hosts the run. */
type Owner = {
  state(): RunState;
  /** A row was written. */
  wrote(): void;
  /** The debt was paid, or could not be. */
  changed(): void;
};

/** Spans of an end that another deployment recorded are sent from there. */
export function markExported(kv: SyncKvStorage, end: EndEntry): void {
  kv.put(mark, end.seq);
}

export class Exporter {
  readonly #journal: Pick<Journal, "page">;
  readonly #kv: SyncKvStorage;
  readonly #owner: Owner;
  #stopped = false;
  /** Made when something is sent: most runs send nothing. */
  #sending: AbortController | null = null;
  /** Of the newest end that is settled, sent or given up; -1 until it was looked up. */
  #settled = -1;
  /** The newest end for which there was no collector: a deployment gets none while it runs. */
  #unwanted = -1;
  #dueAt = 0;
  #failed = false;
  busy = false;

  constructor(journal: Pick<Journal, "page">, kv: SyncKvStorage, owner: Owner) {
    this.#journal = journal;
    this.#kv = kv;
    this.#owner = owner;
  }

  /**
   * Begins what is due; answers when more will be, epoch ms; null where nothing is left to begin.
   * @param expired the run is not kept any longer: what has failed once is given up
   */
  attend(expired: boolean): number | null {
    const { end, created, episode } = this.#owner.state();
    if (end === null || created === null || this.busy || this.#stopped) return null;
    if (end.seq === this.#unwanted) return null;
    const now = Date.now();
    if (now > end.at + keptMs || (expired && this.#failed)) return null;
    const collector = collectorOrNone();
    if (collector === null) this.#unwanted = end.seq;
    // Whoever started it keeps no record of this trace.
    if (collector === null || !runTrace(created).sampled || this.#isSettled(end)) return null;
    if (this.#dueAt > now) return this.#dueAt;
    this.busy = true;
    void this.#pay(collector, end, episode);
    return null;
  }

  /** The run is being removed. */
  stop(): void {
    this.#stopped = true;
    this.#sending?.abort();
  }

  #isSettled(end: EndEntry): boolean {
    if (this.#settled < 0) this.#settled = this.#kv.get<number>(mark) ?? 0;
    return this.#settled >= end.seq;
  }

  async #pay(collector: Collector, end: EndEntry, episode: number): Promise<void> {
    try {
      // Whoever waits for the end hears of it first.
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
    for (const batch of batches(this.#owed(end, episode))) {
      const delivery = await deliver(collector, batch, signal);
      if (this.#stopped) return;
      if (delivery.kind === "busy") return this.#postpone(end, delivery.why, delivery.waitMs);
      if (delivery.kind === "refused") {
        console.error(`the spans of run ${this.#name} were refused and are given up: ${delivery.why}`);
        break;
      }
    }
    // A number of the storage's own, so that it costs a row only where spans are sent.
    this.#kv.put(mark, end.seq);
    this.#owner.wrote();
    this.#settled = end.seq;
  }

  /** As long as it has been owed already: by that, a later life knows as well. */
  #postpone(end: EndEntry, why: string, waitMs: number): void {
    if (this.#stopped) return;
    const now = Date.now();
    const pauseMs = Math.min(longestPauseMs, Math.max(shortestPauseMs, waitMs, now - end.at));
    this.#dueAt = now + pauseMs;
    this.#failed = true;
    console.warn(`the spans of run ${this.#name} could not be sent; they will be again in ${pauseMs} ms: ${why}`);
  }

  get #name(): string {
    return this.#owner.state().created?.id ?? "";
  }

  /** All that has ended since the newest that is settled: a run may be retried before its spans were taken. */
  *#owed(end: EndEntry, episode: number): Generator<Span> {
    const newest = [{ episode, end: end.seq }];
    const since = end.at - keptMs;
    const owed = episode === 0 ? newest : stretchesOf(this.#entries(end.seq), this.#settled, since);
    for (const stretch of owed) yield* spansOf(this.#entries(end.seq), stretch);
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

/** A bad address is told to whoever calls the API; a run has nobody to tell. */
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
