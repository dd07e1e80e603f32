/**
 * Owns: importing a run into the object of its id: the run is written, or found if it was imported before, or refused if the
 * id is taken.
 * Does not own: reading and validating the text (arrival), writing the run (memory), the Worker's part (transfer).
 */
import { HoldfastError } from "../../core/error.ts";
import type { Find } from "../../engine/drive.ts";
import type { Marks } from "../start/marks.ts";
import { isTheSame, receive } from "./arrival.ts";
import type { Memory } from "../run/memory.ts";
import type { Arrival } from "../rpc/run.ts";

/** The object: its run, if any, and its marks. */
type Target = { readonly memory: Memory; readonly marks: Marks; readonly find: Find };

/**
 * Returns whether the run was written, and did not exist before.
 * @throws HoldfastError run_exists, import_invalid, value_too_large, key_missing, webhook_unavailable
 */
export async function importText(target: Target, text: ReadableStream<Uint8Array>, request: Arrival): Promise<boolean> {
  const { memory, find } = target;
  const refuse = (): void => refuseTaken(target, request.id);
  const arrived = await receive(text, request, find, refuse);
  // A key may have been bound while the text was read.
  refuse();
  const { state } = memory.run;
  const { created } = state;
  if (created === null) memory.install(arrived);
  else if (request.id !== created.id || !isTheSame(arrived, state, memory.journal.read())) throw taken(created.id);
  return created === null;
}

/** Refuses before anything is read, if the id belongs to something that was not imported. */
function refuseTaken({ memory, marks }: Target, id: string): void {
  const { created, imported } = memory.run.state;
  if (created !== null && (imported === null || created.id !== id)) throw taken(created.id);
  if (created === null && marks.isBound) {
    throw new HoldfastError("run_exists", "the id stands for an Idempotency-Key; import the run under another");
  }
}

function taken(id: string): HoldfastError {
  return new HoldfastError(
    "run_exists",
    `run ${id} exists, and is not the run of this text; import it under another id`,
  );
}
