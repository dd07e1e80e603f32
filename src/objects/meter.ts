/**
 * Owns: measuring what a run takes of the platform: rows, calls, time awake, bytes; and what of it goes on record.
 * Does not own: prices (core/price), what writes and calls (memory, alarm, slots, reporter).
 * Invariant 1: what is shown is on record with an entry, and never becomes less, whatever dies: a later life goes
 * on from it.
 * Invariant 2: it costs no row: it travels with entries that are written anyway.
 */
import type { Entry, Fact } from "../core/entry.ts";
import type { Usage } from "../core/usage.ts";
import { noUsage } from "../core/usage.ts";

/** After these the run rests, or has ended: mostly nothing is written for some time. */
const rests: ReadonlySet<Fact["kind"]> = new Set([
  "run.completed",
  "run.failed",
  "run.cancelled",
  "run.paused",
  "timer.set",
  "wait.started",
  "webhook.created",
  "child.started",
  "lane.queued",
  "step.attempt_failed",
  "step.dispatched",
  "undo.attempt_failed",
]);
/** A run at work has it on record at least this often, as far as it has anything on record. */
const intervalMs = 1000;

/** A database grows by pages of so many bytes. */
const pageSize = 4096;
/** What the storage keeps besides the text of a row. */
const rowSize = 32;
/** Of a run of few entries: the catalogue, its journal and its alarm, a page each. */
const smallest = 3 * pageSize;
/** Of the journal's page, what may be left when the next is begun. */
const leftover = 128;

/** One that watches over the report, and the next that the run waits for. */
const alarmRows = 2;
/** What the directory writes for a run it lists anew, and once for one that it did not know. */
const listingRows = 1;
const enrolmentRows = 1;

type Counts = Pick<Usage, "rowsWritten" | "requests" | "awakeMs">;

export class Meter {
  readonly #bytesStored: () => number;
  /** What this memory counted. */
  #rows = 0;
  #requests = 0;
  /** Time awake in spans that are over; the current one, if any, began at `#awakeFrom`. */
  #awakeMs = 0;
  #awakeFrom = 0;
  #inFlight = 0;
  /** What lives before this memory had on record; null until it was looked up. */
  #before: Usage | null = null;
  /** The newest on record. */
  #recorded: Counts = noUsage;
  /** When that was; 0: not yet in this memory. */
  #recordedAt = 0;
  /** The directory has heard of the run before. */
  #listed = false;
  /** The size that the storage last said; null once it may have grown by a page. Asking is not cheap. */
  #bytes: number | null = null;
  /** Characters that were written since. */
  #unseen = 0;
  /** The same, of a database that was empty when this memory began; null of one that was not. */
  #written: number | null = null;

  /** @param bytesStored asks the storage */
  constructor(bytesStored: () => number) {
    this.#bytesStored = bytesStored;
  }

  /** Goes on from what is on record; once in a memory. */
  open(onRecord: Usage): void {
    if (this.#before !== null) return;
    this.#before = onRecord;
    this.#recorded = onRecord;
    this.#listed = onRecord.rowsWritten > 0;
  }

  /** The run has begun in this memory, and in a database that was empty; once its first row is written. */
  begin(): void {
    this.#before = noUsage;
    this.#written = this.#unseen;
  }

  /** @param size how many characters there are in these rows */
  wrote(rows: number, size = 0): void {
    const bytes = size + rows * rowSize;
    this.#rows += rows;
    this.#unseen += bytes;
    if (this.#written !== null) this.#written += bytes;
    if (this.#unseen > pageSize / 2) this.#bytes = null;
  }

  /** The object called another that is no run; runs count the calls they take themselves. */
  called(): void {
    this.#requests++;
  }

  /** The directory was told, and wrote so many rows; undefined where it does not say. */
  reported(rows: number | undefined): void {
    this.called();
    this.#listed = true;
    // They are not in this object's storage.
    this.#rows += rows ?? listingRows;
  }

  /** One call that the object takes, from its beginning to its end. */
  take<Value>(call: () => Value): Value {
    this.#requests++;
    this.#bytes = null;
    this.#begin();
    let answer: Value;
    try {
      answer = call();
    } catch (error) {
      this.#end();
      throw error;
    }
    if (answer instanceof Promise) this.#endWith(answer);
    else this.#end();
    return answer;
  }

  /** Work that keeps the object awake until it settles. */
  hold<Value>(work: Promise<Value>): Promise<Value> {
    this.#begin();
    this.#endWith(work);
    return work;
  }

  /** What is shown of the run: what is on record, and the bytes there are. */
  get usage(): Usage {
    const { rowsWritten, requests, awakeMs } = this.#recorded;
    return { rowsWritten, requests, awakeMs, bytesStored: this.#stored() };
  }

  /** The first answer takes the storage as long as writing a row: most runs are too small to need it. */
  #stored(): number {
    if (this.#written !== null && this.#written + leftover < smallest) return smallest;
    if (this.#bytes === null) this.#unseen = 0;
    this.#bytes ??= this.#bytesStored();
    return this.#bytes;
  }

  /** What goes on record with a commit of these entries; null: nothing. The commit counts as one row already. */
  record(entries: readonly Entry[]): Usage | null {
    const now = Date.now();
    const rest = entries.some(({ kind }) => rests.has(kind));
    // Of a run that goes on as new, nothing else is left that says what it has taken.
    const renewed = entries[0]?.kind === "run.created";
    if (!rest && !renewed && now - this.#recordedAt < intervalMs) return null;
    const before = this.#before ?? noUsage;
    const awakeMs = this.#awakeMs + (this.#inFlight > 0 ? Math.max(0, now - this.#awakeFrom) : 0);
    // Coming to rest, the run sets an alarm and is reported. No entry follows to record what that takes, so it is counted ahead.
    const ahead = rest
      ? { rows: alarmRows + listingRows + (this.#listed ? 0 : enrolmentRows), requests: 1 }
      : { rows: 0, requests: 0 };
    this.#recorded = {
      rowsWritten: Math.max(this.#recorded.rowsWritten, before.rowsWritten + this.#rows + 1 + ahead.rows),
      requests: Math.max(this.#recorded.requests, before.requests + this.#requests + ahead.requests),
      awakeMs: Math.max(this.#recorded.awakeMs, before.awakeMs + awakeMs),
    };
    this.#recordedAt = now;
    // A run that is new has stored nothing yet.
    return renewed && before.rowsWritten === 0 ? { ...this.#recorded, bytesStored: 0 } : this.usage;
  }

  #begin(): void {
    if (this.#inFlight++ === 0) this.#awakeFrom = Date.now();
  }

  #end(): void {
    if (--this.#inFlight === 0) this.#awakeMs += Math.max(0, Date.now() - this.#awakeFrom);
  }

  #endWith(work: Promise<unknown>): void {
    const end = (): void => this.#end();
    void work.then(end, end);
  }
}

/** Has every method of the object pass its meter as it is called. */
export function meterCalls<Called extends object>(prototype: Called, meterOf: (object: Called) => Meter): void {
  for (const [name, { value, ...property }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
    if (name === "constructor" || typeof value !== "function") continue;
    const method = value as (...args: unknown[]) => unknown;
    const metered = function (this: Called, ...args: unknown[]): unknown {
      return meterOf(this).take(() => method.apply(this, args));
    };
    Object.defineProperty(prototype, name, { ...property, value: metered });
  }
}
