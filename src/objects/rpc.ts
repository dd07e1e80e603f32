/**
 * Owns: what the objects say to each other, and the Worker to them.
 * Does not own: what they do about it.
 *
 * Arguments and answers are plain data, so that a Worker and an object of neighbouring deployments understand each
 * other: fields are added, never changed. A refusal is an answer, not a throw, because classes do not survive the wire.
 * Long because everything that crosses from one object to another stands here once.
 */
import type { Asked, Author } from "../core/author.ts";
import type { DebouncedStart } from "../core/debounce.ts";
import type { Entry } from "../core/entry.ts";
import type { ErrorCode } from "../core/code.ts";
import type { Issue } from "../core/error.ts";
import type { ForkCut, ForkPlan } from "../core/fork.ts";
import type { HistoryPage, Made, RunSnapshot, RunStatus, RunSummary } from "../core/run.ts";
import type { LaneAsked, LaneInfo } from "../core/lanes.ts";
import type { Cause, GroupField, RunFilter, RunQuery } from "../core/directory.ts";
import type { HookAnswer, HookRequest } from "../core/hooks.ts";
import type {
  ForkPreview,
  ForkRequest,
  RunAction,
  QueryAnswer,
  SignalRequest,
  StartRequest,
  UpdateAnswer,
  UpdateRequest,
} from "../core/service.ts";
import type { Sample, SampleQuery } from "../core/stats/sample.ts";
import type { Manifest } from "../core/manifest.ts";
import type { LaneNeed } from "../core/need.ts";
import type { Placement } from "../core/transfer.ts";
import type { Order, OrderId } from "../core/order.ts";
import type { ForkOrigin, ParentRun, Reply, ScheduleFiring } from "../core/origin.ts";
import type { Followed } from "../core/slot.ts";
import type { ComparedStart, Wish } from "../core/start.ts";
import type { Admission, Claim, Claimed, Entrance, Place, Ticket } from "../core/ticket.ts";
import type { BackfillRequest, ScheduleChange, ScheduleInfo, ScheduleRequest } from "../core/schedules.ts";
import type { Story, Timeline, Window } from "../core/timeline.ts";
import type { Stored } from "../core/value.ts";
import type { OrderNews } from "../engine/dispatch.ts";
import type { ChildNews } from "../engine/news.ts";

export type Refusal = {
  readonly code: ErrorCode;
  readonly message: string;
  readonly issues?: readonly Issue[];
  readonly retryAfterMs?: number;
};
export type Answer<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly refusal: Refusal };

/** A start that the Worker has checked: the workflow exists and its schema took the input. */
export type CheckedStart = Omit<StartRequest, "id" | "input" | "labels" | "signal"> & {
  /** `fitted` is what the workflow's schema makes of the payload. */
  readonly signal?: SignalRequest & { readonly fitted: Stored };
  readonly id: string;
  /** The id is the name of the key's object: a run that is made there is called after the instant too. Older code calls it by that name. */
  readonly byKey?: true;
  readonly version: string;
  readonly input: Stored;
  readonly sent?: Stored;
  readonly labels: Readonly<Record<string, string>>;
  readonly parent: ParentRun | null;
  /** Set where the parent waits for the end. */
  readonly reply?: Reply;
  readonly schedule: ScheduleFiring | null;
  /** What the run needs of the lanes it shares with others, in the order in which it asks for it. */
  readonly lanes?: readonly LaneNeed[];
  /** Lanes whose key it has claimed. */
  readonly claims?: readonly string[];
  readonly fork?: Branch;
  readonly wish?: Wish;
  /** How many shards the directory has. */
  readonly shards?: number;
  /** The object died under this start before. */
  readonly died?: true;
};

/** A start in the words in which it came: the code of its workflow refuses it by now. */
export type RepeatedStart = ComparedStart & {
  /** The one that it gives. */
  readonly id?: string;
  readonly signal?: SignalRequest;
  readonly waitMs?: number;
};

/** Where a fork takes its history from, and what it makes of it. */
export type Branch = Pick<ForkPlan, "copied" | "given"> &
  Omit<ForkOrigin, "upTo"> & {
    /** Which life of that id. */
    readonly createdAt: number;
    readonly results: ReadonlyMap<string, Stored>;
    readonly seed: string;
    /** How often the run had gone on as new. */
    readonly continued: number;
    /** What the run took as its input; absent where the fork has another. */
    readonly input?: Stored;
  };

/** A start that may be repeated: by its Idempotency-Key, or by an id that was made for it alone. */
export type StartToken = {
  readonly token: string;
  /** Of all that must be the same when it comes again. */
  readonly print: string;
  readonly isKey: boolean;
};

/** The run that answered a start for which none was made, and why none was. */
export type Answering = Omit<StartToken, "isKey"> & {
  readonly by: "debounce" | "singleton";
  readonly runId: string;
};

/** What is known of a start: its run exists, or must be refused; another run answered it; nothing. */
export type Recalled =
  | { readonly kind: "decided" }
  | ({ readonly kind: "answered" } & Pick<Answering, "by" | "runId">)
  | { readonly kind: "new" };

/** A run of that workflow is to begin once more, with the code of that version. */
export type Restart = Asked & { readonly workflow: string; readonly version: string };

/** Which webhook wait of which life of a run id: an id is free again once its run was deleted. */
export type HookAddress = {
  readonly call: string;
  readonly createdAt: number;
  /** How often the address was revoked before this one was made; 0 unless there. */
  readonly generation?: number;
};

export type ValueField = "input" | "output" | "progress";

/** A run on the wire: values too large to travel together are null, named in `apart`, and asked for one by one. */
export type Parcel = Omit<RunSnapshot, "input"> & {
  readonly input: Stored | null;
  readonly apart: readonly ValueField[];
};

/** The run that a call is for, as its last argument, where its object may have had others; older code takes no notice of it. */
export type Callee = { readonly callee: string };

/** One run. */
export interface RunRpc {
  /** The object died under a call, which nobody has answered. */
  died(): Promise<void>;
  start(request: CheckedStart): Promise<Answer<Made<Parcel>>>;
  /** The run that this very start made before, or null; nothing is made. Refused with idempotency_conflict, and as a signal is. */
  repeat(start: RepeatedStart): Promise<Answer<Parcel | null>>;
  /** Of the object that an Idempotency-Key names: the key belongs to this run id and to no other. Older code answers null. */
  bind(id: string): Promise<Answer<{ readonly isNew: boolean } | null>>;
  /** The run of this id was removed: the key is free, if it belonged to it. */
  unbind(id: string): Promise<Answer<null>>;
  /** Whether a start for this id may make a run. A token is null where nobody will repeat it. */
  recall(start: StartToken | null): Promise<Answer<Recalled>>;
  /** Of an id that has no run: another one answers the start that came for it. */
  remember(answering: Answering): Promise<Answer<null>>;
  /** Another start within the period of a debounce: the run with it, or null where it came too late. */
  debounce(start: DebouncedStart, waitMs: number): Promise<Answer<Parcel | null>>;
  /** The run, if the start that this tells became part of it before; else null. */
  debounced(token: string, waitMs: number): Promise<Answer<Parcel | null>>;
  read(waitMs: number): Promise<Answer<Parcel>>;
  value(field: ValueField): Promise<Answer<Stored | null>>;
  history(after: number, limit: number): Promise<Answer<HistoryPage>>;
  timeline(window: Window): Promise<Answer<Timeline>>;
  /** Without the input of a child, which is in the child's own journal. */
  story(key: string): Promise<Answer<Story>>;
  act(action: RunAction, to?: Callee): Promise<Answer<Parcel>>;
  fork(request: ForkRequest): Promise<Answer<Made<Parcel>>>;
  previewFork(cut: ForkCut): Promise<Answer<ForkPreview>>;
  /** History of this life of the run for a fork of it, as `history` pages it. Refused with run_not_found once it is gone. */
  copy(createdAt: number, after: number): Promise<Answer<readonly Entry[]>>;
  /** What a text of this run begins with, and how the rest of it is fetched. Refused with not_exportable. */
  depart(): Promise<Answer<Departure>>;
  /** The next lines of that text. Refused with run_not_found once this life of the run is gone. */
  carry(leg: Leg): Promise<Answer<{ readonly text: string; readonly last: number; readonly entries: number }>>;
  /** Makes the run of a text, all of it or nothing; found where the same text made it before. Refused with import_invalid, run_exists. */
  arrive(text: ReadableStream<Uint8Array>, asked: Arrival): Promise<Answer<Made<Parcel>>>;
  /** What the world is told of an end of this life of the run: the body, as text. Refused with run_not_found once it is gone. */
  notice(createdAt: number, end: number): Promise<Answer<string>>;
  /**
   * With `onlyIfWaiting`, refused with code "not_waiting" unless a wait for the name is open right now.
   * A key on record is answered as a duplicate before anything else, also after the run's end.
   */
  signal(signal: SignalRequest, onlyIfWaiting: boolean): Promise<Answer<{ readonly duplicate: boolean }>>;
  /** What a handler made of the journal alone answers; the run is left as it is. */
  query(name: string): Promise<Answer<QueryAnswer>>;
  update(update: UpdateRequest): Promise<Answer<UpdateAnswer>>;
  hook(address: HookAddress, request: HookRequest): Promise<Answer<HookAnswer>>;
  /** Begins the run once more, from its beginning: its journal is the old one or the new one. Refused as a retry is, and with version_missing. */
  restart(request: Restart): Promise<Answer<null>>;
  /** Refuses as `hook` does where there is no such webhook any more; otherwise it does nothing. */
  lookAtHook(address: HookAddress): Promise<Answer<null>>;
  /** Gives an open webhook another address. */
  revokeHook(call: string, request: Asked): Promise<Answer<{ readonly url: string }>>;
  /** A child of this run has ended. Told again until it is answered, or the run is not there or has ended. */
  childEnded(news: ChildNews): Promise<Answer<null>>;
  /** What came of a request that a courier made for this run. Told again until it is answered, or the run is gone. */
  orderEnded(news: OrderNews): Promise<Answer<null>>;
  /** That request, to be made once more; null where nobody waits for its answer. */
  repeatOrder(id: OrderId): Promise<Answer<Order | null>>;
  /** Has the run listed anew, now. Refused with run_not_found where there is none; throws where the shard was not reached. */
  relist(): Promise<Answer<null>>;
  /**
   * Seals rows of the journal from `from` on anew, with the newest key, some at a time. Refused with key_missing,
   * journal_corrupt or journal_newer where one cannot be opened.
   */
  rekey(from: number): Promise<Answer<Resealing<number>>>;
  /** With `Upgrade: websocket`: a socket of {@link RunSaid}, which lets the object sleep; 404 where no run is. */
  fetch(request: Request): Promise<Response>;
}

/** Rows that were looked at, those of them that were sealed anew, and where to go on; null at the end. */
export type Resealing<Mark> = { readonly rows: number; readonly sealed: number; readonly next: Mark | null };

/** Where the resealing of a shard stands: it goes through its list, then through what is buffered. */
export type ShardMark =
  | { readonly kind: "runs"; readonly after: { readonly createdAt: number; readonly id: string } }
  | { readonly kind: "signals"; readonly after: number };

/** `failed`: rows that could not be opened, and are as they were. */
export type RekeyedShard = Resealing<ShardMark> & { readonly failed: number };

/** `isSealed`: results of sensitive steps go along, sealed; else they stay behind, if there are any. */
export type Departure = { readonly manifest: Manifest; readonly createdAt: number; readonly isSealed: boolean };

/** Entries with a `seq` above `after`, and of no more than `upTo`, of this life of a run. */
export type Leg = Omit<Departure, "manifest"> & { readonly after: number; readonly upTo: number };

/** The id under which a run is imported, what it is given here, and who asks. */
export type Arrival = Omit<Placement, "lanes"> & Author & { readonly reason: string | null };

/** What a run's object says to those who follow it; first of all where it is. */
export type RunSaid =
  | {
      /** The newest entry's. */
      readonly seq: number;
      /** Set once the run has ended; null with every commit, the last included. */
      readonly status: RunStatus | null;
      /** Which run of this id; said first. */
      readonly createdAt?: number;
      /** What was just written, in order, unless it is too long for a message. */
      readonly entries?: readonly Entry[];
    }
  | "gone";

/** Which runs a shard of the directory lists: an object beside the runs, `registerObject(shard)`. */
export interface RegisterRpc {
  /** Before they are listed. */
  enrol(runs: readonly Enrolled[]): Promise<void>;
  /** They are gone. A later run of the same id stays. */
  strike(runs: readonly Enrolled[]): Promise<void>;
  /** By id, strictly after `after`. */
  enrolled(after: string, limit: number): Promise<readonly Enrolled[]>;
}

/** Whoever makes requests for runs while they rest: an object beside the runs, `courierObject(index)`. */
export interface CourierRpc {
  /** Whether it has room for a request with so large a body; the place is kept for ten seconds. */
  reserveBerth(bytes: number): Promise<boolean>;
  /** Makes the request, unless it does so already, and tells the run what came of it. Answered once that is certain. */
  carryOrder(order: Order): Promise<void>;
  /** Nobody waits for the answer any more. */
  dropOrder(id: OrderId): Promise<void>;
}

/** A run's place in the directory: `createdAt` is that of its first life. */
export type Enrolled = { readonly id: string; readonly createdAt: number };

/**
 * What a shard answers to a report: names that open signal waits of the run are for and that have something buffered,
 * one for each such wait; and how many rows it wrote, its own and the register's. `refused` where the run was removed
 * a short while ago: it is not listed.
 */
export type Heard = { readonly offers: readonly string[]; readonly rows?: number; readonly refused?: true };

/** One shard of the index of runs. */
export interface DirectoryRpc {
  /** Takes the run's summary unless the one held is newer (by `seq`). */
  report(summary: RunSummary): Promise<Heard>;
  /** The same of several runs at once: an answer for each, in their order, null for one that could not be taken. */
  reportAll(summaries: readonly RunSummary[]): Promise<readonly (Heard | null)[]>;
  remove(id: string, createdAt: number): Promise<void>;
  /** With `Upgrade: websocket`: a socket of {@link ShardSaid}, which lets the object sleep. */
  fetch(request: Request): Promise<Response>;
  /** This shard's part of a page: up to `limit` runs, newest first, strictly after `before`. */
  list(
    query: Omit<RunQuery, "cursor">,
    before: { readonly createdAt: number; readonly id: string } | null,
  ): Promise<readonly RunSummary[]>;
  counts(): Promise<readonly { readonly workflow: string; readonly status: RunStatus; readonly count: number }[]>;
  /** Of the runs that were created in a window. */
  sample(query: SampleQuery): Promise<Sample>;
  /** All runs by what they are now, and of each workflow the oldest that has not ended. */
  census(): Promise<{
    readonly counts: readonly { readonly workflow: string; readonly status: RunStatus; readonly count: number }[];
    readonly oldestOpen: readonly { readonly workflow: string; readonly createdAt: number }[];
  }>;
  /** Runs that fit in groups, the largest first, at most 5,000; each key in the order of `groupBy`. */
  groups(
    filter: RunFilter,
    groupBy: readonly GroupField[],
  ): Promise<{
    readonly total: number;
    readonly groups: readonly { readonly key: readonly (string | null)[]; readonly count: number }[];
  }>;
  /** Failed runs that fit by what they have in common, the most frequent first, at most 1,000. */
  causes(filter: RunFilter): Promise<readonly Cause[]>;
  /** First shard only: what is buffered, for a shard that has not been told. */
  open(): Promise<readonly { readonly id: string; readonly name: string; readonly expiresAt: number }[]>;
  /** How many runs of this shard fit the filter, those of the workflow `except` aside. */
  count(filter: RunFilter, except: string): Promise<number>;
  /** Ids of runs that wait for a signal of this name; now and then of one that does not. */
  waiters(name: string): Promise<readonly string[]>;
  /** Hands a broadcast to these runs, as far as they wait for it; answers how many took it. */
  deliver(runIds: readonly string[], id: string, signal: SignalRequest): Promise<Answer<number>>;
  /** Tells this shard that a signal of this name is buffered, until `expiresAt`. */
  offer(id: string, name: string, expiresAt: number): Promise<void>;
  withdraw(id: string, name: string): Promise<void>;
  /** First shard only: keeps a signal for the next waiter. The signal's `key`, if it has one, is its id. */
  hold(id: string, signal: SignalRequest, expiresAt: number): Promise<HoldAnswer>;
  /** First shard only: the oldest signal of the name, to one run and to no other; the same run may ask again. */
  claim(
    name: string,
    runId: string,
    except: readonly string[],
  ): Promise<{ readonly id: string; readonly signal: SignalRequest } | null>;
  /** First shard only: the run did not take what it claimed; others that wait are asked. */
  release(id: string, runId: string): Promise<void>;
  /** First shard only: the signal was delivered to so many runs. */
  settle(id: string, delivered: number): Promise<void>;
  /** Seals rows of this shard anew, with the newest key, some at a time. */
  rekey(from: ShardMark): Promise<RekeyedShard>;
  /** First shard only: what has become of a signal that was held. */
  outcome(id: string): Promise<{ readonly delivered: number; readonly buffered: boolean }>;
}

/** What a shard says to those who follow it: first that they are subscribed, then each change. */
export type ShardSaid = "subscribed" | { readonly listed: RunSummary } | { readonly removed: string };

/** Nothing delivered yet; delivered before; the id stands for another signal. */
export type HoldAnswer =
  | { readonly kind: "open" }
  | { readonly kind: "settled"; readonly delivered: number }
  | { readonly kind: "conflict" }
  /** What is known of the id is sealed with a key that is gone, or damaged. */
  | { readonly kind: "unreadable"; readonly code: ErrorCode; readonly message: string };

export interface SchedulerRpc {
  /** Judges every schedule against the clock, starts what is due, and arms the alarm. */
  tick(): Promise<void>;
  list(workflow?: string): Promise<Answer<readonly ScheduleInfo[]>>;
  find(id: string, next: number): Promise<Answer<ScheduleInfo>>;
  create(request: ScheduleRequest): Promise<Answer<{ readonly schedule: ScheduleInfo; readonly created: boolean }>>;
  change(id: string, change: ScheduleChange): Promise<Answer<ScheduleInfo>>;
  remove(id: string, request: Asked): Promise<Answer<null>>;
  /** Names the run that the caller then starts; from now on it is in the way of firings. */
  trigger(id: string, request: Trigger): Promise<Answer<TriggerPlan>>;
  backfill(id: string, request: BackfillRequest): Promise<Answer<{ readonly firings: number }>>;
  /** A run that a schedule started has ended: with which status, and when, is told by newer runs only. */
  ended(firing: ScheduleFiring, runId: string, end?: RunEnd): Promise<void>;
  /** A run of the schedule that had ended is about to go on: from now on it is in the way of firings again. */
  revived(firing: ScheduleFiring, runId: string): Promise<void>;
  /** Seals all it keeps anew, with the newest key. */
  rekey(): Promise<Answer<{ readonly rows: number; readonly sealed: number }>>;
}

/** `token`, of at most 26 letters and digits, makes the run's id; the same key has the same. */
export type Trigger = Asked & { readonly token: string };

export type TriggerPlan = {
  readonly workflow: string;
  readonly input: Stored;
  readonly runId: string;
  /** When it was first asked for. */
  readonly at: number;
};

export type RunEnd = { readonly status: RunStatus; readonly at: number };

/** What a lane asks of the run that holds a ticket, or waits with one. */
export interface HolderRpc {
  /**
   * The slot that the ticket waited for is there. False, or run_not_found: not wanted any more, it goes to
   * the next. `turn` is the one that `enter` answered; a holder that has left and asked again since has
   * another, and must not take this message for its own: asking `enter` again tells. Told again until answered.
   */
  granted(lane: string, ticket: Ticket, turn: number): Promise<Answer<boolean>>;
  /**
   * Whether the ticket still holds its slot, or is still asking for it. False, or run_not_found: the slot
   * goes to the next. Asked only of holders in whose lane others wait.
   */
  holds(lane: string, ticket: Ticket, turn: number): Promise<Answer<boolean>>;
}

/** One lane: `laneObject(name)`. Every call may be repeated: none takes a second slot. */
export interface LaneRpc {
  /** Asks for a slot, or where the ticket is. */
  enter(entrance: Entrance): Promise<Place>;
  /** Gives the slot back, or leaves the queue; of a throttle, only the queue. */
  leave(ticket: Ticket): Promise<void>;
  /** One start of a rate limit: granted now or not at all. Once per run id in a period. */
  admit(start: { readonly id: string; readonly limit: number; readonly periodMs: number }): Promise<Admission>;
  /**
   * Asks for the key of a singleton or a debounce. A run that has claimed it and is not there yet has half a
   * minute to appear. Claim, start the run, and `release` if the start was refused.
   */
  claim(claim: Claim): Promise<Claimed>;
  /** Gives the key back, if this run has it. */
  release(runId: string): Promise<void>;
  /** With the first `limit` holders and the first `limit` that wait; null for a lane that nobody has used. */
  read(limit: number): Promise<LaneInfo | null>;
  /**
   * Sets the limit that counts instead of the code's, null to go back to it, and grants what it allows. The same
   * again under its key does nothing; null where another came under it.
   */
  override(limit: number | null, asked?: LaneAsked, key?: string): Promise<LaneInfo | null>;
  /** As `override`, of the limit that this lane follows while it has no own; one of an older version is ignored. */
  follow(override: Followed): Promise<void>;
  /** Seals what is sealed of it anew, with the newest key; `failed` where that cannot be opened. */
  rekey(): Promise<{ readonly rows: number; readonly sealed: number; readonly failed: number }>;
}

/** Which lanes there are: `laneRoll()`. */
export interface LaneRollRpc {
  /** Answers the override that the lane follows. */
  register(lane: string): Promise<Followed>;
  unregister(lane: string): Promise<void>;
  /** Names in their order, strictly after `after`. */
  names(after: string, limit: number): Promise<readonly string[]>;
  /** The override of all keyed lanes of this base, those to come included. */
  overrideAll(base: string, limit: number | null): Promise<void>;
}
