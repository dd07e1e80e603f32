/**
 * Owns: writing to the journal of a run: adding the measured usage to commits, and notifying the listener.
 * Does not own: the storage (store/journal), the measurement (meter), the state in memory (memory).
 * Invariant 1: the listener is notified of commits after they are recorded, in order; its errors have no effect.
 * Invariant 2: a memory that was given up writes nothing, because the journal may be another run's by now.
 */
import type { Entry } from "../../core/history/entry.ts";
import type { Journal } from "../../core/history/journal.ts";
import type { Usage } from "../../core/run/usage.ts";

/** Called for every commit. */
export type Observer = {
  /** @throws if this memory was given up */
  admit(): void;
  /** The usage to record with these entries; null for none. */
  measure(entries: readonly Entry[]): Usage | null;
  committed(entries: readonly Entry[]): void;
};

export class ObservedJournal implements Journal {
  readonly #journal: Journal;
  readonly #observer: Observer;

  constructor(journal: Journal, observer: Observer) {
    this.#journal = journal;
    this.#observer = observer;
  }

  read(): Iterable<Entry> {
    return this.#journal.read();
  }

  append(entries: readonly Entry[]): void {
    this.#observer.admit();
    const measured = this.#measured(entries);
    this.#journal.append(measured);
    this.#notify(measured);
  }

  restart(entries: readonly Entry[]): void {
    this.#observer.admit();
    const measured = this.#measured(entries);
    this.#journal.restart(measured);
    this.#notify(measured);
  }

  page(after: number, limit: number): Entry[] {
    return this.#journal.page(after, limit);
  }

  durable(): Promise<void> {
    return this.#journal.durable();
  }

  #measured(entries: readonly Entry[]): readonly Entry[] {
    const last = entries.at(-1);
    const used = last === undefined ? null : this.#observer.measure(entries);
    return last === undefined || used === null ? entries : [...entries.slice(0, -1), { ...last, used }];
  }

  #notify(entries: readonly Entry[]): void {
    try {
      this.#observer.committed(entries);
    } catch (error) {
      console.error("a listener to a run's journal failed", error);
    }
  }
}
