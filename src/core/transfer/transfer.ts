/** Exports and imports: whether a run may be exported, which entries are changed for it, and again on arrival. */
import type { Entry, EntryOf } from "../history/entry.ts";
import { HoldfastError } from "../error.ts";
import type { LaneNeed } from "../lane/need.ts";
import { openCalls } from "../state/state.ts";
import type { RunState } from "../state/state.ts";
import { undefinedValue } from "../value/value.ts";
import type { Stored } from "../value/value.ts";

/** What an export has to know besides the journal. */
export type Readiness = {
  /** Attempts in flight. */
  readonly running: number;
  /** How many results of sensitive steps there are. */
  readonly secrets: number;
  /** Whether there is a key to seal them with. */
  readonly isSealable: boolean;
};

/** @throws HoldfastError not_exportable, which says what to do */
export function refuseExport(state: RunState, { running, secrets, isSealable }: Readiness): void {
  const { created, end, paused, orphans } = state;
  if (end !== null) return;
  const refuse = (why: string): never => {
    throw new HoldfastError("not_exportable", `run ${created?.id} cannot be exported as it is: ${why}`);
  };
  if (paused === null) refuse("pause it first, so that it does not go on here and there");
  if (running > 0) refuse("attempts are still in flight; wait until they have ended");
  const child = openCalls(state).find(({ kind }) => kind === "child");
  if (child !== undefined) refuse(`its child ${JSON.stringify(child.id)} is open and stays here; wait for its end`);
  if (orphans.size > 0) refuse("a child of it is being told to stop");
  if (secrets > 0 && !isSealable) {
    refuse("it has results of sensitive steps, which travel sealed only; set ENCRYPTION_KEYS");
  }
}

/**
 * The entry as it is exported.
 * @param seal seals a result; null: results of sensitive steps are left out
 */
export function toExport(entry: Entry, seal: ((secret: EntryOf<"step.completed">) => string) | null): Entry {
  if (!isSecret(entry)) return entry;
  if (seal === null) return { ...entry, result: undefinedValue, omitted: true };
  return { ...entry, result: seal(entry) as Stored };
}

/** Whether the entry has the result of a sensitive step. */
export function isSecret(entry: Entry): entry is EntryOf<"step.completed"> {
  return entry.kind === "step.completed" && entry.sensitive === true && entry.omitted !== true;
}

/** What an imported run gets from its new deployment. */
export type Placement = {
  readonly id: string;
  /** How many shards the directory has. */
  readonly shards: number;
  /** Scheme and host of its webhooks where PUBLIC_URL is not set. */
  readonly origin: string | null;
  readonly lanes: readonly LaneNeed[];
};

/** The entry as it is imported: no parent waits for the run, and it holds no keys of singletons or debounces. */
export function arriving(entry: Entry, { id, shards, origin, lanes }: Placement): Entry {
  if (entry.kind === "run.debounced") {
    const { lanes: _lanes, ...kept } = entry;
    return lanes.length === 0 ? kept : { ...kept, lanes };
  }
  if (entry.kind !== "run.created") return entry;
  const { reply: _reply, claims: _claims, lanes: _lanes, ...kept } = entry;
  return {
    ...kept,
    ...{ id, shards, origin },
    ...(lanes.length === 0 ? {} : { lanes }),
    // Under another id, random numbers and UUIDs have to stay the same.
    ...(id === entry.id ? {} : { seed: entry.seed ?? `${entry.id}:${entry.at}` }),
  };
}
