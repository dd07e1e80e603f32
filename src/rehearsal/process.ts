/**
 * Owns: one life of one run, and one life of the process that all runs of a rehearsal are in.
 * Does not own: driving them (stage), what they say to each other (relatives).
 */
import type { EntryOf } from "../core/entry.ts";
import { HoldfastError } from "../core/error.ts";
import { isThenable } from "../core/thenable.ts";
import type { Run } from "../engine/run.ts";
import type { ManualClock } from "./clock.ts";
import { hang } from "./hang.ts";
import type { MemoryJournal } from "./journal.ts";
import type { Script } from "./script.ts";

export type Creation = Omit<EntryOf<"run.created">, "kind" | "seq" | "at">;

/** From the birth of the process to its death. */
export class Life {
  dead = false;
  /** What goes on in real time, as people call it. */
  readonly atWork = new Map<object, string>();
  /** Idempotency keys of the functions that were called. */
  readonly calls: string[] = [];

  /** Calls the function; what it promises is waited for before any time passes. */
  call(what: string, key: string, fn: () => unknown, waits = true): unknown {
    // What a dead process would have gone on with.
    if (this.dead) return hang();
    this.calls.push(key);
    const result = fn();
    if (!isThenable(result)) return result;
    // Once: some begin their work anew whenever they are waited for.
    const work = Promise.resolve(result);
    if (waits) void this.watch(what, work);
    return work;
  }

  async watch(what: string, work: Promise<unknown>): Promise<void> {
    const token = {};
    this.atWork.set(token, what);
    await work.catch(() => {});
    this.atWork.delete(token);
  }

  /** Nothing is answered by a dead process, and nothing asked of it. */
  async alive<Value>(ask: () => Promise<Value>): Promise<Value> {
    if (this.dead) return await hang();
    const settled = await ask().then(
      (value) => () => value,
      (error: unknown) => () => {
        throw error;
      },
    );
    return this.dead ? await hang() : settled();
  }
}

export class Process {
  readonly id: string;
  readonly journal: MemoryJournal;
  readonly run: Run;
  /** When the run is to be looked at again; null while only the world can move it. */
  wakeAt: number | null = null;
  woken = true;
  /** Nobody has looked at it yet. */
  cold: boolean;
  /** What it owes to others, by name: when the next try is due; Infinity while it is under way or was paid. */
  readonly debts = new Map<string, { dueAt: number; tries: number }>();

  constructor(id: string, journal: MemoryJournal, run: Run) {
    this.id = id;
    this.journal = journal;
    this.run = run;
    this.cold = journal.commits.length > 0;
  }

  /**
   * Looks at the run as its object would: it is woken again when what it does rests, or something was said to it.
   * One that has ended is kept for as long as anybody may look at it.
   */
  advance(now: number): void {
    const { run } = this;
    this.woken = false;
    const cold = this.cold && run.wasCutOff(now);
    this.cold = false;
    const next = run.advance(cold);
    this.wakeAt = this.ended ? null : next.wakeAt;
    const wake = (): void => void (this.woken = true);
    if (next.busy) void run.rested().then(wake);
    else if (!this.ended) void run.stirred().then(wake);
  }

  get dueAt(): number {
    let first = this.wakeAt ?? Infinity;
    for (const { dueAt } of this.debts.values()) first = Math.min(first, dueAt);
    return first;
  }

  get ended(): boolean {
    return this.run.state.end !== null;
  }
}

/** The runs that are on stage together. */
export interface Company {
  readonly clock: ManualClock;
  readonly script: Script;
  find(id: string): Process | undefined;
  create(creation: Creation): void;
}

/** @throws HoldfastError run_not_found */
export function processOf(company: Pick<Company, "find">, id: string): Process {
  const process = company.find(id);
  if (process === undefined) throw new HoldfastError("run_not_found", `no run has the id ${id}`);
  return process;
}
