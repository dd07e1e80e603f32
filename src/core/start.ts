/** When a start is the same as one before, and finds its run, and when it is another under its id or key. */
import { dequal } from "dequal";
import type { EntryOf } from "./entry.ts";
import { HoldfastError } from "./error.ts";
import { objectName } from "./key.ts";
import type { ForkOrigin } from "./origin.ts";
import { sortedEntries } from "./record.ts";
import type { StartRequest } from "./service.ts";
import { isSame } from "./value.ts";
import type { Stored } from "./value.ts";

/** A start as far as it is compared: `sent` is what came in, where the schema changed it. */
export type ComparedStart = {
  readonly workflow: string;
  readonly input: Stored;
  readonly sent?: Stored;
  readonly labels: Readonly<Record<string, string>>;
  readonly notify?: readonly string[];
  readonly key?: string;
  readonly wish?: Wish;
  readonly fork?: ComparedFork;
};

/** Of a start with a key: what it asks for by itself, whatever the code of its workflow adds. */
export type Wish = { readonly labels: Readonly<Record<string, string>>; readonly print: string };

/** Which fork of which run a start makes. */
export type ComparedFork = Pick<ForkOrigin, "id" | "step" | "print" | "reason">;

/** @throws HoldfastError run_exists; idempotency_conflict where it is the key that came before */
export function checkSameStart(created: EntryOf<"run.created">, start: ComparedStart): void {
  if (isSameStart(created, start)) return;
  if (start.key !== undefined && start.key === created.key) refuseKey();
  throw new HoldfastError("run_exists", `run ${created.id} exists, with another workflow or input`);
}

/** Whether the run was made by this start, or by one like it. */
export function isSameStart(created: EntryOf<"run.created">, start: ComparedStart): boolean {
  const same =
    created.workflow === start.workflow &&
    isSame(created.sent ?? created.input, start.sent ?? start.input) &&
    isSameFork(created.fork, start.fork);
  if (!same || start.key === undefined || start.key !== created.key) return same;
  return isAlike(created, start) && (created.fork?.reason ?? null) === (start.fork?.reason ?? null);
}

function isAlike(created: EntryOf<"run.created">, { wish, labels, notify = [] }: ComparedStart): boolean {
  if (created.print !== undefined && wish !== undefined) return created.print === wish.print;
  // An older journal does not tell the labels that were asked for from those that the workflow added.
  const wanted = Object.entries(wish?.labels ?? labels);
  const known = created.continuation?.labels ?? created.labels;
  return wanted.every(([label, value]) => known[label] === value) && dequal(created.notify ?? [], notify);
}

/** What a start may ask for besides its workflow and its input. */
type Wished = Pick<StartRequest, "labels" | "notify" | "delayMs" | "startAt" | "signal" | "update">;

/** As text, the same for the same. Of what comes with a start the name: the value is compared where it is kept. */
export function wordingOf({ labels = {}, notify = [], delayMs, startAt, signal, update }: Wished): string {
  const begins = delayMs === undefined ? { startAt } : { delayMs };
  return JSON.stringify({
    labels: sortedEntries(labels),
    notify,
    ...begins,
    signal: signal?.name,
    update: update?.name,
  });
}

/**
 * As {@link checkSameStart}; but a start that brings something for the run is for whichever run has its id,
 * unless its key says that it came before.
 */
export function checkSameRun(
  created: EntryOf<"run.created">,
  start: ComparedStart & { readonly signal?: unknown; readonly update?: unknown },
): void {
  const brings = start.signal !== undefined || start.update !== undefined;
  if (!brings || (start.key !== undefined && start.key === created.key)) return checkSameStart(created, start);
  if (created.workflow === start.workflow) return;
  throw new HoldfastError("run_exists", `run ${created.id} exists, with another workflow`);
}

/**
 * A start that gives an id is for the run of that id, and one of an object that stands for a key may have another.
 * @param start `byKey` where it gave none @throws HoldfastError run_exists, idempotency_conflict
 */
export function checkOwnId(
  created: EntryOf<"run.created">,
  { id, key, byKey }: { readonly id: string; readonly key?: string; readonly byKey?: true },
): void {
  if (id === created.id || byKey === true) return;
  const isOfKey = key !== undefined && key === created.key;
  // Older code gave the object's name where none was given.
  if (isOfKey && objectName(id) === id) return;
  if (isOfKey) refuseKey();
  throw new HoldfastError("run_exists", `no run can be called ${id} while there is run ${created.id}, of the same key`);
}

function isSameFork(one: ComparedFork | undefined, other: ComparedFork | undefined): boolean {
  return one?.id === other?.id && one?.step === other?.step && one?.print === other?.print;
}

/** @throws HoldfastError idempotency_conflict */
export function refuseKey(): never {
  throw new HoldfastError("idempotency_conflict", "the Idempotency-Key was used to start another run");
}
