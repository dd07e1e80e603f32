/**
 * What the journal says about a run so far, in a form to ask: the engine, the directory and the
 * views read it, and only `fold` (core/fold.ts) writes it.
 */
import type { EndEntry } from "./end.ts";
import type { CallKind, EntryOf, Fact } from "./entry.ts";
import type { StoredError } from "./error.ts";
import type { Inbox } from "./inbox.ts";
import type { Dispatch } from "./order.ts";
import type { ChildPolicy, ChildRun, UpdateEnd } from "./origin.ts";
import type { Tallies } from "./tally.ts";
import type { Usage } from "./usage.ts";
import { noUsage } from "./usage.ts";
import type { Stored } from "./value.ts";

/**
 * One call of `step`, as far as it is on record. Most calls of a long journal are merely over: the other fields stay on the
 * prototype until they are set, which saves memory.
 */
export class Call {
  /** {@link callKey} of it. */
  readonly key: string;
  readonly id: string;
  readonly kind: CallKind;
  readonly name: string;
  /** When it was first on record. */
  readonly since: number;
  /** Its recorded outcome has been appended, or it waits for nothing any more. */
  done = false;
  /** Its recorded outcome is an error. */
  declare failed: boolean;
  /** Its branch lost a race: nothing waits for it any more. */
  declare withdrawn: boolean;
  /** Of one that failed, can be undone or was withdrawn: the `seq` of the entry that ended it; 0 for others. */
  declare endedSeq: number;
  /** Attempts that failed. */
  declare attempts: number;
  /** Of these, the ones before the newest retry by a person: they do not count for the limit. */
  declare forgiven: number;
  /** How many attempts there may be in all, the forgiven ones included; null where that is not on record. */
  declare limit: number | null;
  /** No attempt is left, and a person decides. */
  declare exhausted: boolean;
  /** The attempt that was put on record as it began; 0 when none was. */
  declare begunAttempt: number;
  /** The request that a courier makes as the attempt of this step; `until` is then when it times out. */
  declare order: Dispatch | null;
  /** When the next attempt begins; null when none is waited for. */
  declare retryAt: number | null;
  /** When that was fixed. */
  declare retryFrom: number;
  declare lastError: StoredError | null;
  /** Deaths of the process, in a row, while the step was at work, without those that came with a deployment. */
  declare crashes: number;
  /** The same with those. */
  declare interruptions: number;
  /** When a sleep ends, a wait gives up or a request is over; null for never. */
  declare until: number | null;
  /** Of a webhook: the address that the handler was given. */
  declare url: string | null;
  /** Of a webhook: the address that is valid now; another than `url` once that was revoked. */
  declare address: string | null;
  /** How often its address was revoked. */
  declare generation: number;
  /** Its calls that were refused, as far as they are on record. */
  declare rejections: number;
  /** Of a webhook: it had its first accepted call, and did not time out. */
  declare received: boolean;
  /** The run that an `invoke` or a `start` made. */
  declare child: ChildRun | null;
  declare policy: ChildPolicy;
  /** Nobody waits for the child; what becomes of it at the end of this run, `policy` says. */
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

/** A validated request to the run, as far as it is on record. */
export type Update = {
  readonly id: string;
  readonly name: string;
  /** The argument as it was sent. */
  readonly sent: Stored;
  end: UpdateEnd | null;
};

/** What is delivered to the handler: mostly what the promise of a call settles with. `key` tells which; `seq` is the entry it comes from. */
export type Outcome = {
  readonly key: string;
  readonly seq: number;
  readonly at: number;
  readonly settle:
    | { readonly kind: "value"; readonly value: Stored }
    | { readonly kind: "error"; readonly error: StoredError }
    /** To a wait for a signal; its schema, if it has one, is still to validate it. */
    | { readonly kind: "payload"; readonly payload: Stored }
    | { readonly kind: "elapsed" }
    | { readonly kind: "timed_out" }
    /** A child that nobody waits for has been started. */
    | { readonly kind: "child"; readonly child: ChildRun }
    /** To every open call but the `awaited` ones. */
    | { readonly kind: "cancelled"; readonly error: StoredError; readonly awaited: readonly string[] }
    /** The handler is over; these steps are undone. */
    | { readonly kind: "undo"; readonly steps: readonly string[] }
    /** To the function of an update, or a listener to signals; any number of times. */
    | { readonly kind: "update"; readonly update: string; readonly argument: Stored }
    | { readonly kind: "signal"; readonly payload: Stored };
};

export class RunState {
  created: EntryOf<"run.created"> | null = null;
  /** The input that the first start sent; a debounce may have replaced it since. */
  sent: Stored | null = null;
  seq = 0;
  /** The newest entry's instant. */
  at = 0;
  startedAt: number | null = null;
  end: EndEntry | null = null;
  paused: EntryOf<"run.paused"> | null = null;
  cancelling: EntryOf<"run.cancel_requested"> | null = null;
  /** A cancellation came that could not change how the run ends, and is on record. */
  cancelNoted = false;
  /** The run is being undone and will end like this. */
  ending: EntryOf<"undo.started"> | null = null;
  /** Completed steps that can be undone, in the order in which they completed. */
  readonly undoable = new Set<string>();
  undone: string[] = [];
  notUndone: { readonly step: string; readonly error: StoredError }[] = [];
  /** Children to be stopped because nobody waits for them any more, by id. */
  readonly orphans = new Map<string, { readonly child: ChildRun; readonly policy: ChildPolicy }>();
  /** Children whose failure a retry of this run set free, by step. */
  readonly formerChildren = new Map<string, ChildRun>();
  /** Steps whose child was stopped, and which a retry has start another: the id of the first is taken. */
  readonly restarted = new Set<string>();
  /** Names that `onSignal` takes. */
  readonly listeners = new Set<string>();
  readonly updates = new Map<string, Update>();
  /** `Idempotency-Key`s of updates; the value is the update's id. */
  readonly updateKeys = new Map<string, string>();
  readonly patches = new Set<string>();
  /** Limits that hold the run or its steps, by lane and step. */
  readonly queued = new Map<string, EntryOf<"lane.queued">>();
  readonly calls = new Map<string, Call>();
  /** The calls that are not done, in the order in which they went on record. */
  readonly open = new Set<Call>();
  readonly inboxes = new Map<string, Inbox>();
  /** What tells repeated starts that were merged into this one by a debounce. */
  readonly debounceKeys = new Set<string>();
  /** `Idempotency-Key`s of signals. */
  readonly signalKeys = new Map<string, { readonly name: string; readonly payload: Stored }>();
  /** `Idempotency-Key`s of control actions. */
  readonly actionKeys = new Map<
    string,
    { readonly kind: string; readonly reason: string | null; readonly url?: string }
  >();
  /** Steps that a retry of the run set free, and that have no outcome yet. */
  readonly cleared = new Set<string>();
  /** Steps that were undone and that a retry set free to be done again, and how often. */
  readonly renewed = new Map<string, number>();
  /**
   * As `episode`; of a fork that was not retried yet, the `seq` of the newest entry it copied. Entries up to there tell of no
   * new code: the handler may have gone another way since.
   */
  retriedSeq = 0;
  /** Calls that were open then: the handler may have gone another way since, and not make them again. */
  openAtRetry: ReadonlySet<Call> = new Set();
  /** Log lines and progress values since the newest outcome, as {@link publicationOf} writes them. */
  published: string[] = [];
  progress: Stored | null = null;
  /** How its steps went, by name, over all its lives. */
  tallies: Tallies = new Map();
  steps: { completed: number; failed: number } = { completed: 0, failed: 0 };
  /** Calls marked as added or removed, so that each is marked once. */
  readonly marked = new Set<string>();
  /** The newest deployment on record. */
  deployment: string | null = null;
  /** The deployment under which its handler began; null before, and once it was cut off under another. */
  startedUnder: string | null = null;
  /** Deaths of the process in a row, without progress between them, but for those that came with a deployment. */
  crashes = 0;
  /** The same with those. */
  interruptions = 0;
  /** The `seq` of the newest `run.recovered`; 0 before. */
  recoveredSeq = 0;
  /** What the run's own timeout counts from. */
  timedFrom = 0;
  /** The `seq` of the newest `run.retried` that had an ended run go on; 0 before. */
  episode = 0;
  /** The newest on record. */
  used: Usage = noUsage;
  /** Subscribers that nobody has begun to tell of an end, by the `seq` of that end. */
  readonly untold = new Map<number, Set<string>>();
  /** The runs that tell its ends, oldest first. */
  notices: string[] = [];
  /** What is before it came from another deployment. */
  imported: EntryOf<"run.imported"> | null = null;
  /** Steps whose result stayed behind there. */
  readonly omitted = new Set<string>();
}

/** Names and occurrences are counted per kind, so the kind is part of a call's key. */
export function callKey(kind: CallKind | "received", id: string): string {
  return `${kind}:${id}`;
}

/** Keys of outcomes that settle no call. */
export const cancelKey = "cancel";
export const undoKey = "undo";

/** The key of outcomes for the function of an update, or a listener, of this name. */
export function handlerKey(kind: "update" | "listener", name: string): string {
  return `${kind} ${name}`;
}

/** The kind under which a revocation of this webhook's address is known by its key. */
export function revocationOf(id: string): string {
  return `revoke the address of webhook ${id}`;
}

/** The record of a call, made where there is none. */
export function recordOf(state: RunState, kind: CallKind, id: string, name: string, at: number): Call {
  const call = endedOf(state, kind, id, name, at);
  if (!call.done) state.open.add(call);
  return call;
}

/** The same, of a call that ends with this entry: one that was not on record before is not put among the open ones. */
export function endedOf(state: RunState, kind: CallKind, id: string, name: string, at: number): Call {
  const key = callKey(kind, id);
  // Whatever is recorded of a call shows that the code makes it again.
  if (state.marked.size > 0) state.marked.delete(`step.removed:${key}`);
  const known = state.calls.get(key);
  if (known !== undefined) return known;
  const call = new Call(key, id, kind, name, at);
  state.calls.set(key, call);
  return call;
}

/** The open calls that may still settle: of a run that is being undone, only those that undo. */
export function openCalls({ open, ending }: RunState): Call[] {
  return [...open].filter((call) => ending === null || call.kind === "undo");
}

/** A step whose attempt a courier makes. */
export type CallOut = Call & { readonly order: Dispatch };

export function callsOut({ open }: Pick<RunState, "open">): CallOut[] {
  return [...open].filter((call): call is CallOut => call.order !== null);
}

/** A log line or a progress value as text to compare. */
export function publicationOf(fact: Extract<Fact, { kind: "log.written" | "progress.published" }>): string {
  if (fact.kind === "progress.published") return `progress ${fact.value}`;
  return `${fact.level} ${JSON.stringify(fact.message)} ${fact.data ?? ""}`;
}
