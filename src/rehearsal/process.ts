/**
 * Owns: one life of the process of a rehearsal, and the runs within it.
 * Does not own: driving them (stage), messages between them (relatives).
 */
import type { EntryOf } from "../core/history/entry.ts";
import { HoldfastError } from "../core/error.ts";
import { isThenable } from "../core/thenable.ts";
import type { Run } from "../engine/run.ts";
import type { ManualClock } from "./clock.ts";
import { hang } from "./hang.ts";
import type { MemoryJournal } from "./journal.ts";
import type { Script } from "./script.ts";

export type Creation = Omit<EntryOf<"run.created">, "kind" | "seq" | "at">;

/** The life of the process, up to its death. */
export class Life {
  dead = false;
  /** Work that is under way in real time, each with a name for messages. */
  readonly atWork = new Map<object, string>();
  /** Idempotency keys of the step functions that were called. */
  readonly calls: string[] = [];

  /** Calls the function. @param waits virtual time does not pass before its promise has settled */
  call(what: string, key: string, fn: () => unknown, waits: boolean): unknown {
    // A dead process calls nothing.
    if (this.dead) return hang();
    this.calls.push(key);
    const result = fn();
    if (!isThenable(result)) return result;
    // Wrapped once: some thenables begin their work anew whenever they are awaited.
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

  /** Makes the call unless the process is dead; never resolves if it dies meanwhile. */
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
  /** When the run is to be advanced next; null while only an event from outside can move it. */
  wakeAt: number | null = null;
  woken = true;
  /** It was not advanced yet. */
  cold: boolean;
  /** Its messages to other runs, by name, with the time of the next attempt; Infinity while one is being sent, and after that. */
  readonly outbox = new Map<string, { dueAt: number; tries: number }>();

  constructor(id: string, journal: MemoryJournal, run: Run) {
    this.id = id;
    this.journal = journal;
    this.run = run;
    this.cold = journal.commits.length > 0;
  }

  /**
   * Advances the run as its object would: again once it rests, or something has come for it. An ended run stays in memory.
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

  /** Makes a call from outside, after which a run is advanced: at once, and when the call is over. */
  async visit<Value>(call: (run: Run) => Value | Promise<Value>): Promise<Value> {
    this.woken = true;
    try {
      return await call(this.run);
    } finally {
      this.woken = true;
    }
  }

  get dueAt(): number {
    let first = this.wakeAt ?? Infinity;
    for (const { dueAt } of this.outbox.values()) first = Math.min(first, dueAt);
    return first;
  }

  get ended(): boolean {
    return this.run.state.end !== null;
  }
}

/** All runs of the rehearsal, with their clock and stand-ins. */
export interface Peers {
  readonly clock: ManualClock;
  readonly script: Script;
  find(id: string): Process | undefined;
  create(creation: Creation): void;
}

/** @throws HoldfastError run_not_found */
export function processOf(peers: Pick<Peers, "find">, id: string): Process {
  const process = peers.find(id);
  if (process === undefined) throw new HoldfastError("run_not_found", `no run has the id ${id}`);
  return process;
}
