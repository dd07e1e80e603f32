/** The new journal of a run that goes on as new, or is restarted. */
import { dequal } from "dequal";
import { authorOf } from "../author.ts";
import type { RequestMetadata } from "../author.ts";
import { awaitedChildren, givenUp } from "./child.ts";
import type { Definition } from "../definition/definition.ts";
import type { EntryOf, Fact, FactOf } from "../history/entry.ts";
import { HoldfastError, storeError } from "../error.ts";
import { needsOf } from "../lane/flow.ts";
import { givenLabels, labelsOf } from "../definition/label.ts";
import { defined } from "../record.ts";
import type { ChildRun, Continuation, KeptAction, KeptUpdate, UpdateEnd } from "../run/origin.ts";
import { firstCreatedAt } from "../run/origin.ts";
import type { RunState } from "../state/state.ts";
import { foremostTallies, shownTallies } from "../state/tally.ts";
import { kindOf } from "../lane/ticket.ts";
import { decode } from "../value/value.ts";
import type { Stored } from "../value/value.ts";

/** How many idempotency keys of each kind are kept, the newest, and how much text they may be with what they stand for. */
const maxKeys = 1000;
const maxKeyText = 1_000_000;

/** How one incarnation of a run differs from the one before. */
export type Incarnation = Pick<EntryOf<"run.created">, "input" | "labels" | "lanes">;

/**
 * The next incarnation of a run, as today's code makes it from this input. Labels given at the start stay, and so does the key of
 * its singleton, since the run has not ended.
 * @throws HoldfastError label_invalid, input_invalid: a label, a key or the priority cannot be made from the input
 */
export function nextIncarnation(definition: Definition, created: EntryOf<"run.created">, input: Stored): Incarnation {
  const { singleton: _own, ...flow } = definition.flow;
  const kept = created.lanes?.filter(({ lane }) => kindOf(lane) === "singleton") ?? [];
  // No throttle: this is not a new start.
  const needs = needsOf({ ...definition, flow }, decode(input)).filter(({ periodMs }) => periodMs === null);
  const lanes = [...kept, ...needs];
  return {
    input,
    labels: labelsOf(definition, input, givenLabels(created, definition.labels), created.labels),
    ...(created.lanes === undefined && lanes.length === 0 ? {} : { lanes }),
  };
}

/**
 * The whole new journal of a run that goes on as new: the same run with another input. Signals that were not consumed stay
 * buffered, in the order in which they came.
 * @param starting children that open calls are having started
 */
export function continuationOf(
  state: RunState,
  next: Incarnation,
  deployment: string,
  starting: readonly ChildRun[],
): Fact[] {
  const signals = unconsumed(state);
  const received = signals.map(({ seq: _was, at: _came, used: _taken, ...signal }): Fact => signal);
  const started: Fact[] = isSettled(state.creation, next) ? [{ kind: "run.started", deployment }] : [];
  return [
    renewedOf(state, next, signals),
    ...started,
    ...orphanStarts(state, [...awaitedChildren(state.open), ...starting]),
    ...received,
  ];
}

/**
 * The whole new journal of an ended run that is restarted: signals and updates of the incarnation that ended are dropped, except
 * for the kept `facts`. Whoever asked for the restart is recorded as its author. It asks for its slots again.
 */
export function restartOf(
  state: RunState,
  next: Incarnation & { readonly version: string },
  { reason, ...author }: RequestMetadata,
  deployment: string,
  { step, facts }: Kept,
): Fact[] {
  const waits = next.lanes?.some(({ scope }) => scope === "run") === true;
  const started: Fact[] = waits ? [] : [{ kind: "run.started", deployment }];
  const { id, at, seed = `${id}:${at}` } = state.creation;
  const { role: _role, reason: _reason, continuation, ...renewed } = renewedOf(state, next, facts.filter(isSignal));
  const created: Renewed = {
    ...renewed,
    ...authorOf(author),
    ...(reason === null ? {} : { reason }),
    // Kept results may come from random numbers, which must be the same again.
    ...(step === null ? {} : { seed }),
    continuation: { ...continuation, restarted: { step, upTo: facts.length === 0 ? 0 : state.seq + 1 + facts.length } },
  };
  const kept = facts.flatMap((fact) => (fact.kind === "child.started" && fact.detached ? [fact.child] : []));
  return [created, ...facts, ...started, ...orphanStarts(state, kept)];
}

/** What a restarted run keeps of its history. */
export type Kept = {
  /** The step that it restarts from; null: the start. */
  readonly step: string | null;
  readonly facts: readonly Fact[];
};

function isSignal(fact: Fact): fact is FactOf<"signal.received"> {
  return fact.kind === "signal.received";
}

type Renewed = FactOf<"run.created"> & { readonly continuation: Continuation };

/** @param signals that are carried over */
function renewedOf(state: RunState, next: Incarnation, signals: readonly FactOf<"signal.received">[]): Renewed {
  const { creation: created, actionKeys, debounceKeys, tallies } = state;
  const actions = [...actionKeys].map(([key, action]): KeptAction => ({ key, ...action }));
  const firstLabels = created.continuation?.labels ?? created.labels;
  // Without a seed: random numbers of this incarnation differ from those of the last.
  const { seq: _seq, at: _at, used: _used, seed: _seed, ...before } = created;
  return {
    ...before,
    ...next,
    // A repeated start is compared with what started the first incarnation.
    sent: state.sent ?? created.input,
    startAt: null,
    notAfter: null,
    continuation: {
      count: (created.continuation?.count ?? 0) + 1,
      createdAt: firstCreatedAt(created),
      keys: newestKeys(state, new Set(signals.map(({ key }) => key))),
      ...defined({
        updates: unlessEmpty(newestUpdates(state)),
        actions: unlessEmpty(newestOf(actions, jsonLength)),
        // By these, a repeated start finds the run that a debounce merged it into.
        debounced: unlessEmpty([...debounceKeys].slice(-maxKeys)),
        tallies: unlessEmpty(foremostTallies(tallies, shownTallies)),
        // With these, a repeated start is compared.
        labels: dequal(firstLabels, next.labels) ? undefined : firstLabels,
      }),
    },
  };
}

function unlessEmpty<Item>(items: readonly Item[]): readonly Item[] | undefined {
  return items.length === 0 ? undefined : items;
}

/** Whether the run already holds the slots that it needs. If not, it begins once it has them, as any run does. */
function isSettled(before: Pick<Incarnation, "lanes">, after: Pick<Incarnation, "lanes">): boolean {
  const [held, needed] = [before, after].map(({ lanes = [] }) =>
    lanes.flatMap(({ lane, scope, periodMs }) => (scope === "run" && periodMs === null ? [lane] : [])),
  );
  return dequal(held, needed);
}

/**
 * Carries over the orphaned children that have not been told to stop. No call of the code has such an id, because
 * occurrences count from 1.
 * @param left those that are left alone: open ones, or where the new journal keeps their `start`
 */
function orphanStarts({ orphans }: RunState, left: readonly ChildRun[]): Fact[] {
  const ids = new Set(left.map(({ id }) => id));
  const lost = [...orphans.values()].filter(({ child }) => !ids.has(child.id));
  return givenUp(
    lost.map(({ child, policy }) => ({ kind: "child.started", step: `${child.id}#0`, child, policy, until: null })),
  );
}

function unconsumed({ inboxes }: RunState): EntryOf<"signal.received">[] {
  const signals = [...inboxes.values()].flatMap((inbox) => inbox.list());
  return signals.toSorted((one, other) => one.seq - other.seq);
}

/** The newest of these that may be kept, oldest first. @param lengthOf how much text one is */
function newestOf<Kept>(all: readonly Kept[], lengthOf: (one: Kept) => number): Kept[] {
  const kept: Kept[] = [];
  let left = maxKeyText;
  for (const one of all.toReversed()) {
    left -= lengthOf(one);
    if (left < 0 || kept.length === maxKeys) break;
    kept.push(one);
  }
  return kept.toReversed();
}

function jsonLength(value: object): number {
  return JSON.stringify(value).length;
}

/** Without the keys of signals that are carried over: these bring their own. */
function newestKeys({ signalKeys }: RunState, along: ReadonlySet<string | undefined>): Continuation["keys"] {
  const keys = [...signalKeys].map(([key, { name, payload }]) => ({ key, name, payload }));
  const others = keys.filter(({ key }) => !along.has(key));
  return newestOf(others, ({ key, name, payload }) => key.length + name.length + payload.length);
}

/** By these, a caller who got no answer can repeat an update without its being done twice. */
function newestUpdates({ updates, updateKeys }: RunState): KeptUpdate[] {
  const known = [...updateKeys].flatMap(([key, id]): KeptUpdate[] => {
    const update = updates.get(id);
    if (update === undefined) return [];
    const { name, sent, end } = update;
    return [{ key, id, name, sent, end: end ?? endedByContinuation() }];
  });
  return newestOf(known, jsonLength);
}

/** An update that is under way ends with the incarnation that it was asked of: what it did is done, and is not done again. */
function endedByContinuation(): UpdateEnd {
  const error = new HoldfastError("run_ended", "the run went on as new before the update ended");
  return { kind: "failed", error: storeError(error) };
}
