/**
 * Owns: a journal in memory.
 * Does not own: what is written into it.
 */
import type { Entry } from "../core/history/entry.ts";
import type { Journal } from "../core/history/journal.ts";

/** Keeps commits in order. A death leaves a prefix of them. */
export class MemoryJournal implements Journal {
  commits: string[];
  /** The process that writes here is dead: further commits are ignored. */
  closed = false;
  #entries: Entry[] | null = null;

  constructor(commits: readonly string[] = []) {
    this.commits = [...commits];
  }

  /** The entries, as a new copy for every reader. */
  get entries(): readonly Entry[] {
    this.#entries ??= this.commits.flatMap((text, at) => this.open(text, at));
    return this.#entries;
  }

  *read(): Iterable<Entry> {
    for (const [at, text] of this.commits.entries()) yield* this.open(text, at);
  }

  append(entries: readonly Entry[]): void {
    if (entries.length === 0 || this.closed) return;
    this.commits.push(this.seal(entries, this.commits.length));
    this.#entries = null;
  }

  restart(entries: readonly Entry[]): void {
    if (this.closed) return;
    this.commits = entries.map((entry, at) => this.seal([entry], at));
    this.#entries = null;
  }

  page(after: number, limit: number): Entry[] {
    return [...this.read()].filter(({ seq }) => seq > after).slice(0, limit);
  }

  durable(): Promise<void> {
    return Promise.resolve();
  }

  /** The stored form of a commit. */
  protected seal(entries: readonly Entry[], _at: number): string {
    return JSON.stringify(entries);
  }

  protected open(text: string, _at: number): Entry[] {
    return JSON.parse(text) as Entry[];
  }
}
