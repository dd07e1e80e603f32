/** The state of a run as its journal gives it: engine, directory and views read it, only `fold` (fold.ts) writes it. */
import { emptyMap, emptySet } from "../empty.ts";
import type { EndEntry } from "../history/end.ts";
import type { CallKind, EntryOf, FactOf } from "../history/entry.ts";
import type { StoredError } from "../error.ts";
import type { Inbox } from "./inbox.ts";
import type { Dispatch } from "../courier/order.ts";
import { copiedUpTo } from "../run/origin.ts";
import type { ChildPolicy, ChildRun, UpdateEnd } from "../run/origin.ts";
import type { Tallies } from "./tally.ts";
import { noUsage } from "../run/usage.ts";
import type { Stored } from "../value/value.ts";

/** The recorded state of one call of `step`. Fields that most calls never set stay on the prototype, which saves memory. */
export class Call {
  /** {@link callKey} of it. */
  readonly key: string;
  readonly id: string;
  readonly kind: CallKind;
  readonly name: string;
  /** When it was first on record. */
  readonly since: number;
  /** It has ended, or was withdrawn. */
  done = false;
  /** It ended with an error. */
  declare failed: boolean;
  /** Its branch lost a race. */
  declare withdrawn: boolean;
  /** If it failed, can be undone or was withdrawn, the `seq` of the entry that ended it; else 0. */
  declare endedSeq: number;
  /** Attempts that failed. */
  declare attempts: number;
  /** How many of them were before the newest retry by a person, and do not count for the limit. */
  declare forgiven: number;
  /** The limit of attempts, including the forgiven ones; null where it is not recorded. */
  declare limit: number | null;
  /** No attempt is left, and the run is paused for a person to decide. */
  declare exhausted: boolean;
  /** The number of the attempt whose beginning was recorded; 0 for none. */
  declare begunAttempt: number;
  /** The `seq` of the newest entry by which an attempt begins, or was cut off; 0 for none. */
  declare markedSeq: number;
  /** The request that a courier makes as the attempt of this step; `until` is then when it times out. */
  declare order: Dispatch | null;
  /** When the next attempt begins; null when none is waited for. */
  declare retryAt: number | null;
  /** When `retryAt` was set. */
  declare retryFrom: number;
  declare lastError: StoredError | null;
  /** Consecutive deaths of the process during the step, without those during a deployment. */
  declare crashes: number;
  /** The same, including those. */
  declare interruptions: number;
  /** When a sleep ends, a wait gives up or a request is over; null for never. */
  declare until: number | null;
  /** Of a webhook: the address that the handler was given. */
  declare url: string | null;
  /** Of a webhook: the address that is valid now; another than `url` once that was revoked. */
  declare address: string | null;
  /** How often its address was revoked. */
  declare generation: number;
  /** Of a webhook: how many refused calls are recorded. */
  declare rejections: number;
  /** Of a webhook: a call was accepted. */
  declare received: boolean;
  /** The child of an `invoke` or a `start`. */
  declare child: ChildRun | null;
  declare policy: ChildPolicy;
  /** The call was a `start`: it does not wait for the child. */
  declare detached: boolean;

  constructor(key: string, id: string, kind: CallKind, name: string, since: number) {
    this.key = key;
    this.id = id;
    this.kind = kind;
    this.name = name;
    this.since = since;
  }
}

const untouched: Omit<Call, "key" | "id" | "kind" | "name" | "since" | "done"> = {
  failed: false,
  withdrawn: false,
  endedSeq: 0,
  attempts: 0,
  forgiven: 0,
  limit: null,
  exhausted: false,
  begunAttempt: 0,
  markedSeq: 0,
  order: null,
  retryAt: null,
  retryFrom: 0,
  lastError: null,
  crashes: 0,
  interruptions: 0,
  until: null,
  url: null,
  address: null,
  generation: 0,
  rejections: 0,
  received: false,
  child: null,
  policy: "abandon",
  detached: false,
};
Object.assign(Call.prototype, untouched);

/** The recorded state of an update. */
export type Update = {
  readonly id: string;
  readonly name: string;
  /** The argument as it was sent. */
  readonly sent: Stored;
  end: UpdateEnd | null;
};

/** Something delivered to the handler: mostly the settlement of the call `key`. `seq` is the entry that it comes from. */
export type Outcome = {
  readonly key: string;
  readonly seq: number;
  readonly at: number;
  readonly settle:
    | { readonly kind: "value"; readonly value: Stored }
    | { readonly kind: "error"; readonly error: StoredError }
    /** The payload of a signal, still to be validated by the wait's schema, if there is one. */
    | { readonly kind: "payload"; readonly payload: Stored }
    | { readonly kind: "elapsed" }
    | { readonly kind: "timed_out" }
    /** A child was started by `start`. */
    | { readonly kind: "child"; readonly child: ChildRun }
    /** Rejects every open call, an `awaited` one once it has completed; not if the handler was not `told` so. */
    | {
        readonly kind: "cancelled";
        readonly error: StoredError;
        readonly awaited: readonly string[];
        readonly told: boolean;
      }
    /** The handler is not run any further; these steps are undone. */
    | { readonly kind: "undo"; readonly steps: readonly string[] }
    /** For the function of an update, or a listener to signals: may be delivered any number of times. */
    | { readonly kind: "update"; readonly update: string; readonly argument: Stored }
    | { readonly kind: "signal"; readonly payload: Stored };
};

/** A child that a call gave up, and since when, epoch ms. */
export type Orphan = { readonly child: ChildRun; readonly policy: ChildPolicy; readonly since: number };

export class RunState {
  created: EntryOf<"run.created"> | null = null;
  /** When the delay of its start was fixed: at its creation, or by its newest debounced start. */
  delayedAt = 0;
  /** The input as the first start sent it; a debounce may have replaced it in `created`. */
  sent: Stored | null = null;
  seq = 0;
  /** The newest entry's instant. */
  at = 0;
  startedAt: number | null = null;
  end: EndEntry | null = null;
  paused: EntryOf<"run.paused"> | null = null;
  cancelling: EntryOf<"run.cancel_requested"> | null = null;
  /** A cancellation was recorded that could not change how the run ends. */
  cancelNoted = false;
  /** Set while the run is being undone, with the end that follows. */
  ending: EntryOf<"undo.started"> | null = null;
  /** Completed steps that can be undone, in the order in which they completed. */
  undoable: Set<string> = emptySet;
  undone: string[] = [];
  notUndone: { readonly step: string; readonly error: StoredError }[] = [];
  /** Children that a call gave up, by id: they have to be stopped, unless another call still waits for them. */
  orphans: Map<string, Orphan> = emptyMap;
  /** Children of calls that a retry of this run makes again, by step: one that was `stopped` cannot go on, another is started. */
  formerChildren: Map<string, { readonly child: ChildRun; readonly stopped: boolean }> = emptyMap;
  /** Names of signals that `onSignal` consumes. */
  listeners: Set<string> = emptySet;
  updates: Map<string, Update> = emptyMap;
  /** `Idempotency-Key`s of updates; the value is the update's id. */
  updateKeys: Map<string, string> = emptyMap;
  patches: Set<string> = emptySet;
  /** Lanes that the run or its steps wait for, by lane and step. */
  queued: Map<string, EntryOf<"lane.queued">> = emptyMap;
  readonly calls = new Map<string, Call>();
  /** The calls that are not done, in the order in which they were recorded. */
  readonly open = new Set<Call>();
  inboxes: Map<string, Inbox> = emptyMap;
  /** Labels of waits that are longer than a new one may be: older code recorded them. */
  longLabels: Set<string> = emptySet;
  /** Idempotency keys of starts that a debounce merged into this run. */
  debounceKeys: Set<string> = emptySet;
  /** Others than its parent were answered with this run, by a debounce: it goes on though the parent gives it up. */
  shared = false;
  /** `Idempotency-Key`s of signals. */
  signalKeys: Map<string, { readonly name: string; readonly payload: Stored }> = emptyMap;
  /** `Idempotency-Key`s of control actions. */
  actionKeys: Map<string, { readonly kind: string; readonly reason: string | null; readonly url?: string }> = emptyMap;
  /** Steps that a retry cleared, and that have not ended since. */
  cleared: Set<string> = emptySet;
  /** How often each step was undone and then cleared by a retry, to be made again. */
  renewed: Map<string, number> = emptyMap;
  /** Calls that were open at the newest retry that reopened the run: they may not be made again. */
  openAtRetry: ReadonlySet<Call> = emptySet;
  /** Log lines and progress values since the newest outcome. */
  published: Publication[] = [];
  progress: Stored | null = null;
  /** The counts of its steps, by name, over all its incarnations. */
  tallies: Tallies = new Map();
  steps: { completed: number; failed: number } = { completed: 0, failed: 0 };
  /** Calls that are marked as added or removed, so that each is marked once. */
  marked: Set<string> = emptySet;
  /** The newest recorded deployment. */
  deployment: string | null = null;
  /** The deployment under which its handler began; null before that, and after a death under another deployment. */
  startedUnder: string | null = null;
  /** Consecutive deaths of the process without progress between them, without those during a deployment. */
  crashes = 0;
  /** The same, including those. */
  interruptions = 0;
  /** The `seq` of the newest `run.recovered`; 0 before. */
  recoveredSeq = 0;
  /** When the run's own timeout begins to count. */
  timedFrom = 0;
  /** When it was last retried, or a pause of it ended; 0 for never. */
  resumedAt = 0;
  /** The `seq` of the newest `run.retried` that reopened the run after an end; 0 before. */
  episode = 0;
  /** The newest recorded usage. */
  used = noUsage;
  /** Addresses for which no notice of an end was started yet, by the `seq` of that end. */
  pendingNotices: Map<number, Set<string>> = emptyMap;
  /** The runs that deliver notices of its ends, oldest first. */
  notices: string[] = [];
  /** Set for an imported run: entries before this one are from another deployment. */
  imported: EntryOf<"run.imported"> | null = null;
  /** Steps whose result was left out of the import. */
  omitted: Set<string> = emptySet;

  /** As `episode`, or else the `seq` of the newest copied entry: calls up to there may not be made again, in the same code. */
  get retriedSeq(): number {
    return this.episode > 0 || this.created === null ? this.episode : copiedUpTo(this.created);
  }

  /** As `created`, of a run that was made. */
  get creation(): EntryOf<"run.created"> {
    if (this.created === null) throw new Error("the run was never created");
    return this.created;
  }
}

/** The key of a call. It includes the kind, because occurrences are counted for each kind. */
export function callKey(kind: CallKind | "received", id: string): string {
  return `${kind}:${id}`;
}

/** Whether the journal says that the code no longer makes this call. @param key {@link callKey} of it */
export function wasRemoved({ marked }: Pick<RunState, "marked">, key: string): boolean {
  return marked.has(`step.removed:${key}`);
}

/** The same: that the code added it. */
export function wasAdded({ marked }: Pick<RunState, "marked">, key: string): boolean {
  return marked.has(`step.added:${key}`);
}

/** Keys of outcomes that settle no call. */
export const cancelKey = "cancel";
export const undoKey = "undo";

/** The key of outcomes for the function of an update, or a listener, of this name. */
export function handlerKey(kind: "update" | "listener", name: string): string {
  return `${kind} ${name}`;
}

/** The state of a call, created if there is none. */
export function recordOf(state: RunState, kind: CallKind, id: string, name: string, at: number): Call {
  const call = endedOf(state, kind, id, name, at);
  if (!call.done) state.open.add(call);
  return call;
}

/** The same for a call that ends with this entry: a new one is not added to the open calls. */
export function endedOf(state: RunState, kind: CallKind, id: string, name: string, at: number): Call {
  const key = callKey(kind, id);
  // A new entry of the call shows that the code makes it after all.
  if (state.marked.size > 0) state.marked.delete(`step.removed:${key}`);
  const known = state.calls.get(key);
  if (known !== undefined) return known;
  const call = new Call(key, id, kind, name, at);
  state.calls.set(key, call);
  return call;
}

/** The open calls that may still settle; in a run that is being undone, only undos. */
export function openCalls({ open, ending }: RunState): Call[] {
  return [...open].filter((call) => ending === null || call.kind === "undo");
}

/** A log line or a progress value. */
export type Publication = FactOf<"log.written" | "progress.published">;
