/** Copies entries from the history of another run, or from the run's own previous incarnation. */
import type { Entry, Fact } from "./entry.ts";
import type { ForkPlan } from "../lifecycle/fork.ts";
import { defined } from "../record.ts";
import type { Stored } from "../value/value.ts";

/**
 * The facts of a fork after its `run.created`.
 * @param entries at least those that the plan copies, in order
 * @param at the instant of the fork, epoch ms
 * @param createdSeq the `seq` of its `run.created`
 */
export function forkedFacts(
  entries: Iterable<Entry>,
  plan: Pick<ForkPlan, "copied" | "given">,
  results: ReadonlyMap<string, Stored>,
  at: number,
  createdSeq = 1,
): Fact[] {
  const facts: Fact[] = [];
  const copied = new Set(plan.copied);
  const signals = new Map<number, number>();
  for (const entry of entries) {
    if (!copied.has(entry.seq)) continue;
    facts.push(copyOf(entry, results, signals, at));
    if (entry.kind === "signal.received") signals.set(entry.seq, createdSeq + facts.length);
  }
  for (const { step, child, sensitive } of plan.given) {
    const result = results.get(step);
    if (result === undefined) continue;
    if (child !== null) facts.push({ kind: "child.completed", step, child, output: result });
    else facts.push(completed(step, 1, at, result, sensitive ? { sensitive } : {}));
  }
  return facts;
}

/** The copy of an entry for the fork. */
function copyOf(
  entry: Entry,
  results: ReadonlyMap<string, Stored>,
  signals: ReadonlyMap<number, number>,
  at: number,
): Fact {
  const { seq: _seq, at: endedAt, used: _used, ...fact } = entry;
  // Durations are kept.
  const moved = (startedAt: number): number => at - (endedAt - startedAt);
  switch (fact.kind) {
    case "step.completed":
    case "step.failed": {
      const startedAt = moved(fact.startedAt);
      const result = results.get(fact.step);
      if (result === undefined) return { ...fact, startedAt };
      if (fact.kind === "step.completed") {
        const { omitted: _omitted, ...kept } = fact;
        return { ...kept, startedAt, result };
      }
      return completed(fact.step, fact.attempt, startedAt, result, fact);
    }
    case "step.attempt_failed":
      return { ...fact, startedAt: moved(fact.startedAt) };
    case "signal.consumed":
      return { ...fact, signal: signals.get(fact.signal) ?? fact.signal };
    case "child.started":
      // It is not a child of the fork, which therefore never stops it.
      if (fact.startedAt === undefined) return { ...fact, policy: "abandon" };
      return { ...fact, policy: "abandon", startedAt: moved(fact.startedAt) };
    case "child.completed":
    case "child.failed": {
      const output = results.get(fact.step);
      if (output === undefined || fact.child === undefined) return fact;
      return { kind: "child.completed", step: fact.step, child: fact.child, output };
    }
    default:
      return fact;
  }
}

function completed(
  step: string,
  attempt: number,
  startedAt: number,
  result: Stored,
  { sensitive }: { readonly sensitive?: true },
): Fact {
  return { kind: "step.completed", step, attempt, startedAt, result, ...defined({ sensitive }) };
}
