/**
 * Owns: which attempts a run left behind at work, until that is on record (guarantee 8).
 * Does not own: letting go of them (attempts), when the record is made (ledger).
 */
import type { Fact } from "../core/entry.ts";
import type { Flight } from "../core/snapshot.ts";
import { callKey } from "../core/state.ts";

const ends: ReadonlySet<Fact["kind"]> = new Set(["run.completed", "run.failed", "run.cancelled"]);
const ofSteps = callKey("run", "");

export class Lost {
  #facts: Fact[] = [];

  /** It was let go of. */
  note(key: string, { id, attempt }: Flight): void {
    const { number, startedAt } = attempt;
    if (key.startsWith(ofSteps)) this.#facts.push({ kind: "step.abandoned", step: id, attempt: number, startedAt });
  }

  /** What goes on record with these facts, which leave it behind; an end leaves behind all that is in flight. */
  take(parting: readonly Fact[], inFlight: ReadonlyMap<string, Flight>): readonly Fact[] {
    if (parting.some(({ kind }) => ends.has(kind))) for (const [key, flight] of inFlight) this.note(key, flight);
    const facts = this.#facts;
    this.#facts = [];
    return facts;
  }
}
