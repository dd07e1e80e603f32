/**
 * What a fork takes along of the history it comes from, and what it does again. It begins with the
 * calls that were over before the first entry about the step it goes its own way from; what was open
 * there, was cleared by a retry or was undone, it does again.
 */
import type { CallKind, Entry, Fact } from "./entry.ts";
import { HoldfastError } from "./error.ts";
import type { ChildRun } from "./origin.ts";
import { callKey } from "./state.ts";
import { subjectOf } from "./subject.ts";

/** A step whose outcome is not in the copied history, and is on record all the same: it was given. */
export type GivenStep = {
  readonly step: string;
  /** Of an `invoke`: the child whose output it stands for; null for a step. */
  readonly child: ChildRun | null;
  readonly sensitive: boolean;
};

export type ForkPlan = {
  /** The `seq` of each entry that is copied, in order. */
  readonly copied: readonly number[];
  readonly given: readonly GivenStep[];
  /** Ids of the calls that are not made again, in the order in which they ended; those given last. */
  readonly kept: readonly string[];
  /** Ids of the calls of the history that are made again, in the order of their first entries. */
  readonly rerun: readonly string[];
};

export type ForkCut = {
  /** The id of the call to go on from; null for none, from the start. */
  readonly from: string | null;
  /** The kind of that call, where calls of several kinds have its id; without it, the first of them. */
  readonly kind?: CallKind;
  /** Ids of the steps whose results are given. */
  readonly given: readonly string[];
};

/** A call of the handler, as far as a fork is concerned. */
type Known = {
  readonly id: string;
  readonly kind: CallKind;
  /** Entries that tell of it while it is open. */
  readonly open: number[];
  /** The entry that ended it before the cut; null while none did. */
  endedBy: number | null;
  /** It ended because a race was won by others. */
  withdrawn: boolean;
  /** It ended with an error. */
  failed: boolean;
  child: ChildRun | null;
  detached: boolean;
  sensitive: boolean;
  /** Its result stayed behind where the run was exported. */
  omitted: boolean;
};

/** Entries of no call that the handler hears of, or that say what it said. */
const always: ReadonlySet<Fact["kind"]> = new Set([
  "signal.received",
  "listener.added",
  "update.accepted",
  "update.completed",
  "update.failed",
  "patch.adopted",
  "log.written",
  "progress.published",
]);

/**
 * Reads the whole history once and holds none of its values.
 * @throws HoldfastError fork_invalid: `from` or a given step is not in the history, or cannot have a result
 */
export function planFork(entries: Iterable<Entry>, { from, kind, given }: ForkCut): ForkPlan {
  const history = new History(from, kind);
  for (const entry of entries) history.add(entry);
  const calls = [...history.calls.values()];
  if (from !== null && !calls.some(({ id }) => id === from)) {
    throw refusal(`step ${JSON.stringify(from)} is not in the history of the run`, calls);
  }
  const steps = [...new Set(given)].map((id) => stepOf(history, id));
  const over = calls.filter(({ endedBy }) => endedBy !== null).toSorted(byEnd);
  const missing = calls.filter((call) => steps.includes(call) && !hasOutcome(call));
  const lost = over.find((call) => call.omitted && !steps.includes(call));
  if (lost !== undefined) {
    const why = "stayed behind when the run was exported: give it one with results, or fork from there";
    throw new HoldfastError("fork_invalid", `the result of ${JSON.stringify(lost.id)} ${why}`);
  }
  return {
    copied: [...history.loose, ...over.flatMap(entriesOf)].toSorted((one, other) => one - other),
    given: missing.map(({ kind, id, child, sensitive }) => ({
      step: id,
      child: kind === "child" ? child : null,
      sensitive,
    })),
    kept: [...over, ...missing.filter(({ endedBy }) => endedBy === null)].map(({ id }) => id),
    rerun: calls.filter((call) => call.endedBy === null && !missing.includes(call)).map(({ id }) => id),
  };
}

/** One pass over a history: which calls it has, and which entries tell of them. */
class History {
  readonly calls = new Map<string, Known>();
  /** Entries of no call. */
  readonly loose: number[] = [];
  readonly #from: string | null;
  readonly #kind: CallKind | undefined;
  /** What comes from here on is not copied. */
  #cut: boolean;

  constructor(from: string | null, kind?: CallKind) {
    this.#from = from;
    this.#kind = kind;
    this.#cut = from === null;
  }

  add(entry: Entry): void {
    if (entry.kind === "wait.withdrawn") return this.#withdraw(entry.seq, entry.calls);
    // Superseded, wherever it was: a retry cleared it, or it was undone. A step and a child may share an id.
    if (entry.kind === "run.retried") this.#free(this.#callsOf(entry.cleared).filter(({ failed }) => failed));
    else if (entry.kind === "undo.completed") this.#free(this.#callsOf([entry.step], ["run"]));
    // What a handler does once it was told to clean up, it does for that reason alone.
    else if (entry.kind === "run.cancel_requested") this.#cut = true;
    const call = this.#callOf(entry);
    if (call === null) {
      const heard = entry.kind === "signal.consumed" || always.has(entry.kind);
      if (heard && !this.#cut) this.loose.push(entry.seq);
      return;
    }
    if (this.#isFrom(call.kind, call.id)) this.#cut = true;
    this.#note(call, entry);
  }

  #isFrom(kind: CallKind, id: string): boolean {
    return id === this.#from && (this.#kind === undefined || kind === this.#kind);
  }

  #note(call: Known, entry: Entry): void {
    if (entry.kind === "step.completed" && entry.sensitive === true) call.sensitive = true;
    if (entry.kind === "step.completed" && !this.#cut) call.omitted = entry.omitted === true;
    if (entry.kind === "child.started") {
      call.child = entry.child;
      call.detached = entry.detached === true;
    }
    if (this.#cut) return;
    if (isEnd(entry)) {
      call.endedBy = entry.seq;
      call.withdrawn = false;
      call.failed = entry.kind === "step.failed" || entry.kind === "child.failed";
    } else if (opens.has(entry.kind)) {
      call.open.push(entry.seq);
    }
  }

  #withdraw(seq: number, calls: readonly { readonly call: CallKind; readonly id: string }[]): void {
    if (calls.some(({ call, id }) => this.#isFrom(call, id))) this.#cut = true;
    if (this.#cut) return;
    this.loose.push(seq);
    for (const { call, id } of calls) {
      const known = this.calls.get(callKey(call, id));
      if (known === undefined || known.endedBy !== null) continue;
      known.endedBy = seq;
      known.withdrawn = true;
    }
  }

  /** They are made again, and races that they may have decided are open again, as they are in a run that is retried. */
  #free(freed: readonly Known[]): void {
    const decidedBy = freed.reduce((first, { endedBy }) => Math.min(first, endedBy ?? Infinity), Infinity);
    for (const call of this.calls.values()) if (call.withdrawn && (call.endedBy ?? 0) >= decidedBy) forget(call);
    freed.forEach(forget);
  }

  #callsOf(steps: readonly string[], kinds: readonly CallKind[] = ["run", "child"]): Known[] {
    const keys = steps.flatMap((id) => kinds.map((kind) => callKey(kind, id)));
    return keys.flatMap((key) => this.calls.get(key) ?? []);
  }

  #callOf(entry: Entry): Known | null {
    const about = subjectOf(entry);
    if (about === null) return null;
    const key = callKey(about.kind, about.id);
    const known = this.calls.get(key);
    if (known !== undefined) return known;
    const over = { endedBy: null, withdrawn: false, failed: false };
    const call: Known = { ...about, open: [], ...over, child: null, detached: false, sensitive: false, omitted: false };
    this.calls.set(key, call);
    return call;
  }
}

/** It is made again. */
function forget(call: Known): void {
  call.open.length = 0;
  call.endedBy = null;
  call.withdrawn = false;
  call.failed = false;
}

/** What a call that was withdrawn has on record, so that it stays withdrawn; and the address of a webhook. */
const opens: ReadonlySet<Fact["kind"]> = new Set([
  "step.attempt_failed",
  "timer.set",
  "wait.started",
  "webhook.created",
  "child.started",
]);

function isEnd(entry: Entry): boolean {
  switch (entry.kind) {
    case "step.completed":
    case "step.failed":
    case "timer.fired":
    case "wait.timed_out":
    case "signal.consumed":
    case "webhook.received":
    case "child.completed":
    case "child.failed":
      return true;
    case "child.started":
      return entry.detached === true;
    default:
      return false;
  }
}

/** The entries that are copied of a call that was over: its end; also how it began, where that matters. */
function entriesOf({ kind, open, endedBy, withdrawn }: Known): number[] {
  if (withdrawn) return open;
  return kind === "webhook" ? [...open, endedBy ?? 0] : [endedBy ?? 0];
}

function byEnd(one: Known, other: Known): number {
  return (one.endedBy ?? 0) - (other.endedBy ?? 0);
}

function hasOutcome({ endedBy, withdrawn }: Known): boolean {
  return endedBy !== null && !withdrawn;
}

/** @throws HoldfastError fork_invalid */
function stepOf({ calls }: History, id: string): Known {
  const found = calls.get(callKey("run", id)) ?? calls.get(callKey("child", id));
  const name = JSON.stringify(id);
  if (found === undefined) {
    const other = [...calls.values()].some((call) => call.id === id);
    const why = other ? "is no step and no child run, and" : "is not in the history of the run:";
    throw refusal(`${name} ${why} it cannot be given a result`, [...calls.values()].filter(isStep));
  }
  if (found.kind === "child" && (found.detached || found.child === null)) {
    const why = found.detached ? "is only started and waited for by nobody" : "never started its child run";
    throw new HoldfastError("fork_invalid", `${name} ${why}: it cannot be given a result`);
  }
  return found;
}

function isStep({ kind, detached }: Known): boolean {
  return kind === "run" || (kind === "child" && !detached);
}

const maxListed = 20;

function refusal(why: string, calls: readonly Known[]): HoldfastError {
  const ids = [...new Set(calls.map(({ id }) => id))];
  const more = ids.length > maxListed ? `, and ${ids.length - maxListed} more` : "";
  const there = ids.length === 0 ? "there are none" : `there are ${ids.slice(0, maxListed).join(", ")}${more}`;
  return new HoldfastError("fork_invalid", `${why}; ${there}`);
}
