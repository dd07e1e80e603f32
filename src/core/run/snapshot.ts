/** Makes a run's snapshot, as it looks from outside, from its state. */
import { endError, endStatus } from "../history/end.ts";
import type { EntryOf } from "../history/entry.ts";
import { firstCreatedAt } from "./origin.ts";
import type { ChildRun } from "./origin.ts";
import { inLine, maxWords } from "../sentence/phrase.ts";
import { reasonAt, standingOf } from "./reason.ts";
import type { ActiveAttempt, NextAttempt, QueuePosition, RunSnapshot, RunStatus, Waiting } from "./run.ts";
import { dispatchedCalls } from "../state/dispatched.ts";
import { openCalls, wasRemoved } from "../state/state.ts";
import type { Call, RunState } from "../state/state.ts";
import { foremostTallies, shownTallies } from "../state/tally.ts";
import { formatTrace, runTrace } from "../trace/trace.ts";
import type { Usage } from "./usage.ts";

/** An attempt in flight; instants are epoch ms. Its time is limited by the record where `timeoutAt` is Infinity. */
export type Flight = {
  readonly id: string;
  readonly attempt: { readonly number: number; readonly startedAt: number; readonly timeoutAt: number };
};

/** The part of a run that is only in memory. */
export type Activity = {
  /** Attempts in flight, or about to be. */
  readonly running: number;
  /** Those in flight, by the keys of their calls, the oldest first. */
  readonly inFlight: ReadonlyMap<string, Flight>;
  /** The handler is executing. */
  readonly busy: boolean;
  /** Why the run cannot be driven by this deployment. */
  readonly stuck: string | null;
  /** The updates that its handler takes; where it rests at no call of `step`, it waits for one of them. */
  readonly updates?: readonly string[];
  /** The children that it is starting. */
  readonly starting?: readonly ChildRun[];
  /** Its positions in the lanes that it waits for, as far as they were asked. */
  readonly places?: ReadonlyMap<string, QueuePosition>;
  /** What the run has taken by now, where that is measured. */
  readonly usage?: Usage;
};

const maxActive = 20;

/** The part of a snapshot that is cheap to make, to see whether a run has changed. */
export type Glance = Pick<
  RunSnapshot,
  "id" | "status" | "waitingFor" | "schedule" | "fork" | "createdAt" | "updatedAt" | "finishedAt"
>;

export function glance(state: RunState, memory: Activity): Glance {
  return outline(state, memory).glance;
}

/** @param now epoch ms, for the sentence in `reason` only. */
export function snapshot(state: RunState, memory: Activity, now: number): RunSnapshot {
  const { created, glance, activity } = outline(state, memory);
  const { end } = state;
  const { status, waitingFor } = glance;
  const standing = standingOf(state, status, activity);
  const steps = { ...state.steps, running: activity.running };
  const active = end === null ? activeOf(state, activity) : [];
  return {
    ...glance,
    workflow: created.workflow,
    version: created.version,
    input: created.input,
    output: end?.kind === "run.completed" ? end.output : null,
    error: end === null ? (state.paused?.error ?? null) : endError(end),
    labels: created.labels,
    progress: state.progress,
    parent: created.parent,
    startedAt: state.startedAt,
    ...standing,
    reason: reasonAt({ status, waitingFor, ...standing, steps, active }, now),
    steps,
    active,
    usage: activity.usage ?? state.used,
    tallies: Object.fromEntries(foremostTallies(state.tallies, shownTallies)),
    trace: formatTrace(runTrace(created)),
    seq: state.seq,
  };
}

function outline(
  state: RunState,
  memory: Activity,
): { readonly created: EntryOf<"run.created">; readonly activity: Activity; readonly glance: Glance } {
  const { creation: created, end } = state;
  const activity = end === null ? withOrders(state, memory) : memory;
  const waitingFor = end === null ? openWaits(state, activity) : [];
  const glance: Glance = {
    id: created.id,
    status: statusOf(state, activity, waitingFor),
    waitingFor,
    schedule: created.schedule,
    fork: created.fork === undefined ? null : { id: created.fork.id, step: created.fork.step },
    createdAt: firstCreatedAt(created),
    // Entries after the end, as of a late call of a webhook, do not count.
    updatedAt: end?.at ?? state.at,
    finishedAt: end?.at ?? null,
  };
  return { created, activity, glance };
}

/** Adds the attempts that couriers make, which the memory of the run may not know of. */
function withOrders(state: RunState, activity: Activity): Activity {
  const out = dispatchedCalls(state);
  if (out.length === 0) return activity;
  const unseen = out.filter(({ key }) => !activity.inFlight.has(key));
  const flights = unseen.map(({ key, id, order }): [string, Flight] => [
    key,
    { id, attempt: { number: order.attempt, startedAt: order.startedAt, timeoutAt: Infinity } },
  ]);
  const inFlight = new Map([...flights, ...activity.inFlight]);
  return { ...activity, inFlight, busy: true, running: activity.running + unseen.length };
}

/** Stops at the number that is shown: there may be thousands. */
function activeOf({ calls, paused }: RunState, { inFlight }: Activity): ActiveAttempt[] {
  const active: ActiveAttempt[] = [];
  for (const [key, { id, attempt }] of inFlight) {
    if (active.length === maxActive) break;
    const { limit = null, until = null } = calls.get(key) ?? {};
    // What a courier makes times out by the record, which a pause puts off.
    const recorded = paused === null ? (until ?? Infinity) : Infinity;
    const timeoutAt = Number.isFinite(attempt.timeoutAt) ? attempt.timeoutAt : recorded;
    active.push({
      ...{ step: id, attempt: attempt.number, since: attempt.startedAt },
      ...(limit === null ? {} : { of: limit }),
      ...(Number.isFinite(timeoutAt) ? { until: timeoutAt } : {}),
    });
  }
  return active;
}

function statusOf(state: RunState, activity: Activity, waitingFor: readonly Waiting[]): RunStatus {
  const { end } = state;
  if (end !== null) return endStatus(end);
  if (state.paused !== null) return "paused";
  if (state.startedAt === null) return "queued";
  if (activity.stuck !== null) return "waiting";
  if (!activity.busy && state.queued.size > 0) return "queued";
  const { busy, updates = [] } = activity;
  return busy || waitingFor.length + updates.length === 0 ? "running" : "waiting";
}

function openWaits(state: RunState, { places, inFlight }: Activity): Waiting[] {
  const { created, startedAt, delayedAt } = state;
  const waits = [...state.queued.values()].map(({ lane, at }): Waiting => {
    const place = places?.get(lane);
    const wait = { kind: "lane", name: lane, since: at, until: null } as const;
    return place === undefined ? wait : { ...wait, ...place };
  });
  if (created !== null && startedAt === null) {
    if (created.startAt === null || waits.length > 0) return waits;
    return [{ kind: "start", name: created.workflow, since: delayedAt, until: created.startAt }];
  }
  const inLine = new Set([...state.queued.values()].map(({ step }) => step));
  for (const call of openCalls(state)) {
    if (wasRemoved(state, call.key)) continue;
    // A call that is executing, or waits for its slot, does not wait for a time.
    if (inFlight.has(call.key) || (call.kind === "run" && inLine.has(call.id))) continue;
    waits.push(...waitOf(call));
  }
  if (state.ending === null) waits.push(...listenersOf(state));
  return waits;
}

/** Signals of `onSignal` are waited for as long as the run has not ended. */
function listenersOf({ listeners, startedAt }: RunState): Waiting[] {
  return [...listeners].map((name) => ({ kind: "signal", name, since: startedAt ?? 0, until: null, listener: true }));
}

function waitOf(call: Call): Waiting[] {
  const { name, since, until } = call;
  switch (call.kind) {
    case "run":
    case "undo":
      return call.retryAt === null
        ? []
        : [{ kind: "retry", name: call.id, since, until: call.retryAt, ...nextOf(call) }];
    case "child":
      if (call.child === null) return [];
      return [{ kind: "run", name: call.child.id, since, until, workflow: call.child.workflow }];
    case "sleep":
      return [{ kind: "timer", name, since, until }];
    case "wait":
      return [{ kind: "signal", name, since, until }];
    case "webhook":
      return call.address === null ? [] : [{ kind: "webhook", name, since, until, url: call.address }];
    default:
      return call.kind satisfies never;
  }
}

function nextOf({ kind, attempts, limit, lastError }: Call): Partial<NextAttempt> {
  const error = inLine(lastError?.message ?? "", maxWords);
  return {
    attempt: attempts + 1,
    ...(limit === null ? {} : { of: limit }),
    ...(error === "" ? {} : { error }),
    ...(kind === "undo" ? { undo: true } : {}),
  };
}
