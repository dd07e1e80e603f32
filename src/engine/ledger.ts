/**
 * Owns: the journal of one run together with the state it folds to.
 * Does not own: what is appended, and when.
 * Invariant 1: an entry is appended before anything acts on it (guarantee 2).
 * Invariant 2: `seq` has no gaps and `at` never goes backwards, whatever the clock does.
 */
import type { Entry, Fact } from "../core/entry.ts";
import type { Journal } from "../core/journal.ts";
import { fold } from "../core/fold.ts";
import { emptyState } from "../core/state.ts";
import type { Outcome, RunState } from "../core/state.ts";
import type { Clock } from "./clock.ts";

export class Ledger {
  readonly state: RunState = emptyState();
  /** The deployment that had last left its name when the journal was opened. */
  readonly openedUnder: string | null;
  readonly #journal: Journal;
  readonly #clock: Clock;
  #recorded: Outcome[] = [];

  constructor(journal: Journal, clock: Clock) {
    this.#journal = journal;
    this.#clock = clock;
    for (const entry of journal.read()) {
      const outcome = fold(this.state, entry);
      if (outcome !== null) this.#recorded.push(outcome);
      if (entry.kind === "run.retried") this.#forget(entry.cleared);
    }
    this.openedUnder = this.state.deployment;
  }

  /** The outcomes on record when the journal was opened, in their order. Handed out once, then let go. */
  takeRecorded(): Outcome[] {
    const recorded = this.#recorded;
    this.#recorded = [];
    return recorded;
  }

  /** Epoch ms, never before the newest entry: what deadlines are counted from, whatever the clock does. */
  now(): number {
    return Math.max(this.#clock.now(), this.state.at);
  }

  /** Appends the facts as one commit; answers the outcome of the last. */
  append(...facts: readonly Fact[]): Outcome | null {
    const at = this.now();
    let seq = this.state.seq;
    const entries = facts.map((fact): Entry => ({ seq: ++seq, at, ...fact }));
    this.#journal.append(entries);
    let outcome: Outcome | null = null;
    for (const entry of entries) outcome = fold(this.state, entry);
    return outcome;
  }

  durable(): Promise<void> {
    return this.#journal.durable();
  }

  #forget(cleared: readonly string[]): void {
    const keys = new Set(cleared.map((step) => `run:${step}`));
    this.#recorded = this.#recorded.filter((outcome) => !keys.has(outcome.key));
  }
}
