/** Where a run comes from, and who hears of its end. */
import type { StoredError } from "./error.ts";
import type { StepTally } from "./tally.ts";
import type { Stored } from "./value.ts";

/** Which firing of which schedule started a run; `at` is the nominal time, epoch ms. */
export type ScheduleFiring = { readonly id: string; readonly at: number };

/** The run that started this one. */
export type ParentRun = { readonly id: string; readonly workflow: string };

/** A run that this one started. */
export type ChildRun = { readonly id: string; readonly workflow: string };

/** Whom a child tells of its end: which call of which life of its parent's id. */
export type Reply = { readonly createdAt: number; readonly step: string };

/** The run whose history a fork began with. */
export type ForkOrigin = {
  readonly id: string;
  /** The call from which on it goes its own way; null where it goes it from the start. */
  readonly step: string | null;
  /** The `seq` of the newest entry that was copied, of this `run.created` where none was. */
  readonly upTo: number;
  readonly reason: string | null;
  /** Tells the results that were given from others. */
  readonly print?: string;
};

/** The run of another deployment that this one was: its id there, and the SHA-256 of the text it came as, in hex. */
export type ImportOrigin = { readonly id: string; readonly digest: string };

/** How long a run is kept after it completed, and after it failed or was cancelled, instead of as its workflow says. */
export type Retention = { readonly completedMs?: number; readonly failedMs?: number };

/** What becomes of a child when its parent stops waiting for it, or ends before it. */
export type ChildPolicy = "cancel" | "terminate" | "abandon";

/** What a run that goes on as new brings along from the lives before. */
export type Continuation = {
  /** How many lives went before. */
  readonly count: number;
  /** When the first of them was created, epoch ms. */
  readonly createdAt: number;
  /** `Idempotency-Key`s of the newest signals. */
  readonly keys: readonly { readonly key: string; readonly name: string; readonly payload: Stored }[];
  /** The newest updates that came with an `Idempotency-Key` and have their end; absent where there are none. */
  readonly updates?: readonly KeptUpdate[];
  /** The newest actions that came with an `Idempotency-Key`; absent where there are none. */
  readonly actions?: readonly KeptAction[];
  /** What tells the newest starts that a debounce made part of it; absent where there are none. */
  readonly debounced?: readonly string[];
  /** How its steps went, by name; absent where there were none. */
  readonly tallies?: readonly (readonly [name: string, tally: StepTally])[];
  /** Those of the first; absent where they are what they were. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Set if somebody restarted the run, in contrast to `step.continueAsNew`. */
  readonly restarted?: RestartOrigin;
};

/** What a restarted run has kept of the life before. */
export type RestartOrigin = {
  /** The step that it was restarted from; null: the start. */
  readonly step: string | null;
  /** The `seq` of the last entry that was kept; 0 if none was. */
  readonly upTo: number;
};

/** What was done to the run under a key; `url` is the address that was made, where one was. */
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

/** What the function of an update answered, or threw. */
export type UpdateEnd =
  | { readonly kind: "completed"; readonly result: Stored }
  | { readonly kind: "failed"; readonly error: StoredError };

/**
 * When the first life of the run was created, epoch ms. The same in all lives of a run that went on as new; another in
 * the next run of the same id.
 */
export function bornAt({ at, continuation }: { readonly at: number; readonly continuation?: Continuation }): number {
  return continuation?.createdAt ?? at;
}
