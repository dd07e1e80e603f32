/**
 * Owns: which attempts were abandoned while they were at work, until that is on record (guarantee 8).
 * Does not own: abandoning them (attempts), when that goes on record (ledger).
 */
import { isEnd } from "../../core/history/end.ts";
import type { Fact, FactOf } from "../../core/history/entry.ts";
import type { Flight } from "../../core/run/snapshot.ts";
import { dispatchedCalls } from "../../core/state/dispatched.ts";
import { callKey } from "../../core/state/state.ts";
import type { RunState } from "../../core/state/state.ts";

const ofSteps = callKey("run", "");

type Abandoned = FactOf<"step.abandoned">;

export class Abandonments {
  #facts: Abandoned[] = [];

  /** This attempt was abandoned. */
  note(key: string, { id, attempt }: Flight): void {
    const { number, startedAt } = attempt;
    if (key.startsWith(ofSteps)) this.#facts.push({ kind: "step.abandoned", step: id, attempt: number, startedAt });
  }

  /** The facts that go on record ahead of `stopping`, which abandons attempts; the end of the run abandons all in flight. */
  take(stopping: readonly Fact[], inFlight: ReadonlyMap<string, Flight>, state: RunState): readonly Fact[] {
    if (stopping.some(isEnd)) for (const [key, flight] of inFlight) this.note(key, flight);
    const facts = this.takeNoted();
    const noted = new Set(facts.map(({ step }) => step));
    return [...facts, ...abandonedOrders(stopping, state).filter(({ step }) => !noted.has(step))];
  }

  /** The abandoned attempts of which that is not on record; handed out once. */
  takeNoted(): readonly Abandoned[] {
    const facts = this.#facts;
    this.#facts = [];
    return facts;
  }
}

/** The requests at couriers that these facts abandon. It follows from the record: no handler need be in memory. */
export function abandonedOrders(stopping: readonly Fact[], state: RunState): Abandoned[] {
  const awaited = new Set(stopping.flatMap((fact) => (fact.kind === "run.cancel_requested" ? fact.awaited : [])));
  return dispatchedCalls(state).flatMap(({ id, order: { attempt, startedAt } }) => {
    return awaited.has(id) ? [] : [{ kind: "step.abandoned", step: id, attempt, startedAt }];
  });
}
