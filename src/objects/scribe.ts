/**
 * Owns: the journal of a run as it is written: whoever listens hears of every commit.
 * Does not own: how it is kept (store/journal), what is made of it (host).
 * Invariant 1: a commit is heard of once it is on record, in order; a listener that fails harms nothing.
 */
import type { Entry } from "../core/entry.ts";
import type { Journal } from "../core/journal.ts";

export class Scribe implements Journal {
  readonly #journal: Journal;
  readonly #heard: (entries: readonly Entry[]) => void;

  constructor(journal: Journal, heard: (entries: readonly Entry[]) => void) {
    this.#journal = journal;
    this.#heard = heard;
  }

  read(): Iterable<Entry> {
    return this.#journal.read();
  }

  append(entries: readonly Entry[]): void {
    this.#journal.append(entries);
    this.#tell(entries);
  }

  restart(entries: readonly Entry[]): void {
    this.#journal.restart(entries);
    this.#tell(entries);
  }

  page(after: number, limit: number): Entry[] {
    return this.#journal.page(after, limit);
  }

  durable(): Promise<void> {
    return this.#journal.durable();
  }

  #tell(entries: readonly Entry[]): void {
    try {
      this.#heard(entries);
    } catch (error) {
      console.error("a listener to a run's journal failed", error);
    }
  }
}
