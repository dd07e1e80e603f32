/**
 * Which part of a history a fork copies, and which calls it makes again. It copies the calls that had ended before the first
 * entry about the step that it is forked from. Calls that were open there, were cleared by a retry, or were undone, are made
 * again.
 */
import type { CallKind, Entry, Fact } from "../history/entry.ts";
import { HoldfastError } from "../error.ts";
import type { ChildRun } from "../run/origin.ts";
import { callKey } from "../state/state.ts";
import { subjectOf } from "../history/subject.ts";

/** A step whose result was given with the request, and is recorded though it is not in the copied history. */
export type GivenStep = {
  readonly step: string;
  /** Of an `invoke`: the child whose output it replaces; null for a step. */
  readonly child: ChildRun | null;
  readonly sensitive: boolean;
};

export type ForkPlan = {
  /** The `seq` of each entry that is copied, in order. */
  readonly copied: readonly number[];
  readonly given: readonly GivenStep[];
  /** Ids of the calls that are not made again, in the order in which they ended; given ones last. */
  readonly kept: readonly string[];
  /** Ids of the calls of the history that are made again, in the order of their first entries. */
  readonly rerun: readonly string[];
};

export type ForkCut = {
  /** The id of the call to fork from; null: from the start. */
  readonly from: string | null;
  /** The kind of that call, where calls of several kinds have its id; without it, the first of them. */
  readonly kind?: CallKind;
  /** Ids of the steps whose results are given. */
  readonly given: readonly string[];
};

/** A call in the history, with what a fork has to know of it. */
type Known = {
  readonly id: string;
  readonly kind: CallKind;
  /** The `seq` of the entries that belong to it while it is open. */
  readonly open: number[];
  /** The `seq` of the entry that ended it before the cut; null for none. */
  endedBy: number | null;
  /** It ended because it lost a race. */
  withdrawn: boolean;
  /** It ended with an error. */
  failed: boolean;
  child: ChildRun | null;
  detached: boolean;
  sensitive: boolean;
  /** Its result was left out when the run was exported. */
  omitted: boolean;
};

/** Kinds of entries that are copied where they belong to no call: they reach the handler, or are its own publications. */
const loose: ReadonlySet<Fact["kind"]> = new Set([
  "signal.received",
  "signal.consumed",
  "listener.added",
  "update.accepted",
  "update.completed",
  "update.failed",
  "patch.adopted",
  "log.written",
  "progress.published",
]);

/**
 * Reads the whole history once and keeps none of its values.
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

/** One pass over a history: its calls, and the entries that belong to each. */
class History {
  readonly calls = new Map<string, Known>();
  /** The `seq` of entries that belong to no call, and are copied. */
  readonly loose: number[] = [];
  readonly #from: string | null;
  readonly #kind: CallKind | undefined;
  /** Entries from here on are not copied. */
  #cut: boolean;

  constructor(from: string | null, kind?: CallKind) {
    this.#from = from;
    this.#kind = kind;
    this.#cut = from === null;
  }

  add(entry: Entry): void {
    if (entry.kind === "wait.withdrawn") return this.#withdraw(entry.seq, entry.calls);
    // A call that a retry cleared, or that was undone, is made again, also before the cut. A step and a child may share an id.
    if (entry.kind === "run.retried") this.#free(this.#callsOf(entry.cleared).filter(({ failed }) => failed));
    else if (entry.kind === "undo.completed") this.#free(this.#callsOf([entry.step], ["run"]));
    // What a handler does after this is cleaning up.
    else if (entry.kind === "run.cancel_requested") this.#cut = true;
    const call = this.#callOf(entry);
    if (call === null) {
      if (loose.has(entry.kind) && !this.#cut) this.loose.push(entry.seq);
      return;
    }
    if (this.#isFrom(call.kind, call.id)) this.#cut = true;
    this.#note(call, entry);
  }

  #isFrom(kind: CallKind, id: string): boolean {
    return id === this.#from && (this.#kind === undefined || kind === this.#kind);
  }

  #note(call: Known, entry: Entry): void {
    if ("sensitive" in entry) call.sensitive = true;
    if (entry.kind === "step.completed" && !this.#cut) call.omitted = entry.omitted === true;
    if (entry.kind === "child.started") {
      call.child = entry.child;
      call.detached = entry.detached === true;
    }
    if (this.#cut) return;
    if (entry.kind === "step.added" && call.withdrawn) {
      call.endedBy = null;
      call.withdrawn = false;
    } else if (endsCall(entry)) {
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

  /** These calls are made again, and races that they may have decided are open again, as in a run that is retried. */
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

/** The call is made again. */
function forget(call: Known): void {
  call.open.length = 0;
  call.endedBy = null;
  call.withdrawn = false;
  call.failed = false;
}

/** Kinds of entries that open a call. They are copied for calls that stay withdrawn, and for webhooks, for their address. */
const opens: ReadonlySet<Fact["kind"]> = new Set([
  "step.attempt_failed",
  "timer.set",
  "wait.started",
  "webhook.created",
  "child.started",
]);

function endsCall(entry: Entry): boolean {
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

/** The `seq` of the entries that are copied of an ended call: its end, and its beginning where that matters. */
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
