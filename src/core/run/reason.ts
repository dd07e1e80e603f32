/** Why a run does not go on, in one true sentence for people. */
import { describeMs } from "../duration.ts";
import { endError } from "../history/end.ts";
import { attemptOf, because, inLine, named, napName, ordinal, timeOf, untilText } from "../sentence/phrase.ts";
import type { ActiveAttempt, RunSnapshot, RunStatus, RunSummary, Waiting } from "./run.ts";
import type { ChildRun } from "./origin.ts";
import type { RunState } from "../state/state.ts";

/** The parts of a run that its sentence is made from. */
export type Explained = Pick<RunSummary, "status" | "waitingFor" | "reason" | "lead"> &
  Partial<Pick<RunSnapshot, "active" | "steps">>;

/**
 * A piece of the sentence: words, or an instant (epoch ms) that is shown as a time (`time`), as `in 4 min`, and `now` once it
 * has come (`in`), or as the time left, `4 min` (`left`).
 */
export type Piece = string | { readonly at: number; readonly form: "time" | "in" | "left" };

/** Characters of a reason. */
export const maxReason = 500;

const idle = "running its handler, which is at no step";

/** One line of at most 500 characters, true at `now` (epoch ms); null where there is nothing to say. */
export function reasonAt(run: Explained, now: number): string | null {
  const pieces = piecesAt(run, now);
  return pieces.length === 0 ? null : inLine(pieces.map((piece) => pieceText(piece, now)).join(""), maxReason);
}

/** The same sentence, not cut, as pieces that stay true while the run itself does not change. */
export function piecesAt({ status, waitingFor, reason, lead, ...told }: Explained, now: number): readonly Piece[] {
  const { active } = told;
  if (status === "running" && lead === null && active !== undefined) {
    // Without an attempt in flight it starts a child, or the handler awaits something that is not a call of `step`.
    return active[0] === undefined ? [reason ?? idle] : work(active[0], told.steps?.running ?? 1);
  }
  const isHeld = status === "queued" || status === "waiting";
  // A run that was listed by an older deployment has only the sentence that was made then.
  const wait = isHeld && lead !== undefined ? foremost(waitingFor, now) : [];
  if (wait.length === 0) return reason === null ? [] : [reason];
  return typeof lead === "string" ? [`${lead}; `, ...wait] : wait;
}

/** @param now epoch ms */
function pieceText(piece: Piece, now: number): string {
  if (typeof piece === "string") return piece;
  switch (piece.form) {
    case "time":
      return timeOf(piece.at, now);
    case "in":
      return untilText(piece.at, now);
    case "left":
      return describeMs(piece.at - now);
    default:
      return piece.form satisfies never;
  }
}

/** Why the run cannot be driven by this deployment, the updates that its handler takes, and the children that it is starting. */
type Told = {
  readonly stuck: string | null;
  readonly updates?: readonly string[];
  readonly starting?: readonly ChildRun[];
};

/** The sentence about the run without what it waits for and what it is executing. */
export function standingOf(
  state: RunState,
  status: RunStatus,
  { stuck, updates = [], starting = [] }: Told,
): Pick<Explained, "reason" | "lead"> {
  switch (status) {
    case "completed":
      return { reason: null };
    case "failed":
    case "cancelled":
      return { reason: outcomeOf(state, status) };
    case "paused":
      return { reason: state.paused === null ? null : `paused ${byWhom(state.paused)}` };
    case "running": {
      const lead = endingReason(state);
      return { reason: lead ?? startOf(starting), lead };
    }
    case "queued":
    case "waiting": {
      if (stuck !== null) return { reason: stuck };
      const lead = endingReason(state);
      return { reason: lead ?? (status === "queued" ? "about to start" : forUpdates(updates)), lead };
    }
    default:
      return status satisfies never;
  }
}

/** What is said of a run that has no other wait. */
function forUpdates([name, ...more]: readonly string[]): string | null {
  return name === undefined ? null : `waiting for update ${named(name)}${others(more.length + 1)}`;
}

/** What is said of a run that is at no step while it starts these children. */
function startOf([child, ...more]: readonly ChildRun[]): string | null {
  return child === undefined ? null : `starting ${runText(child.id, child.workflow)}${others(more.length + 1)}`;
}

function runText(id: string, workflow?: string): string {
  return `run ${named(id)}${workflow === undefined ? "" : ` of workflow ${named(workflow)}`}`;
}

function outcomeOf({ end }: RunState, status: "failed" | "cancelled"): string {
  if (end?.kind === "run.cancelled" && isSomebody(end.by) && hows.has(end.error.code)) {
    return `${end.error.code} ${byWhom(end)}`;
  }
  const error = end === null ? null : endError(end);
  return inLine(error?.message ?? "", maxReason) || `${status} without a word of why`;
}

/** The codes of ends that somebody asked for. */
const hows: ReadonlySet<string | undefined> = new Set(["cancelled", "terminated"]);

function isSomebody(by: string): boolean {
  return by !== "engine" && by !== "workflow";
}

/** What is said first of a run that is ending; null for others. */
function endingReason({ ending, cancelling, undone, notUndone }: RunState): string | null {
  if (ending !== null) {
    const done = undone.length + notUndone.length;
    return `undoing its steps, ${done} of ${ending.steps.length} so far${because(ending.error.message)}`;
  }
  return cancelling === null ? null : `being cancelled ${byWhom(cancelling)}`;
}

function byWhom({ by, reason }: { readonly by: string; readonly reason: string | null }): string {
  return `by ${named(by)}${because(reason)}`;
}

/** The oldest attempt in flight of `count`; the number is shown from the second on. */
function work({ step, attempt, of, since }: ActiveAttempt, count: number): readonly Piece[] {
  const which = attempt === 1 ? "" : ` (${attemptOf(attempt, of ?? null)})`;
  return [`running ${named(step)}${which} since `, time(since), others(count)].filter((piece) => piece !== "");
}

function others(count: number): string {
  return count > 1 ? ` (and ${count - 1} more)` : "";
}

/** The most important wait: lanes, then signals, webhooks and runs, then timers, then listeners; of equals, the first to end. */
function foremost(waitingFor: readonly Waiting[], now: number): readonly Piece[] {
  const [first] = waitingFor.toSorted(
    (one, other) =>
      rank(one) - rank(other) || (one.until ?? Infinity) - (other.until ?? Infinity) || one.since - other.since,
  );
  if (first === undefined) return [];
  return [...sentence(first, now), others(waitingFor.length)].filter((piece) => piece !== "");
}

function rank({ kind, listener }: Waiting): number {
  if (kind === "lane") return 0;
  if (listener === true) return 3;
  return kind === "timer" || kind === "retry" || kind === "start" ? 2 : 1;
}

function sentence(wait: Waiting, now: number): readonly Piece[] {
  const name = named(wait.name);
  const since = [" since ", time(wait.since)];
  const giveUp = wait.until === null ? [] : [", times out ", when(wait.until)];
  switch (wait.kind) {
    case "start":
      return ["starts ", when(wait.until ?? now)];
    case "timer":
      return sleepPieces(wait.name, wait.until ?? now, now);
    case "retry":
      return nextAttempt(wait, now);
    case "lane": {
      const { position, used = 0, limit = null } = wait;
      if (position === undefined) return [`waiting for a slot in lane ${name}`, ...since];
      const slots = limit !== null ? `${used} of ${limit} slots` : used === 1 ? "1 slot" : `${used} slots`;
      return [`${ordinal(position)} in lane ${name}, ${slots} in use`];
    }
    case "run":
      return [`waiting for ${runText(wait.name, wait.workflow)}`, ...since, ...giveUp];
    case "signal":
    case "webhook":
      return [`waiting for ${wait.kind} ${name}`, ...since, ...giveUp];
    default:
      return wait.kind satisfies never;
  }
}

function sleepPieces(name: string, until: number, now: number): readonly Piece[] {
  const what = `sleeping${napName(name)}`;
  if (until <= now) return [`${what}, and due to wake`];
  return [`${what} for another `, { at: until, form: "left" }, ", until ", time(until)];
}

/** A wait for the next attempt of a step, or of undoing one. */
function nextAttempt({ name, until, attempt = 1, of, error, undo }: Waiting, now: number): readonly Piece[] {
  const what = `next attempt ${undo === true ? "to undo" : "of"} ${named(name)} `;
  return [what, when(until ?? now), ` (${attemptOf(attempt, of ?? null)}${because(error)})`];
}

function when(until: number): Piece {
  return { at: until, form: "in" };
}

function time(at: number): Piece {
  return { at, form: "time" };
}
