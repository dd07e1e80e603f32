/**
 * Owns: which attempts the run left behind while they were at work, until that is on record (guarantee 8).
 * Does not own: leaving them behind (attempts), when that goes on record (ledger).
 */
import type { Fact } from "../../core/history/entry.ts";
import type { Flight } from "../../core/run/snapshot.ts";
import { callKey, callsOut } from "../../core/state/state.ts";
import type { RunState } from "../../core/state/state.ts";

const ends: ReadonlySet<Fact["kind"]> = new Set(["run.completed", "run.failed", "run.cancelled"]);
const ofSteps = callKey("run", "");

type Abandoned = Extract<Fact, { kind: "step.abandoned" }>;

export class Abandonments {
  #facts: Abandoned[] = [];

  /** This attempt was left behind. */
  note(key: string, { id, attempt }: Flight): void {
    const { number, startedAt } = attempt;
    if (key.startsWith(ofSteps)) this.#facts.push({ kind: "step.abandoned", step: id, attempt: number, startedAt });
  }

  /** The facts that go on record with `parting`, which leaves attempts behind; the end of the run leaves behind all in flight. */
  take(parting: readonly Fact[], inFlight: ReadonlyMap<string, Flight>, state: RunState): readonly Fact[] {
    if (parting.some(({ kind }) => ends.has(kind))) for (const [key, flight] of inFlight) this.note(key, flight);
    const facts = this.takeNoted();
    const noted = new Set(facts.map(({ step }) => step));
    return [...facts, ...ordersLeft(parting, state).filter(({ step }) => !noted.has(step))];
  }

  /** The attempts that were left behind and are not on record; handed out once. */
  takeNoted(): readonly Abandoned[] {
    const facts = this.#facts;
    this.#facts = [];
    return facts;
  }
}

/** Requests at couriers that these facts leave behind, by the record: no handler need be in memory. */
export function ordersLeft(parting: readonly Fact[], state: RunState): Abandoned[] {
  const awaited = new Set(parting.flatMap((fact) => (fact.kind === "run.cancel_requested" ? fact.awaited : [])));
  return callsOut(state).flatMap(({ id, order: { attempt, startedAt } }) => {
    return awaited.has(id) ? [] : [{ kind: "step.abandoned", step: id, attempt, startedAt }];
  });
}
