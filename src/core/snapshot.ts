/** How a run looks from outside, made from its state. */
import { describeMs } from "./duration.ts";
import type { Place, RunSnapshot, RunStatus, Waiting } from "./run.ts";
import type { Call, RunState } from "./state.ts";
import { noUsage } from "./usage.ts";
import { callKey } from "./state.ts";

/** What only the memory of the run knows. */
export type Activity = {
  /** Attempts in flight. */
  readonly running: number;
  /** The handler is at work. */
  readonly busy: boolean;
  /** Why the run cannot be driven by this deployment. */
  readonly stuck: string | null;
  /** Where it stands in the lanes that hold it, as far as they were asked. */
  readonly places?: ReadonlyMap<string, Place>;
};

/** @param now epoch ms, for the sentence in `reason` only. */
export function snapshot(state: RunState, activity: Activity, now: number): RunSnapshot {
  const { created, end } = state;
  if (created === null) throw new Error("a run that was never created cannot be shown");
  const waitingFor = end === null ? openWaits(state, activity) : [];
  const status = statusOf(state, activity, waitingFor);
  return {
    id: created.id,
    workflow: created.workflow,
    version: created.version,
    status,
    input: created.input,
    output: end?.kind === "run.completed" ? end.output : null,
    error: end === null ? (state.paused?.error ?? null) : end.kind === "run.completed" ? null : end.error,
    labels: created.labels,
    progress: state.progress,
    parent: created.parent,
    schedule: created.schedule,
    fork: created.fork === undefined ? null : { id: created.fork.id, step: created.fork.step },
    createdAt: created.continuation?.createdAt ?? created.at,
    startedAt: state.startedAt,
    updatedAt: state.at,
    finishedAt: end?.at ?? null,
    waitingFor,
    reason: reasonOf(state, activity, status, waitingFor, now),
    steps: { ...state.steps, running: activity.running },
    active: [],
    usage: noUsage,
    tallies: {},
    trace: "",
    seq: state.seq,
  };
}

function statusOf(state: RunState, activity: Activity, waitingFor: readonly Waiting[]): RunStatus {
  const { end } = state;
  if (end !== null)
    return end.kind === "run.completed" ? "completed" : end.kind === "run.failed" ? "failed" : "cancelled";
  if (state.paused !== null) return "paused";
  if (state.startedAt === null) return "queued";
  if (activity.stuck !== null) return "waiting";
  if (!activity.busy && state.queued.size > 0) return "queued";
  return activity.busy || waitingFor.length === 0 ? "running" : "waiting";
}

function openWaits(state: RunState, { places }: Activity): Waiting[] {
  const { created, startedAt } = state;
  const lanes = [...state.queued.values()].map(({ lane, at }): Waiting => {
    const place = places?.get(lane);
    const wait = { kind: "lane", name: lane, since: at, until: null } as const;
    return place === undefined ? wait : { ...wait, ...place };
  });
  if (created !== null && startedAt === null) {
    if (created.startAt === null || lanes.length > 0) return lanes;
    return [{ kind: "start", name: created.workflow, since: created.at, until: created.startAt }];
  }
  const waits: Waiting[] = lanes;
  for (const call of state.calls.values()) {
    if (call.done || state.marked.has(`step.removed:${callKey(call.kind, call.id)}`)) continue;
    // Of a run that is being undone, nothing else matters any more.
    if (state.ending === null || call.kind === "undo") waits.push(...waitOf(call));
  }
  if (state.ending === null) waits.push(...heardOf(state));
  return waits;
}

/** What `onSignal` takes is waited for as long as the run goes on. */
function heardOf({ listeners, startedAt }: RunState): Waiting[] {
  return [...listeners].map((name) => ({ kind: "signal", name, since: startedAt ?? 0, until: null }));
}

function waitOf(call: Call): Waiting[] {
  const { name, since, until } = call;
  switch (call.kind) {
    case "run":
    case "undo":
      return call.retryAt === null ? [] : [{ kind: "retry", name: call.id, since, until: call.retryAt }];
    case "child":
      return call.child === null ? [] : [{ kind: "run", name: call.child.id, since, until }];
    case "sleep":
      return [{ kind: "timer", name, since, until }];
    case "wait":
      return [{ kind: "signal", name, since, until }];
    case "webhook":
      return call.url === null ? [] : [{ kind: "webhook", name, since, until, url: call.url }];
    default:
      return call.kind satisfies never;
  }
}

function reasonOf(
  state: RunState,
  activity: Activity,
  status: RunStatus,
  waitingFor: readonly Waiting[],
  now: number,
): string | null {
  switch (status) {
    case "completed":
      return null;
    case "running":
      return ending(state);
    case "failed":
    case "cancelled":
      return state.end !== null && state.end.kind !== "run.completed" ? state.end.error.message : null;
    case "paused":
      return `paused by ${state.paused?.by}${state.paused?.reason ? `: ${state.paused.reason}` : ""}`;
    case "queued":
    case "waiting":
      return activity.stuck ?? ending(state) ?? foremost(waitingFor, state, now);
    default:
      return status satisfies never;
  }
}

/** A run that is on its way to its end says so before anything else. */
function ending({ ending, cancelling, undone, notUndone }: RunState): string | null {
  if (ending !== null) {
    const done = undone.length + notUndone.length;
    return `undoing its steps, ${done} of ${ending.steps.length} so far: ${ending.error.message}`;
  }
  if (cancelling === null) return null;
  return `being cancelled by ${cancelling.by}${cancelling.reason === null ? "" : `: ${cancelling.reason}`}`;
}

/** What holds it, then somebody who is waited for, then a clock; of these the wait that ends first. */
function foremost(waitingFor: readonly Waiting[], state: RunState, now: number): string | null {
  const [first] = waitingFor.toSorted(
    (one, other) =>
      rank(one) - rank(other) || (one.until ?? Infinity) - (other.until ?? Infinity) || one.since - other.since,
  );
  if (first === undefined) return null;
  const others = waitingFor.length > 1 ? ` (and ${waitingFor.length - 1} more)` : "";
  return `${sentence(first, state, now)}${others}`;
}

function rank({ kind }: Waiting): number {
  if (kind === "lane") return 0;
  return kind === "timer" || kind === "retry" || kind === "start" ? 2 : 1;
}

function sentence(wait: Waiting, state: RunState, now: number): string {
  const left = wait.until === null ? "" : describeMs(Math.max(0, wait.until - now));
  const since = `since ${new Date(wait.since).toISOString()}`;
  switch (wait.kind) {
    case "start":
      return `starts in ${left}`;
    case "timer":
      return `sleeping (${wait.name}) for another ${left}`;
    case "retry": {
      const call = state.calls.get(callKey("run", wait.name)) ?? state.calls.get(callKey("undo", wait.name));
      const cause = call?.lastError ? `: ${call.lastError.message}` : "";
      return `next attempt of ${wait.name} in ${left} (attempt ${call?.attempts ?? 0} failed${cause})`;
    }
    case "lane": {
      const { position, used, limit } = wait;
      if (position === undefined) return `waiting for a slot in lane ${wait.name} ${since}`;
      return `${ordinal(position)} in lane ${wait.name}, ${used ?? 0} of ${limit ?? "unlimited"} slots in use`;
    }
    case "signal":
    case "webhook":
    case "run":
      return `waiting for ${wait.kind} ${wait.name} ${since}${left === "" ? "" : `, times out in ${left}`}`;
    default:
      return wait.kind satisfies never;
  }
}

/** `37th` */
function ordinal(count: number): string {
  const teen = count % 100 >= 11 && count % 100 <= 13;
  const ending = teen ? "th" : (["th", "st", "nd", "rd"][count % 10] ?? "th");
  return `${count}${ending}`;
}
