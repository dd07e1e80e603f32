/** When a start is the same as one before, and finds its run, and when it is another under its id or key. */
import { dequal } from "dequal";
import type { EntryOf } from "./entry.ts";
import { HoldfastError } from "./error.ts";
import type { ForkOrigin } from "./origin.ts";
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
  readonly fork?: ComparedFork;
};

/** Which fork of which run a start makes. */
export type ComparedFork = Pick<ForkOrigin, "id" | "step" | "print">;

/** @throws HoldfastError run_exists; idempotency_conflict where it is the key that came before */
export function checkSameStart(created: EntryOf<"run.created">, start: ComparedStart): void {
  const same =
    created.workflow === start.workflow &&
    isSame(created.sent ?? created.input, start.sent ?? start.input) &&
    isSameFork(created.fork, start.fork);
  if (start.key !== undefined && start.key === created.key) {
    const alike = dequal(created.labels, start.labels) && dequal(created.notify ?? [], start.notify ?? []);
    if (!same || !alike) refuseKey();
  } else if (!same) {
    throw new HoldfastError("run_exists", `run ${created.id} exists, with another workflow or input`);
  }
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

function isSameFork(one: ComparedFork | undefined, other: ComparedFork | undefined): boolean {
  return one?.id === other?.id && one?.step === other?.step && one?.print === other?.print;
}

/** @throws HoldfastError idempotency_conflict */
export function refuseKey(): never {
  throw new HoldfastError("idempotency_conflict", "the Idempotency-Key was used to start another run");
}
