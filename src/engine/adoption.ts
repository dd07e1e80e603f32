/**
 * Owns: what new code changes for an old run: finding out, and putting on record, which calls it added, which it no longer
 * makes, and which name has become another kind of call (guarantee 7).
 * Does not own: replaying them (replay).
 */
import { emptyMap, emptySet } from "../core/empty.ts";
import type { CallKind, Fact } from "../core/history/entry.ts";
import { HoldfastError } from "../core/error.ts";
import type { Call, RunState } from "../core/state/state.ts";
import { callKey, wasAdded, wasRemoved } from "../core/state/state.ts";
import { canBeUndone, recordKey, recordKind, recordedCall } from "./call/call.ts";
import type { Pending } from "./call/call.ts";
import type { Calls } from "./call/calls.ts";
import type { Course } from "./turn/course.ts";

export class Adoption {
  readonly #course: Course;
  readonly #calls: Calls;
  readonly #state: RunState;
  /** By name, the calls on record that this code had not made when the replay was over, without those that a retry may explain. */
  #unmadeByName: ReadonlyMap<string, Call> = emptyMap;
  /** The open calls on record that this code has not made: it may still make them, or else it has removed them. */
  #openUnmade: readonly Call[] = [];
  /** Keys of calls the code added: once they settle, calls that seem removed may still be made. */
  #added: ReadonlySet<string> = emptySet;

  constructor(course: Course, calls: Calls) {
    this.#course = course;
    this.#calls = calls;
    this.#state = course.state;
  }

  /** The keys of the open calls on record, which this code has to make again. */
  awaited(): string[] {
    return [...this.#state.open].filter(({ key }) => !wasRemoved(this.#state, key)).map(pendingKey);
  }

  /**
   * Compares the calls that the code made with the record, once the replay is over, and puts the differences on record.
   * Returns the keys of calls that the code added, so that they were not at work; null where the run cannot go on with this
   * code, and is paused.
   */
  reconcile(): ReadonlySet<string> | null {
    const unmade = this.#unmade();
    this.#unmadeByName = new Map(unmade.filter((call) => !this.#wasOpenAtRetry(call)).map((call) => [call.name, call]));
    this.#openUnmade = unmade.filter((call) => !call.done);
    // A cancelled run begins none of its waits, whatever kind they are now.
    for (const pending of this.#state.cancelling === null ? this.#calls.pending.values() : []) {
      const changed = this.changedKind(pending);
      if (changed === null) continue;
      this.#course.halt(changed);
      return null;
    }
    return this.#mark();
  }

  /**
   * Why the run cannot go on with this call: its name is on record as another kind. Only names whose recorded call the code
   * has not made are suspected, so that a name which one code uses for two kinds is no change.
   */
  changedKind({ name, key, plan }: Pending): HoldfastError | null {
    const before = this.#unmadeByName.get(name);
    const now = recordKind(plan);
    // An undoing has the name of its step, whether or not the code still has that step.
    if (before === undefined || before.kind === now || now === "undo") return null;
    // A call that a retry set free was of this kind before.
    if (this.#state.calls.has(key) || this.#state.cleared.has(key) || !this.#isUnmade(before)) return null;
    const message = `${name} is a ${words[before.kind]} in this run's journal and a ${words[now]} in the code`;
    return new HoldfastError("step_kind_changed", message);
  }

  /** Puts on record which calls were added and removed, as far as that is certain now; returns as {@link reconcile}. */
  #mark(): ReadonlySet<string> {
    // A call that is not on record was added, or was made just before the process died. It was added
    // if the record went on without it, or has open calls that the code does not make.
    const goesOn = this.#isRecordAhead;
    const added = [...this.#calls.pending.values()].filter((pending) => {
      const { key } = pending;
      if (this.#isOutOfRace(pending)) return true;
      if (this.#state.calls.has(key) || this.#state.cleared.has(key)) return false;
      return this.#unmadeByName.size > 0 && (goesOn || this.#course.replay.blocking.has(key));
    });
    this.#added = new Set(added.map(({ key }) => key));
    const fresh = added.filter((pending) => !wasAdded(this.#state, recordKey(pending)));
    const facts = [...fresh.map(addition), ...this.#removals(false)];
    if (facts.length > 0) this.#course.ledger.append(...facts);
    // One that can be undone may have been at work all the same: how it ended must be known before the run ends.
    return new Set(fresh.filter((pending) => !canBeUndone(pending)).map(({ key }) => key));
  }

  /** The run rests: calls on record that the code has not made by now are removed. */
  rest(): void {
    const facts = this.#removals(true);
    if (facts.length > 0) this.#course.guard(() => this.#course.ledger.append(...facts));
  }

  /**
   * Marks a call as added that follows one which was added, or is on record as made no more, or as the loser of a race, which
   * it is not for this code.
   */
  noteAddition(pending: Pending): void {
    const { plan } = pending;
    if (plan.kind === "run" && this.#state.marked.size === 0) return;
    // Those that are no steps go on record anew by themselves, but for a webhook, which keeps its address.
    const isKept = plan.kind === "run" || plan.kind === "received";
    const isBack = isKept && wasRemoved(this.#state, recordKey(pending));
    if (isBack || this.#isOutOfRace(pending) || this.#isAddedToo(pending)) this.#course.record(addition(pending));
  }

  /**
   * A step that follows a call that the code added, and comes before an open one on record that the code has still to make.
   * A wait does not tell: the run may rest in it, and what it has not made by then is removed.
   */
  #isAddedToo({ key, plan }: Pending): boolean {
    if (plan.kind !== "run" || this.#added.size === 0) return false;
    if (this.#state.calls.has(key) || this.#state.cleared.has(key) || wasAdded(this.#state, key)) return false;
    return this.#isRecordAhead;
  }

  /** The record has open calls that the code has not made by now, though nothing says that it has removed them. */
  get #isRecordAhead(): boolean {
    const isAhead = (call: Call): boolean => !call.done && !this.#isMade(call) && !wasRemoved(this.#state, call.key);
    return !this.#isRetryUnderWay && this.#openUnmade.some((call) => isAhead(call) && !this.#wasOpenAtRetry(call));
  }

  /** It lost a race under other code, and is in no race of this code. What the handler leaves as it ends was given up by that. */
  #isOutOfRace(pending: Pending): boolean {
    return (
      !this.#calls.frozen && pending.scope.parent === null && recordedCall(this.#state, pending)?.withdrawn === true
    );
  }

  /** Marks for open calls that the code no longer makes. @param all also for those that were open at the newest retry */
  #removals(all: boolean): Fact[] {
    if (this.#openUnmade.length === 0 || this.#isRetryUnderWay) return [];
    if ([...this.#added].some((key) => this.#calls.pending.has(key))) return [];
    const stillUnmade = this.#stillUnmade();
    this.#openUnmade = stillUnmade.filter((call) => !all && this.#wasOpenAtRetry(call));
    return this.#marks(stillUnmade.filter((call) => all || !this.#wasOpenAtRetry(call)));
  }

  /** At the end of the run: marks for calls on record that were never made again. */
  leftovers(): readonly Fact[] {
    const done = this.#course.replay.unclaimed.size === 0 ? [] : this.#unmade().filter((call) => call.done);
    return this.#marks([...done, ...this.#stillUnmade().filter((call) => !this.#wasOpenAtRetry(call))]);
  }

  /** A call that a retry set free is open: once it settles, calls that seem removed may still be made. */
  get #isRetryUnderWay(): boolean {
    for (const key of this.#state.cleared) if (this.#calls.pending.has(key)) return true;
    return false;
  }

  /** Those that the code has not made by now either. */
  #stillUnmade(): Call[] {
    return this.#openUnmade.filter((call) => !call.done && !this.#isMade(call));
  }

  #marks(calls: readonly Call[]): Fact[] {
    const unmarked = calls.filter(({ key }) => !wasRemoved(this.#state, key));
    return unmarked.map((call) => removal(call, this.#wasOpenAtRetry(call)));
  }

  /** Calls on record that the code has not made in this life. */
  #unmade(): Call[] {
    const { calls, open, retriedSeq } = this.#state;
    const unmade = new Set<Call>();
    for (const outcome of this.#course.replay.unclaimed.values()) {
      // After a retry the handler may take another path, which does not show a change of the code.
      const call = outcome.seq > retriedSeq ? calls.get(outcome.key.replace(/^received:/, "webhook:")) : undefined;
      if (call !== undefined) unmade.add(call);
    }
    for (const call of open) if (!this.#isMade(call)) unmade.add(call);
    return [...unmade];
  }

  #isUnmade(call: Call): boolean {
    const { unclaimed } = this.#course.replay;
    if (unclaimed.has(call.key) || unclaimed.has(callKey("received", call.id))) return true;
    return !call.done && !this.#isMade(call);
  }

  /** After a retry the handler may take another path: that this call is not made then does not show a change of the code. */
  #wasOpenAtRetry(call: Call): boolean {
    return !call.done && this.#state.openAtRetry.has(call);
  }

  #isMade(call: Call): boolean {
    const { pending, left } = this.#calls;
    const key = pendingKey(call);
    // A webhook that was given up before the handler had its address is in `left` under its first key.
    return pending.has(key) || left.has(key) || left.has(call.key);
  }
}

const words: Readonly<Record<CallKind, string>> = {
  run: "step",
  sleep: "sleep",
  wait: "wait for a signal",
  webhook: "webhook",
  child: "child run",
  undo: "undoing of a step",
};

function removal({ id, kind }: Call, retried: boolean): Fact {
  return { kind: "step.removed", step: id, call: kind, ...(retried ? { retried } : {}) };
}

function addition({ id, plan }: Pending): Fact {
  return { kind: "step.added", step: id, call: recordKind(plan) };
}

/** Under which key the open part of the call is pending; a webhook's is its first call. */
function pendingKey(call: Call): string {
  return call.kind === "webhook" && call.url !== null ? callKey("received", call.id) : call.key;
}
