/**
 * Owns: measuring the usage of a run: rows, calls, time awake, bytes; and when it is recorded.
 * Does not own: prices (core/run/price), what writes and calls (memory, alarm, slots, reporter).
 * Invariant 1: the shown usage is recorded with an entry, and never decreases: after a death of the process, a later life
 * continues from it.
 * Invariant 2: it needs no rows of its own, because it is recorded with other entries.
 */
import type { Entry, Fact } from "../core/history/entry.ts";
import type { Usage } from "../core/run/usage.ts";
import { noUsage } from "../core/run/usage.ts";
import { aroundMethods } from "./interception.ts";

/** After these entries the run is parked or has ended, so usually nothing is written for some time. */
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
/** The interval at which a busy run records its usage, if it writes entries. */
const intervalMs = 1000;

/** The page size of the database. */
const pageSize = 4096;
/** The overhead of a row. */
const rowSize = 32;
/** The database of a short run: one page each for the schema, the journal and the alarm. */
const smallest = 3 * pageSize;
/** How much of a page may be unused when the next one is begun. */
const leftover = 128;

/** The watchdog of the report, and the next alarm of the run. */
const alarmRows = 2;
/** The rows that the directory writes for each report, and once more for a new run. */
const listingRows = 1;
const enrolmentRows = 1;

type Counts = Pick<Usage, "rowsWritten" | "requests" | "awakeMs">;

export class Meter {
  readonly #bytesStored: () => number;
  /** The counts since this memory was created. */
  #rows = 0;
  #requests = 0;
  /** Time awake in past spans; the current span, if any, began at `#awakeFrom`. */
  #awakeMs = 0;
  #awakeFrom = 0;
  #inFlight = 0;
  /** The usage that was recorded before this memory was created; null before it was read. */
  #before: Usage | null = null;
  /** The newest recorded usage. */
  #recorded: Counts = noUsage;
  /** When it was recorded; 0 if not yet in this memory. */
  #recordedAt = 0;
  /** Whether the directory has got a report of the run. */
  #listed = false;
  /** The size of the storage when it was last read, which is slow; null if it may have grown by a page since. */
  #bytes: number | null = null;
  /** Characters written since then. */
  #unseen = 0;
  /** Characters written to a database that was empty when this memory was created; null for any other. */
  #written: number | null = null;

  /** @param bytesStored reads the size of the storage */
  constructor(bytesStored: () => number) {
    this.#bytesStored = bytesStored;
  }

  /** Continues from the recorded usage; called once. */
  open(onRecord: Usage): void {
    if (this.#before !== null) return;
    this.#before = onRecord;
    this.#recorded = onRecord;
    this.#listed = onRecord.rowsWritten > 0;
  }

  /** Called after the first row of a new run was written to an empty database. */
  begin(): void {
    this.#before = noUsage;
    this.#written = this.#unseen;
  }

  /** @param size of these rows in characters */
  wrote(rows: number, size = 0): void {
    const bytes = size + rows * rowSize;
    this.#rows += rows;
    this.#unseen += bytes;
    if (this.#written !== null) this.#written += bytes;
    if (this.#unseen > pageSize / 2) this.#bytes = null;
  }

  /** Counts a call of another object that is not a run; runs count the calls that they receive. */
  called(): void {
    this.#requests++;
  }

  /** Counts a report to the directory, and the rows that it wrote; undefined if the answer does not say. */
  reported(rows: number | undefined): void {
    this.called();
    this.#listed = true;
    // Not through `wrote`, because these rows are not in this object's storage.
    this.#rows += rows ?? listingRows;
  }

  /** Measures a call that the object receives. */
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

  /** Measures work that keeps the object awake until it settles. */
  hold<Value>(work: Promise<Value>): Promise<Value> {
    this.#begin();
    this.#endWith(work);
    return work;
  }

  /** The recorded usage, with the present size of the storage. */
  get usage(): Usage {
    const { rowsWritten, requests, awakeMs } = this.#recorded;
    return { rowsWritten, requests, awakeMs, bytesStored: this.#stored() };
  }

  /** Reading the size first takes as long as writing a row, so it is computed for short runs, which most are. */
  #stored(): number {
    if (this.#written !== null && this.#written + leftover < smallest) return smallest;
    if (this.#bytes === null) this.#unseen = 0;
    this.#bytes ??= this.#bytesStored();
    return this.#bytes;
  }

  /** The usage to record with a commit of these entries, which is counted already; null for none. */
  record(entries: readonly Entry[]): Usage | null {
    const now = Date.now();
    const rest = entries.some(({ kind }) => rests.has(kind));
    // A run that is continued as new loses the entries with its former usage.
    const renewed = entries[0]?.kind === "run.created";
    if (!rest && !renewed && now - this.#recordedAt < intervalMs) return null;
    const before = this.#before ?? noUsage;
    const awakeMs = this.#awakeMs + (this.#inFlight > 0 ? Math.max(0, now - this.#awakeFrom) : 0);
    // A run that is parked sets an alarm and is reported. No later entry records this, so it is counted in advance.
    const ahead = rest
      ? { rows: alarmRows + listingRows + (this.#listed ? 0 : enrolmentRows), requests: 1 }
      : { rows: 0, requests: 0 };
    this.#recorded = {
      rowsWritten: Math.max(this.#recorded.rowsWritten, before.rowsWritten + this.#rows + 1 + ahead.rows),
      requests: Math.max(this.#recorded.requests, before.requests + this.#requests + ahead.requests),
      awakeMs: Math.max(this.#recorded.awakeMs, before.awakeMs + awakeMs),
    };
    this.#recordedAt = now;
    // A new run has stored nothing yet.
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

/** Makes every call of a method of the object measured by its meter. */
export function meterCalls<Called extends object>(prototype: Called, meterOf: (object: Called) => Meter): void {
  aroundMethods(prototype, (object, make, args) => meterOf(object).take(() => make(...args)));
}
