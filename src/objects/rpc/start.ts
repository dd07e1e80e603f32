/**
 * Owns: the types of a start in RPC calls, and of repeated starts.
 * Does not own: their handling (intake, marks, admission).
 */
import type { RequestMetadata } from "../../core/author.ts";
import type { ForkPlan } from "../../core/lifecycle/fork.ts";
import type { LaneNeed } from "../../core/lane/need.ts";
import type { ForkOrigin, ParentRun, Reply, ScheduleFiring } from "../../core/run/origin.ts";
import type { SignalRequest, StartRequest } from "../../core/service/service.ts";
import type { ComparedStart, Wish } from "../../core/lifecycle/start.ts";
import type { Stored } from "../../core/value/value.ts";

/** A start that the Worker has validated: the workflow exists, and the input fits its schema. */
export type CheckedStart = Omit<StartRequest, "id" | "input" | "labels" | "signal"> & {
  /** `fitted` is the payload after validation by the workflow's schema. */
  readonly signal?: SignalRequest & { readonly fitted: Stored };
  readonly id: string;
  /** The id is the name of the key's object; the id of a run that is created there also has its instant. Older code uses the name. */
  readonly byKey?: true;
  readonly version: string;
  readonly input: Stored;
  readonly sent?: Stored;
  readonly labels: Readonly<Record<string, string>>;
  readonly parent: ParentRun | null;
  /** Set if the parent waits for the end. */
  readonly reply?: Reply;
  readonly schedule: ScheduleFiring | null;
  /** The lanes that the run needs slots of, in the order of its requests. */
  readonly lanes?: readonly LaneNeed[];
  /** Lanes whose keys were claimed for the run. */
  readonly claims?: readonly string[];
  readonly fork?: Branch;
  readonly wish?: Wish;
  /** The number of shards of the directory. */
  readonly shards?: number;
  /** Whether the object died during this start before. */
  readonly died?: true;
};

/** A start as it was sent, which the code of its workflow refuses now. */
export type RepeatedStart = ComparedStart & {
  /** The given id, if any. */
  readonly id?: string;
  readonly signal?: SignalRequest;
  readonly waitMs?: number;
};

/** The history of a fork: the original run, and the changes. */
export type Branch = Pick<ForkPlan, "copied" | "given"> &
  Omit<ForkOrigin, "upTo"> & {
    /** Identifies the incarnation of the original run. */
    readonly createdAt: number;
    readonly results: ReadonlyMap<string, Stored>;
    readonly seed: string;
    /** How often the original run was continued as new. */
    readonly continued: number;
    /** The input of the original run; undefined if the fork has another. */
    readonly input?: Stored;
  };

/** Identifies a start that may be repeated: by its Idempotency-Key, or by an id that was generated for it. */
export type StartToken = {
  readonly token: string;
  /** A digest of everything that must be the same in a repetition. */
  readonly print: string;
  readonly isKey: boolean;
};

/** Identifies a repeated start; with `print` null, it is not compared. */
export type StartClue = Omit<StartToken, "print"> & { readonly print: string | null };

/** The run that answers a start instead of a new one, and the limit that is the reason. */
export type Answerer = { readonly by: "debounce" | "singleton"; readonly runId: string };

export type Answering = Answerer & Omit<StartToken, "isKey">;

/** Older code does not know that the start is one by key, nor which run was recorded before, as far as the caller knows. */
export type Recording = Answering & Pick<StartToken, "isKey"> & { readonly former?: Answerer | null };

/** What is known of a start: its run exists or it must be refused; another run answered it; or nothing. */
export type Recalled =
  | { readonly kind: "decided" }
  | ({ readonly kind: "answered" } & Answerer)
  | { readonly kind: "new" };

/** A request to restart a run of that workflow with the code of that version. */
export type Restart = RequestMetadata & { readonly workflow: string; readonly version: string };
