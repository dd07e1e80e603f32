/**
 * Owns: the journal of one run together with the state it folds to.
 * Does not own: what is appended, and when.
 * Invariant 1: an entry is appended before anything acts on it (guarantee 2).
 * Invariant 2: `seq` has no gaps and `at` never goes backwards, whatever the clock does.
 */
import { corrupt } from "../core/history/commit.ts";
import type { Entry, Fact } from "../core/history/entry.ts";
import type { Journal } from "../core/history/journal.ts";
import { fold } from "../core/state/fold.ts";
import { callKey, RunState } from "../core/state/state.ts";
import type { Outcome, Publication } from "../core/state/state.ts";
import type { Clock } from "./clock.ts";
import { abandonedOrders } from "./attempt/abandonments.ts";

/** Facts that stop what is at work: they end, cancel or undo the run. */
const stopKinds: ReadonlySet<Fact["kind"]> = new Set([
  "run.cancel_requested",
  "undo.started",
  "run.completed",
  "run.failed",
  "run.cancelled",
]);

/** Entries that may follow an outcome although no handler has reacted to it: they do not show how far one came. */
const silent: ReadonlySet<Fact["kind"]> = new Set([
  "run.created",
  "run.started",
  "run.interrupted",
  "step.interrupted",
  "signal.received",
  "patch.adopted",
]);

/** Entries read at once. */
const pageSize = 1000;

export class Ledger {
  state = new RunState();
  /** The newest deployment on record when the journal was opened. */
  openedUnder: string | null = null;
  /** When the newest entry of earlier lives was made; 0 where there were none. */
  openedAt = 0;
  /** When the journal was opened, or begun anew, its newest entry was the recovery from a death. */
  openedRecovered = false;
  /**
   * When the journal was opened, a pause or a lane had held the run since this entry, so that nothing began behind it. Infinity
   * where it was not held; 0 where nothing at all was at work.
   */
  openedHeldSeq = Infinity;
  /** When the journal was opened, no entry showed that a handler had come further than the newest outcome. */
  openedSilent = true;
  /** What goes on record ahead of such facts, in the same commit: children that are being started, attempts that are abandoned. */
  beforeStop: (stopping: readonly Fact[]) => readonly Fact[] = (stopping) => {
    return abandonedOrders(stopping, this.state);
  };
  /** It is only read: whoever appends to it is at fault. */
  readonly sealed: boolean;
  readonly #journal: Journal;
  readonly #clock: Clock;
  #recorded: Outcome[] = [];

  /** @throws HoldfastError as the journal, and journal_corrupt */
  constructor(journal: Journal, clock: Clock, sealed = false) {
    this.#journal = journal;
    this.#clock = clock;
    this.sealed = sealed;
    for (const entry of journal.read()) {
      // Without its beginning it would be taken for no run at all.
      if (this.state.created === null && entry.kind !== "run.created")
        throw corrupt("it does not begin with run.created");
      const ended = this.state.end !== null;
      const outcome = fold(this.state, entry);
      if (outcome !== null) this.#recorded.push(outcome);
      this.openedSilent = outcome !== null || (this.openedSilent && silent.has(entry.kind));
      if (entry.kind === "run.retried" && ended) this.#forget(entry.cleared);
    }
    const newest = this.#recorded.at(-1)?.seq ?? 0;
    if (newest < this.state.episode) this.state.published = this.#publishedBehind(newest);
    this.#noteOpening();
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

  /**
   * The run goes on as new: these facts, and only they, are the journal. `seq` goes on. Its creation is later
   * than the one before, because keys, tokens and children of its incarnations are told apart by it.
   */
  restart(facts: readonly Fact[]): void {
    if (this.sealed) throw new Error("a sealed journal is not begun anew");
    const at = Math.max(this.now(), (this.state.created?.at ?? 0) + 1);
    let seq = this.state.seq;
    const entries = facts.map((fact): Entry => ({ seq: ++seq, at, ...fact }));
    this.#journal.restart(entries);
    this.state = new RunState();
    for (const entry of entries) fold(this.state, entry);
    this.#recorded = [];
    this.#noteOpening();
  }

  /** Appends the facts as one commit. */
  append(...facts: readonly Fact[]): void {
    this.appendAll(facts);
  }

  /** Appends the facts as one commit; returns for each the outcome that it delivers to the handler, or null. */
  appendAll(facts: readonly Fact[]): (Outcome | null)[] {
    if (this.sealed) throw new Error("a sealed journal takes no entries");
    const at = this.now();
    let seq = this.state.seq;
    const all = facts.some(({ kind }) => stopKinds.has(kind)) ? [...this.beforeStop(facts), ...facts] : facts;
    const entries = all.map((fact): Entry => ({ seq: ++seq, at, ...fact }));
    this.#journal.append(entries);
    return entries.map((entry) => fold(this.state, entry));
  }

  #noteOpening(): void {
    const { deployment, at, seq, recoveredSeq } = this.state;
    this.openedUnder = deployment;
    this.openedAt = at;
    this.openedRecovered = seq > 0 && seq === recoveredSeq;
    this.openedHeldSeq = heldSeq(this.state);
  }

  durable(): Promise<void> {
    return this.#journal.durable();
  }

  /** What was published behind the newest outcome that counts: after a retry, the handler publishes it once more. Not what an undoing published. */
  #publishedBehind(newest: number): Publication[] {
    const published: Publication[] = [];
    let undoing = false;
    for (let after = newest; ;) {
      const page = this.#journal.page(after, pageSize);
      if (page.length === 0) return published;
      for (const entry of page) {
        after = entry.seq;
        if (entry.kind === "undo.started" || entry.kind === "run.failed") undoing = entry.kind === "undo.started";
        const isPublished = entry.kind === "log.written" || entry.kind === "progress.published";
        if (isPublished && !undoing) published.push(entry);
      }
    }
  }

  /** Drops the outcomes that a retry set free, and those of the undoing before it: they are not replayed. */
  #forget(cleared: readonly string[]): void {
    const named = cleared.flatMap((step) => [callKey("run", step), callKey("child", step)]);
    const keys = new Set(named.filter((key) => !this.state.calls.has(key)));
    this.#recorded = this.#recorded.filter(({ key, settle }) => {
      return !keys.has(key) && settle.kind !== "undo" && !key.startsWith(callKey("undo", ""));
    });
  }
}

function heldSeq({ paused, queued, interruptions }: RunState): number {
  const inLine = [...queued.values()].flatMap(({ step, seq }) => (step === null ? [seq] : []));
  // What is at work has its slot, and stands in line for it only after its death.
  if (inLine.length > 0 && interruptions === 0) return 0;
  return Math.min(paused?.seq ?? Infinity, ...inLine);
}
