/**
 * Owns: which attempts a run left behind at work, until that is on record (guarantee 8).
 * Does not own: letting go of them (attempts), when the record is made (ledger).
 */
import type { Fact } from "../core/entry.ts";
import type { Flight } from "../core/snapshot.ts";
import { callKey, callsOut } from "../core/state.ts";
import type { RunState } from "../core/state.ts";

const ends: ReadonlySet<Fact["kind"]> = new Set(["run.completed", "run.failed", "run.cancelled"]);
const ofSteps = callKey("run", "");

type Abandoned = Extract<Fact, { kind: "step.abandoned" }>;

export class Abandonments {
  #facts: Abandoned[] = [];

  /** It was let go of. */
  note(key: string, { id, attempt }: Flight): void {
    const { number, startedAt } = attempt;
    if (key.startsWith(ofSteps)) this.#facts.push({ kind: "step.abandoned", step: id, attempt: number, startedAt });
  }

  /** What goes on record with these facts, which leave it behind; an end leaves behind all that is in flight. */
  take(parting: readonly Fact[], inFlight: ReadonlyMap<string, Flight>, state: RunState): readonly Fact[] {
    if (parting.some(({ kind }) => ends.has(kind))) for (const [key, flight] of inFlight) this.note(key, flight);
    const facts = this.takeNoted();
    const noted = new Set(facts.map(({ step }) => step));
    return [...facts, ...ordersLeft(parting, state).filter(({ step }) => !noted.has(step))];
  }

  /** What was let go of and is not on record yet. */
  takeNoted(): readonly Abandoned[] {
    const facts = this.#facts;
    this.#facts = [];
    return facts;
  }
}

/** Requests under way elsewhere that these facts leave behind: of those the record knows, whoever is in memory. */
export function ordersLeft(parting: readonly Fact[], state: RunState): Abandoned[] {
  const awaited = new Set(parting.flatMap((fact) => (fact.kind === "run.cancel_requested" ? fact.awaited : [])));
  return callsOut(state).flatMap(({ id, order: { attempt, startedAt } }) => {
    return awaited.has(id) ? [] : [{ kind: "step.abandoned", step: id, attempt, startedAt }];
  });
}
