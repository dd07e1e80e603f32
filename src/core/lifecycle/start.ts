/** Compares a repeated start with the run of its id or key: the same start finds the run, another one is refused. */
import { dequal } from "dequal";
import type { EntryOf } from "../history/entry.ts";
import { HoldfastError } from "../error.ts";
import { objectName } from "../run/key.ts";
import type { ForkOrigin } from "../run/origin.ts";
import { sortedEntries } from "../record.ts";
import type { StartRequest } from "../service/service.ts";
import { isSame } from "../value/value.ts";
import type { Stored } from "../value/value.ts";

/** The part of a start that is compared; `sent` is the input as it came, where the schema changed it. */
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

/** What a start with a key asks for itself, without what the code of its workflow adds; `print` is a digest of all of it. */
export type Wish = { readonly labels: Readonly<Record<string, string>>; readonly print: string };

/** The fork that a start makes. */
export type ComparedFork = Pick<ForkOrigin, "id" | "step" | "print" | "reason">;

/** @throws HoldfastError run_exists; idempotency_conflict where the key is the same */
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
  // Journals of older versions do not separate the labels that were asked for from those that the workflow added.
  const wanted = Object.entries(wish?.labels ?? labels);
  const known = created.continuation?.labels ?? created.labels;
  return wanted.every(([label, value]) => known[label] === value) && dequal(created.notify ?? [], notify);
}

/** The part of a request that a start asks for besides its workflow and its input. */
type Wished = Pick<StartRequest, "labels" | "notify" | "delayMs" | "startAt" | "notAfter" | "signal" | "update">;

/** A canonical text of these. Of a signal or an update only the name: its value is compared where it is stored. */
export function wordingOf({ labels = {}, notify = [], delayMs, startAt, notAfter, signal, update }: Wished): string {
  const begins = delayMs === undefined ? { startAt } : { delayMs };
  return JSON.stringify({
    labels: sortedEntries(labels),
    notify,
    ...begins,
    notAfter,
    signal: signal?.name,
    update: update?.name,
  });
}

/**
 * As {@link checkSameStart}, except that a start with a signal or an update is for whichever run has its id, unless its key
 * is known.
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
 * Checks the id of a start that gives one: the run of an object that stands for a key may have another id.
 * @param start `byKey` where it gave none @throws HoldfastError run_exists, idempotency_conflict
 */
export function checkOwnId(
  created: EntryOf<"run.created">,
  { id, key, byKey }: { readonly id: string; readonly key?: string; readonly byKey?: true },
): void {
  if (id === created.id || byKey === true) return;
  const isOfKey = key !== undefined && key === created.key;
  // Older versions used the object's name as the id.
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
