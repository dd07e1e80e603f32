/**
 * Owns: what can be asked of the object of a run, and what it says to those who follow it.
 * Does not own: what it does about it (run).
 */
import type { RequestMetadata, Author } from "../../core/author.ts";
import type { DebouncedStart } from "../../core/debounce.ts";
import type { Entry } from "../../core/entry.ts";
import type { ForkCut } from "../../core/fork.ts";
import type { HookAnswer, HookRequest } from "../../core/hooks.ts";
import type { Manifest } from "../../core/manifest.ts";
import type { Order, OrderId } from "../../core/order.ts";
import type { StepRef } from "../../core/restart.ts";
import type { HistoryPage, Made, RunSnapshot, RunStatus } from "../../core/run.ts";
import type {
  ForkPreview,
  ForkRequest,
  QueryAnswer,
  RunAction,
  SignalRequest,
  UpdateAnswer,
  UpdateRequest,
} from "../../core/service.ts";
import type { Story, Timeline, Window } from "../../core/timeline.ts";
import type { Placement } from "../../core/transfer.ts";
import type { Stored } from "../../core/value.ts";
import type { OrderNews } from "../../engine/dispatch.ts";
import type { ChildNews } from "../../engine/news.ts";
import type { Resealing } from "../../store/reseal.ts";
import type { Answer } from "../answer.ts";
import type { Answering, CheckedStart, Recalled, RepeatedStart, Restart, StartClue } from "./start.ts";

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
  recall(start: StartClue | null): Promise<Answer<Recalled>>;
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
  carry(page: PageRequest): Promise<Answer<{ readonly text: string; readonly last: number; readonly entries: number }>>;
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
  /** The same from that step. Refused with fork_invalid. A call of its own, so that an object with older code refuses it, and does not restart from the start. */
  restartFrom(request: Restart, from: StepRef): Promise<Answer<null>>;
  /** Refuses as `hook` does where there is no such webhook any more; otherwise it does nothing. */
  lookAtHook(address: HookAddress): Promise<Answer<null>>;
  /** Gives an open webhook another address. */
  revokeHook(call: string, request: RequestMetadata): Promise<Answer<{ readonly url: string }>>;
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

/** `isSealed`: results of sensitive steps go along, sealed; else they stay behind, if there are any. */
export type Departure = { readonly manifest: Manifest; readonly createdAt: number; readonly isSealed: boolean };

/** Which lines come next: entries with a `seq` above `after`, and of no more than `upTo`, of this life of a run. */
export type PageRequest = Omit<Departure, "manifest"> & { readonly after: number; readonly upTo: number };

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
