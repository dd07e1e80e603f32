/** Where a run comes from: its parent, schedule, fork, import or previous incarnation. */
import type { StoredError } from "../error.ts";
import type { StepTally } from "../state/tally.ts";
import type { Stored } from "../value/value.ts";

/** Which firing of which schedule started a run; `at` is the nominal time, epoch ms. */
export type ScheduleFiring = { readonly id: string; readonly at: number };

/** The run that started this one. */
export type ParentRun = { readonly id: string; readonly workflow: string };

/** A run that this one started. */
export type ChildRun = { readonly id: string; readonly workflow: string };

/** The call of its parent that a child reports its end to; `createdAt` tells runs of the parent's id apart. */
export type Reply = { readonly createdAt: number; readonly step: string };

/** The run whose history a fork began with. */
export type ForkOrigin = {
  readonly id: string;
  /** The call that it was forked at; null: at the start. */
  readonly step: string | null;
  /** The `seq` of the newest entry that was copied, of this `run.created` where none was. */
  readonly upTo: number;
  readonly reason: string | null;
  /** A digest of the results that were given. */
  readonly print?: string;
};

/** Of an imported run: its id in the other deployment, and the SHA-256 of the imported text, in hex. */
export type ImportOrigin = { readonly id: string; readonly digest: string };

/** How long a run is kept after it completed or was cancelled, and after it failed; overrides the workflow's retention. */
export type Retention = { readonly completedMs?: number; readonly failedMs?: number };

/** What becomes of a child when its parent stops waiting for it, or ends before it. */
export type ChildPolicy = "cancel" | "terminate" | "abandon";

/** What a run that goes on as new carries over from the incarnations before. */
export type Continuation = {
  /** How many incarnations went before. */
  readonly count: number;
  /** When the first of them was created, epoch ms. */
  readonly createdAt: number;
  /** `Idempotency-Key`s of the newest signals. */
  readonly keys: readonly { readonly key: string; readonly name: string; readonly payload: Stored }[];
  /** The newest updates that came with an `Idempotency-Key` and have their end; absent where there are none. */
  readonly updates?: readonly KeptUpdate[];
  /** The newest actions that came with an `Idempotency-Key`; absent where there are none. */
  readonly actions?: readonly KeptAction[];
  /** The idempotency keys of the newest starts that a debounce merged into it; absent where there are none. */
  readonly debounced?: readonly string[];
  /** How its steps went, by name; absent where there were none. */
  readonly tallies?: readonly (readonly [name: string, tally: StepTally])[];
  /** The labels of the first incarnation; absent where they have not changed. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Set if somebody restarted the run, in contrast to `step.continueAsNew`. */
  readonly restarted?: RestartOrigin;
};

/** What a restarted run has kept of the incarnation before. */
export type RestartOrigin = {
  /** The step that it was restarted from; null: the start. */
  readonly step: string | null;
  /** The `seq` of the last entry that was kept; 0 if none was. */
  readonly upTo: number;
};

/** An action that came with a key; `url` is the new address, where the action made one. */
export type KeptAction = {
  readonly key: string;
  readonly kind: string;
  readonly reason: string | null;
  readonly url?: string;
};

/** `sent` is the argument as it came. */
export type KeptUpdate = {
  readonly key: string;
  readonly id: string;
  readonly name: string;
  readonly sent: Stored;
  readonly end: UpdateEnd;
};

/** The result of an update's function, or the error that it threw. */
export type UpdateEnd =
  | { readonly kind: "completed"; readonly result: Stored }
  | { readonly kind: "failed"; readonly error: StoredError };

/**
 * When the first incarnation of the run was created, epoch ms. The same in all incarnations of a run that went on as new;
 * another in the next run of the same id.
 */
export function firstCreatedAt(created: { readonly at: number; readonly continuation?: Continuation }): number {
  return created.continuation?.createdAt ?? created.at;
}

/** The `seq` of the last entry that was copied, from another run or from the run's previous incarnation; 0 if none was. */
export function copiedUpTo(created: { readonly fork?: ForkOrigin; readonly continuation?: Continuation }): number {
  return Math.max(created.fork?.upTo ?? 0, created.continuation?.restarted?.upTo ?? 0);
}
