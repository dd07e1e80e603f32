/**
 * Owns: the RPC methods of a run's object, and its messages to followers.
 * Does not own: their implementation (run).
 */
import type { RequestMetadata, Author } from "../../core/author.ts";
import type { DebouncedStart } from "../../core/lane/debounce.ts";
import type { Entry } from "../../core/history/entry.ts";
import type { ForkCut } from "../../core/lifecycle/fork.ts";
import type { HookAnswer, HookRequest } from "../../core/service/hooks.ts";
import type { Manifest } from "../../core/transfer/manifest.ts";
import type { Order, OrderId } from "../../core/courier/order.ts";
import type { StepRef } from "../../core/lifecycle/restart.ts";
import type { HistoryPage, Made, RunSnapshot, RunStatus } from "../../core/run/run.ts";
import type {
  ForkPreview,
  ForkRequest,
  QueryAnswer,
  RunAction,
  SignalRequest,
  UpdateAnswer,
  UpdateRequest,
} from "../../core/service/service.ts";
import type { Story, Timeline, Window } from "../../core/timeline/timeline.ts";
import type { Placement } from "../../core/transfer/transfer.ts";
import type { Stored } from "../../core/value/value.ts";
import type { OrderNews } from "../../engine/courier/dispatch.ts";
import type { ChildNews } from "../../engine/child/news.ts";
import type { Resealing } from "../../store/reseal.ts";
import type { Answer } from "../answer.ts";
import type { CheckedStart, Recalled, Recording, RepeatedStart, Restart, StartClue } from "./start.ts";

/** Identifies a webhook wait within one incarnation of a run. */
export type HookAddress = {
  readonly call: string;
  readonly createdAt: number;
  /** How many addresses were revoked before this one; 0 if undefined. */
  readonly generation?: number;
};

export type ValueField = "input" | "output" | "progress";

/** A run in an RPC answer: values that are too large for it are null, named in `apart`, and fetched one by one. */
export type PackedRun = Omit<RunSnapshot, "input"> & {
  readonly input: Stored | null;
  readonly apart: readonly ValueField[];
};

/** The addressed run, as the last argument, if the object may have had others; ignored by older code. */
export type Callee = { readonly callee: string };

/** One run. */
export interface RunRpc {
  /** Reports that the object died during a call. */
  died(): Promise<void>;
  start(request: CheckedStart): Promise<Answer<Made<PackedRun>>>;
  /** The run that this start created before, or null; creates nothing. Refused with idempotency_conflict, or as a signal is. */
  repeat(start: RepeatedStart): Promise<Answer<PackedRun | null>>;
  /** In the object of an Idempotency-Key: binds the key to this run id. Older code answers null. */
  bind(id: string): Promise<Answer<{ readonly isNew: boolean } | null>>;
  /** Frees the key after the run of this id was removed. */
  unbind(id: string): Promise<Answer<null>>;
  /** What is known of a start for this id; the argument is null if it will not be repeated. */
  recall(start: StartClue | null): Promise<Answer<Recalled>>;
  /**
   * In an object without a run: records that another run answers the start, unless yet another was recorded since `former`.
   * Returns what is known of the start then; older code answers null. Refused as `recall` is.
   */
  remember(answering: Recording): Promise<Answer<Recalled | null>>;
  /** Merges another start within the period of a debounce; null if it came too late. */
  debounce(start: DebouncedStart, waitMs: number): Promise<Answer<PackedRun | null>>;
  /** The run, if the start with this token was merged into it before; else null. */
  debounced(token: string, waitMs: number): Promise<Answer<PackedRun | null>>;
  read(waitMs: number): Promise<Answer<PackedRun>>;
  value(field: ValueField): Promise<Answer<Stored | null>>;
  history(after: number, limit: number): Promise<Answer<HistoryPage>>;
  timeline(window: Window): Promise<Answer<Timeline>>;
  /** Without the input of a child, which is in the child's journal, or one that does not fit beside the result. */
  story(key: string): Promise<Answer<Story>>;
  act(action: RunAction, to?: Callee): Promise<Answer<PackedRun>>;
  fork(request: ForkRequest): Promise<Answer<Made<PackedRun>>>;
  previewFork(cut: ForkCut): Promise<Answer<ForkPreview>>;
  /** A page of the history of this incarnation for a fork, as of `history`. Refused with run_not_found after it was removed. */
  copy(createdAt: number, after: number): Promise<Answer<readonly Entry[]>>;
  /** Begins an export: the first line, and how to fetch the rest. Refused with not_exportable. */
  depart(): Promise<Answer<ExportPlan>>;
  /** The next lines of an export. Refused with run_not_found after this incarnation was removed. */
  lines(page: PageRequest): Promise<Answer<ExportPage>>;
  /** Imports a run in one transaction, or finds it if it was imported from the same text before. Refused with import_invalid, run_exists. */
  arrive(text: ReadableStream<Uint8Array>, asked: Arrival): Promise<Answer<Made<PackedRun>>>;
  /** The body of the notice of an end of this incarnation. Refused with run_not_found after it was removed. */
  notice(createdAt: number, end: number): Promise<Answer<string>>;
  /**
   * With `onlyIfWaiting`, refused with "not_waiting" unless a wait for the name is open now. A known key is answered as a duplicate
   * before any other check, also after the run's end.
   */
  signal(signal: SignalRequest, onlyIfWaiting: boolean): Promise<Answer<{ readonly duplicate: boolean }>>;
  /** Answers from a separate replay of the journal; the run is not changed. */
  query(name: string): Promise<Answer<QueryAnswer>>;
  update(update: UpdateRequest): Promise<Answer<UpdateAnswer>>;
  hook(address: HookAddress, request: HookRequest): Promise<Answer<HookAnswer>>;
  /** Restarts the run from its beginning, replacing its journal in one transaction. Refused as a retry is, and with version_missing. */
  restart(request: Restart): Promise<Answer<null>>;
  /** The same from that step. Refused with fork_invalid. A separate method, so that older code fails instead of ignoring the step. */
  restartFrom(request: Restart, from: StepRef): Promise<Answer<null>>;
  /** Refuses as `hook` does if the webhook is not open any more; otherwise does nothing. */
  lookAtHook(address: HookAddress): Promise<Answer<null>>;
  /** Gives an open webhook another address. */
  revokeHook(call: string, request: RequestMetadata): Promise<Answer<{ readonly url: string }>>;
  /** Reports the end of a child. Repeated until it is answered, or the run has ended or was removed. */
  childEnded(news: ChildNews): Promise<Answer<null>>;
  /** Reports the result of a request that a courier sent. Repeated until it is answered, or the run was removed. */
  orderEnded(news: OrderNews): Promise<Answer<null>>;
  /** The request, to send it again; null if its result is not needed any more. */
  repeatOrder(id: OrderId): Promise<Answer<Order | null>>;
  /** Reports the run to the directory again, now. Refused with run_not_found; throws if the shard was not reached. */
  relist(): Promise<Answer<null>>;
  /**
   * Encrypts a page of rows of the journal again, from `from` on, with the newest key. Refused with key_missing, journal_corrupt
   * or journal_newer if one cannot be decrypted.
   */
  rekey(from: number): Promise<Answer<Resealing<number>>>;
  /** With `Upgrade: websocket`: a socket of {@link RunMessage}, which lets the object hibernate; 404 without a run. */
  fetch(request: Request): Promise<Response>;
}

/** `isSealed`: results of sensitive steps are included, encrypted; otherwise they are left out. */
export type ExportPlan = { readonly manifest: Manifest; readonly createdAt: number; readonly isSealed: boolean };

/** The next page: entries of this incarnation with a `seq` above `after`, up to `upTo`. */
export type PageRequest = Omit<ExportPlan, "manifest"> & { readonly after: number; readonly upTo: number };

/** `text` is streamed, because one entry may be larger than a call carries; `last` is the `seq` of its last entry. */
export type ExportPage = {
  readonly text: ReadableStream<Uint8Array>;
  readonly last: number;
  readonly entries: number;
};

/** The id under which a run is imported, its placement here, and the author of the request. */
export type Arrival = Omit<Placement, "lanes"> & Author & { readonly reason: string | null };

/** The messages of a run's object to its followers; the first one is its present state. */
export type RunMessage =
  | {
      /** The `seq` of the newest entry. */
      readonly seq: number;
      /** Set after the run has ended; null in messages of commits, including the last one. */
      readonly status: RunStatus | null;
      /** Identifies the run among those with this id; only in the first message. */
      readonly createdAt?: number;
      /** The committed entries, in order, unless they are too long for a message. */
      readonly entries?: readonly Entry[];
    }
  | "gone";
