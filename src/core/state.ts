/**
 * What the journal says about a run so far, in a form to ask: the engine, the directory and the
 * views read it, and only `fold` (core/fold.ts) writes it.
 */
import type { CallKind, EntryOf, Fact } from "./entry.ts";
import type { StoredError } from "./error.ts";
import type { Stored } from "./value.ts";

/** One call of `step`, as far as it is on record. */
export type Call = {
  readonly id: string;
  readonly kind: CallKind;
  readonly name: string;
  /** When it was first on record. */
  readonly since: number;
  /** Its recorded outcome has been appended. */
  done: boolean;
  /** Attempts that failed. */
  attempts: number;
  /** When the next attempt begins; null when none is waited for. */
  retryAt: number | null;
  /** When that was fixed. */
  retryFrom: number;
  lastError: StoredError | null;
  /** Deaths of the process, in a row, that are held against this step. */
  crashes: number;
  /** All deaths in a row, those by deploys included. */
  interruptions: number;
  /** When a sleep ends, or a wait gives up; null for never. */
  until: number | null;
  url: string | null;
  /** A webhook that has had its first accepted call, in contrast to one that timed out. */
  received: boolean;
};

/** What a call's promise settles with. `key` is {@link callKey}; `seq` is the entry it comes from. */
export type Outcome = {
  readonly key: string;
  readonly seq: number;
  readonly at: number;
  readonly settle:
    | { readonly kind: "value"; readonly value: Stored }
    | { readonly kind: "error"; readonly error: StoredError }
    | { readonly kind: "elapsed" }
    | { readonly kind: "timed_out" };
};

export type BufferedSignal = { readonly seq: number; readonly at: number; readonly payload: Stored };

/** Signals of one name that nobody consumed yet, oldest first, from `head` on. */
export type Inbox = { readonly items: BufferedSignal[]; head: number };

export type RunState = {
  created: EntryOf<"run.created"> | null;
  seq: number;
  /** The newest entry's instant. */
  at: number;
  startedAt: number | null;
  end: EntryOf<"run.completed"> | EntryOf<"run.failed"> | EntryOf<"run.cancelled"> | null;
  paused: EntryOf<"run.paused"> | null;
  calls: Map<string, Call>;
  inboxes: Map<string, Inbox>;
  /** `Idempotency-Key`s of signals. */
  signalKeys: Map<string, { readonly name: string; readonly payload: Stored }>;
  /** `Idempotency-Key`s of control actions. */
  actionKeys: Map<string, { readonly kind: string; readonly reason: string | null }>;
  /** Steps that a retry of the run set free, and that have no outcome yet. */
  cleared: Set<string>;
  /** The `seq` of the newest `run.retried`. */
  retriedSeq: number;
  /** Log lines and progress values since the newest outcome, as {@link spoken} writes them. */
  said: string[];
  progress: Stored | null;
  steps: { completed: number; failed: number };
  /** Calls marked as added or removed, so that each is marked once. */
  marked: Set<string>;
  /** The deployment that last left its name. */
  deployment: string | null;
  /** Deaths in a row, without any progress between them, that are held against the run. */
  deaths: number;
  /** All deaths in a row, those by deploys included. */
  lives: number;
  /** What the run's own timeout counts from. */
  timedFrom: number;
};

export function emptyState(): RunState {
  return {
    created: null,
    seq: 0,
    at: 0,
    startedAt: null,
    end: null,
    paused: null,
    calls: new Map(),
    inboxes: new Map(),
    signalKeys: new Map(),
    actionKeys: new Map(),
    cleared: new Set(),
    retriedSeq: 0,
    said: [],
    progress: null,
    steps: { completed: 0, failed: 0 },
    marked: new Set(),
    deployment: null,
    deaths: 0,
    lives: 0,
    timedFrom: 0,
  };
}

/** Names and occurrences are counted per kind, so the kind is part of a call's key. */
export function callKey(kind: CallKind | "received", id: string): string {
  return `${kind}:${id}`;
}

/** The call's record, made where there is none. */
export function recordOf(state: RunState, kind: CallKind, id: string, name: string, at: number): Call {
  const key = callKey(kind, id);
  // Whatever is recorded of a call shows that the code makes it again.
  if (state.marked.size > 0) state.marked.delete(`step.removed:${key}`);
  const known = state.calls.get(key);
  if (known !== undefined) return known;
  const call: Call = {
    id,
    kind,
    name,
    since: at,
    done: false,
    attempts: 0,
    retryAt: null,
    retryFrom: at,
    lastError: null,
    crashes: 0,
    interruptions: 0,
    until: null,
    url: null,
    received: false,
  };
  state.calls.set(key, call);
  return call;
}

export function inboxOf(state: RunState, name: string): Inbox {
  const known = state.inboxes.get(name);
  if (known !== undefined) return known;
  const inbox: Inbox = { items: [], head: 0 };
  state.inboxes.set(name, inbox);
  return inbox;
}

/** The oldest signal of that name that nobody consumed. */
export function firstSignal(state: RunState, name: string): BufferedSignal | undefined {
  const inbox = state.inboxes.get(name);
  return inbox?.items[inbox.head];
}

/** Takes the oldest signal out. */
export function takeSignal(inbox: Inbox): BufferedSignal {
  const item = inbox.items[inbox.head];
  if (item === undefined) throw new Error("the journal consumes a signal that was never received");
  inbox.head++;
  // Moves the array only once in a while, so that thousands of buffered signals stay linear.
  if (inbox.head > 1024) {
    inbox.items.splice(0, inbox.head);
    inbox.head = 0;
  }
  return item;
}

/** A log line or a progress value as text to compare. */
export function spoken(fact: Extract<Fact, { kind: "log.written" | "progress.published" }>): string {
  if (fact.kind === "progress.published") return `progress ${fact.value}`;
  return `${fact.level} ${JSON.stringify(fact.message)} ${fact.data ?? ""}`;
}
