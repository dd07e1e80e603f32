/**
 * Owns: a start on its way to the object of its run, and what is known of one that is repeated.
 * Does not own: what is done about it (intake, alias, admission).
 */
import type { RequestMetadata } from "../../core/author.ts";
import type { ForkPlan } from "../../core/fork.ts";
import type { LaneNeed } from "../../core/need.ts";
import type { ForkOrigin, ParentRun, Reply, ScheduleFiring } from "../../core/origin.ts";
import type { SignalRequest, StartRequest } from "../../core/service.ts";
import type { ComparedStart, Wish } from "../../core/start.ts";
import type { Stored } from "../../core/value.ts";

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

/** What a start is recalled by; null: whatever it asked for. */
export type StartClue = Omit<StartToken, "print"> & { readonly print: string | null };

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
export type Restart = RequestMetadata & { readonly workflow: string; readonly version: string };
