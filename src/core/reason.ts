/** Why a run does not go on, in one true sentence for people. */
import { describeMs } from "./duration.ts";
import { attemptOf, because, inLine, ordinal, timeOf } from "./phrase.ts";
import type { RunStatus, Waiting } from "./run.ts";
import { callKey } from "./state.ts";
import type { Call, RunState } from "./state.ts";

/** How the run stands, as its snapshot shows it. */
export type Standing = {
  readonly status: RunStatus;
  readonly waitingFor: readonly Waiting[];
  /** Why the run cannot be driven by this deployment. */
  readonly stuck: string | null;
};

const maxLength = 500;
/** What people wrote: names as far as they may go. */
const maxName = 256;

/**
 * One line of at most 500 characters, true at `now` (epoch ms); null where the run goes on by itself, or
 * has completed.
 */
export function reasonOf(state: RunState, { status, waitingFor, stuck }: Standing, now: number): string | null {
  const reason = say(state, status, waitingFor, stuck, now);
  return reason === null ? null : inLine(reason, maxLength);
}

function say(
  state: RunState,
  status: RunStatus,
  waitingFor: readonly Waiting[],
  stuck: string | null,
  now: number,
): string | null {
  switch (status) {
    case "completed":
      return null;
    case "failed":
    case "cancelled":
      return outcomeOf(state, status);
    case "running":
      return parting(state);
    case "paused":
      return state.paused === null ? null : `paused ${byWhom(state.paused)}`;
    case "queued":
    case "waiting": {
      if (stuck !== null) return stuck;
      const wait = foremost(waitingFor, state, now);
      const end = parting(state);
      if (end !== null) return wait === null ? end : `${end}; ${wait}`;
      return wait ?? (status === "queued" ? "about to start" : null);
    }
    default:
      return status satisfies never;
  }
}

function outcomeOf({ end }: RunState, status: "failed" | "cancelled"): string {
  const error = end === null || end.kind === "run.completed" ? null : end.error;
  return inLine(error?.message ?? "", maxLength) || `${status} without a word of why`;
}

/** A run that is on its way to its end says so before anything else. */
function parting({ ending, cancelling, undone, notUndone }: RunState): string | null {
  if (ending !== null) {
    const done = undone.length + notUndone.length;
    return `undoing its steps, ${done} of ${ending.steps.length} so far${because(ending.error.message)}`;
  }
  return cancelling === null ? null : `being cancelled ${byWhom(cancelling)}`;
}

function byWhom({ by, reason }: { readonly by: string; readonly reason: string | null }): string {
  return `by ${inLine(by, maxName)}${because(reason)}`;
}

/** What held it, then somebody who is waited for, then a clock; of these the wait that ends first. */
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
  const name = inLine(wait.name, maxName);
  const since = `since ${timeOf(wait.since, now)}`;
  const giveUp = wait.until === null ? "" : `, times out ${when(wait.until, now)}`;
  switch (wait.kind) {
    case "start":
      return `starts ${when(wait.until ?? now, now)}`;
    case "timer":
      return nap(wait.name, wait.until ?? now, now);
    case "retry":
      return nextAttempt(wait, state, now);
    case "lane": {
      const { position, used = 0, limit = null } = wait;
      if (position === undefined) return `waiting for a slot in lane ${name} ${since}`;
      return `${ordinal(position)} in lane ${name}, ${used}${limit === null ? "" : ` of ${limit}`} slots in use`;
    }
    case "run":
      return `waiting for run ${name}${workflowOf(wait.name, state)} ${since}${giveUp}`;
    case "signal":
    case "webhook":
      return `waiting for ${wait.kind} ${name} ${since}${giveUp}`;
    default:
      return wait.kind satisfies never;
  }
}

/** The name of a sleep that nobody gave one says nothing. */
function nap(name: string, until: number, now: number): string {
  const what = name === "sleep" ? "sleeping" : `sleeping (${inLine(name, maxName)})`;
  if (until <= now) return `${what}, and due to wake`;
  return `${what} for another ${describeMs(until - now)}, until ${timeOf(until, now)}`;
}

/** Of a step, or of the undoing of one. */
function nextAttempt({ name, until }: Waiting, state: RunState, now: number): string {
  const kind = state.ending === null ? "run" : "undo";
  const what = `next attempt ${kind === "run" ? "of" : "to undo"} ${inLine(name, maxName)}`;
  const { attempts = 0, limit = null, lastError = null }: Partial<Call> = state.calls.get(callKey(kind, name)) ?? {};
  return `${what} ${when(until ?? now, now)} (${attemptOf(attempts + 1, limit)}${because(lastError?.message ?? null)})`;
}

function workflowOf(run: string, { calls }: RunState): string {
  for (const { child } of calls.values()) {
    if (child?.id === run) return ` of workflow ${inLine(child.workflow, maxName)}`;
  }
  return "";
}

function when(at: number, now: number): string {
  return at <= now ? "now" : `in ${describeMs(at - now)}`;
}
