/** Collects all entries of a run, because its journal has only those of its present life. */
import type { Entry } from "../../src/core/history/entry.ts";
import type { MemoryJournal } from "./memory.ts";

export type Write = {
  readonly entries: readonly Entry[];
  /** The run went on as new by it: nothing else is in the journal. */
  readonly anew: boolean;
  /** What a death behind it leaves. */
  readonly commits: readonly string[];
};

export class Archive {
  readonly writes: Write[];

  /** @param before what earlier processes wrote */
  constructor(before: readonly Write[] = []) {
    this.writes = [...before];
  }

  /** Takes note of what the journal was given. */
  see({ commits }: MemoryJournal, entries: readonly Entry[]): void {
    const anew = entries[0]?.kind === "run.created" && this.writes.length > 0;
    this.writes.push({ entries, anew, commits: [...commits] });
  }

  get entries(): Entry[] {
    return this.writes.flatMap(({ entries }) => entries);
  }

  /** Of each life its entries, those that came along from the one before among them. */
  get lives(): Entry[][] {
    const lives: Entry[][] = [];
    for (const { entries, anew } of this.writes) {
      if (anew || lives.length === 0) lives.push([]);
      lives.at(-1)?.push(...entries);
    }
    return lives;
  }
}
