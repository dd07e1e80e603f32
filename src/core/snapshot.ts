/** How a run looks from outside, made from its state. */
import { describeMs } from "./duration.ts";
import type { RunSnapshot, RunStatus, Waiting } from "./run.ts";
import type { Call, RunState } from "./state.ts";
import { callKey } from "./state.ts";

/** What only the memory of the run knows. */
export type Activity = {
  /** Attempts in flight. */
  readonly running: number;
  /** The handler is at work. */
  readonly busy: boolean;
  /** Why the run cannot be driven by this deployment. */
  readonly stuck: string | null;
};

/** @param now epoch ms, for the sentence in `reason` only. */
export function snapshot(state: RunState, activity: Activity, now: number): RunSnapshot {
  const { created, end } = state;
  if (created === null) throw new Error("a run that was never created cannot be shown");
  const waitingFor = end === null ? openWaits(state) : [];
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
    createdAt: created.at,
    startedAt: state.startedAt,
    updatedAt: state.at,
    finishedAt: end?.at ?? null,
    waitingFor,
    reason: reasonOf(state, activity, status, waitingFor, now),
    steps: { ...state.steps, running: activity.running },
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
  return activity.busy || waitingFor.length === 0 ? "running" : "waiting";
}

function openWaits(state: RunState): Waiting[] {
  const { created, startedAt } = state;
  if (created !== null && startedAt === null) {
    if (created.startAt === null) return [];
    return [{ kind: "start", name: created.workflow, since: created.at, until: created.startAt }];
  }
  const waits: Waiting[] = [];
  for (const call of state.calls.values()) {
    if (!call.done && !state.marked.has(`step.removed:${callKey(call.kind, call.id)}`)) waits.push(...waitOf(call));
  }
  return waits;
}

function waitOf(call: Call): Waiting[] {
  const { name, since, until } = call;
  switch (call.kind) {
    case "run":
      return call.retryAt === null ? [] : [{ kind: "retry", name: call.id, since, until: call.retryAt }];
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
    case "running":
      return null;
    case "failed":
    case "cancelled":
      return state.end !== null && state.end.kind !== "run.completed" ? state.end.error.message : null;
    case "paused":
      return `paused by ${state.paused?.by}${state.paused?.reason ? `: ${state.paused.reason}` : ""}`;
    case "queued":
    case "waiting":
      return activity.stuck ?? foremost(waitingFor, state, now);
    default:
      return status satisfies never;
  }
}

/** Somebody who is waited for speaks for the run before a clock does; then the wait that ends first. */
function foremost(waitingFor: readonly Waiting[], state: RunState, now: number): string | null {
  const [first] = waitingFor.toSorted(
    (one, other) =>
      Number(isTimed(one)) - Number(isTimed(other)) ||
      (one.until ?? Infinity) - (other.until ?? Infinity) ||
      one.since - other.since,
  );
  if (first === undefined) return null;
  const others = waitingFor.length > 1 ? ` (and ${waitingFor.length - 1} more)` : "";
  return `${sentence(first, state, now)}${others}`;
}

function isTimed({ kind }: Waiting): boolean {
  return kind === "timer" || kind === "retry" || kind === "start";
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
      const call = state.calls.get(callKey("run", wait.name));
      const cause = call?.lastError ? `: ${call.lastError.message}` : "";
      return `next attempt of ${wait.name} in ${left} (attempt ${call?.attempts ?? 0} failed${cause})`;
    }
    case "signal":
    case "webhook":
    case "run":
    case "lane":
      return `waiting for ${wait.kind} ${wait.name} ${since}${left === "" ? "" : `, times out in ${left}`}`;
    default:
      return wait.kind satisfies never;
  }
}
