/**
 * Owns: the journal of a run as it is written: what the run has taken by then is noted with it, and whoever
 * listens hears of every commit.
 * Does not own: how it is kept (store/journal), what is measured (meter), what is made of it (memory).
 * Invariant 1: a commit is heard of once it is on record, in order; a listener that fails harms nothing.
 * Invariant 2: a memory that was given up writes nothing: by now the journal may be another run's.
 */
import type { Entry } from "../core/entry.ts";
import type { Journal } from "../core/journal.ts";
import type { Usage } from "../core/usage.ts";

/** Who has a part in every commit. */
export type Observer = {
  /** @throws where this memory does not speak for the run any more */
  admit(): void;
  /** What of the run's usage goes on record with these entries; null: nothing. */
  measure(entries: readonly Entry[]): Usage | null;
  heard(entries: readonly Entry[]): void;
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
    this.#tell(measured);
  }

  restart(entries: readonly Entry[]): void {
    this.#observer.admit();
    const measured = this.#measured(entries);
    this.#journal.restart(measured);
    this.#tell(measured);
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

  #tell(entries: readonly Entry[]): void {
    try {
      this.#observer.heard(entries);
    } catch (error) {
      console.error("a listener to a run's journal failed", error);
    }
  }
}
