/**
 * What a schedule does next. Every function takes the state and the clock and returns the new state; nothing here waits,
 * stores or starts anything. `src/objects/schedule/firings.ts` does, in this order:
 * stateFor → judge → admit → release → start → acknowledge, refuse or defer → end.
 *
 * Invariants
 * 1. `lastSlotAt` never decreases, and only later slots are decided about: each at most once.
 * 2. No slot before `firstSeenAt` is decided about.
 * 3. A slot that was admitted is in `queue` or `starting` until its run is known to exist, or was refused.
 * 4. While `paused`, no slot is decided about and none is released; slots that come in that time never fire.
 */
import { authorOf } from "../author.ts";
import { backoffMs } from "../backoff.ts";
import { dayMs } from "../duration.ts";
import { cronOf } from "./cron.ts";
import { firingRunId } from "./schedule.ts";
import type { Rule, ScheduleError, SchedulePause } from "../service/schedules.ts";

/** A firing whose start has not been acknowledged. */
export type Starting = {
  readonly slotAt: number;
  readonly runId: string;
  readonly decidedAt: number;
  /** How many starts have failed for a temporary reason. */
  readonly attempts: number;
  readonly retryAt: number;
};

export type ScheduleState = {
  /** The rule's cron and zone. If it changes, the schedule begins anew, but fires no slot again. */
  readonly fingerprint: string;
  readonly firstSeenAt: number;
  /** The newest slot that was decided about, whatever the decision. */
  readonly lastSlotAt: number | null;
  /** Slots that wait for the run before them to end, oldest first. */
  readonly queue: readonly number[];
  readonly starting: readonly Starting[];
  /** The newest runs that have not ended, as far as is known. */
  readonly running: readonly string[];
  /** Those of them that somebody started or retried by hand, and when that was noted: just before the start itself. */
  readonly adopted: readonly { readonly runId: string; readonly at: number }[];
  /** When to ask the runs in `running` whether they have ended, while slots wait in `queue`. */
  readonly checkAt: number | null;
  readonly checks: number;
  readonly lastError: ScheduleError | null;
  /** When its rule was removed; null while it has one. */
  readonly removedAt: number | null;
  readonly paused: SchedulePause | null;
  /** When it was created or last resumed: runs that failed before that do not pause it. */
  readonly resumedAt: number | null;
  /** When a request created it; null for one in the code, and for one that an older version created. */
  readonly madeAt: number | null;
};

/** Up to so late a firing counts as on time, whatever its catch-up: alarms are not exact. */
const graceMs = 1_000;
const maxQueue = 1_000;
const removedKeptMs = 7 * dayMs;
const minGiveUpMs = 60_000;
/** How many runs `running` holds at most, the newest of those that overlap. */
const maxRunning = 100;
/** For how long a run that somebody started by hand, and that cannot be found, counts as about to be started. */
const comingMs = 30_000;
const maxRetryMs = 300_000;
/** After this long, a start is repeated whose outcome is not known because the process died. */
const watchMs = 1_000;

/** The state of a schedule whose rule is there now. */
export function stateFor(rule: Rule, state: ScheduleState | undefined, now: number): ScheduleState {
  const fingerprint = JSON.stringify([rule.cron, rule.timezone]);
  if (state === undefined) return { ...unseen, fingerprint, firstSeenAt: now };
  if (state.fingerprint === fingerprint && state.removedAt === null) return state;
  return { ...state, fingerprint, firstSeenAt: now, removedAt: null };
}

/** What is assumed of a field that a stored state does not have. */
export const unseen: ScheduleState = {
  fingerprint: "",
  firstSeenAt: 0,
  lastSlotAt: null,
  queue: [],
  starting: [],
  running: [],
  adopted: [],
  checkAt: null,
  checks: 0,
  lastError: null,
  removedAt: null,
  paused: null,
  resumedAt: null,
  madeAt: null,
};

/** The state of a schedule that a request creates: one that was removed before begins as if new, but fires no slot again. */
export function make(rule: Rule, state: ScheduleState | undefined, now: number): ScheduleState {
  const current = stateFor(rule, state, now);
  return { ...current, firstSeenAt: now, resumedAt: now, madeAt: now, paused: null, lastError: null };
}

export function pause(state: ScheduleState, asked: Omit<SchedulePause, "at">, now: number): ScheduleState {
  return state.paused === null ? { ...state, paused: { at: now, ...authorOf(asked), reason: asked.reason } } : state;
}

/** Has the queue looked at now, as after a change of the rule. */
export function recheckQueue(state: ScheduleState, now: number): ScheduleState {
  return state.queue.length === 0 ? state : { ...state, checkAt: now };
}

/** Slots from now on fire again; those that already wait in the queue are looked at now. */
export function resume(state: ScheduleState, now: number): ScheduleState {
  if (state.paused === null) return state;
  return recheckQueue({ ...state, paused: null, resumedAt: now, firstSeenAt: now }, now);
}

/**
 * The state of a schedule whose rule was removed. It is kept for 7 days, so that nothing fires twice if the rule comes back;
 * null after that. Slots that it had not started are dropped.
 */
export function retire(state: ScheduleState, now: number): ScheduleState | null {
  if (state.removedAt === null) {
    // Runs that were being started may exist: the process may have died right after it made one.
    const running = [...state.running, ...state.starting.map(({ runId }) => runId)].slice(-maxRunning);
    return { ...state, removedAt: now, queue: [], starting: [], running, checkAt: null, checks: 0 };
  }
  return now - state.removedAt > removedKeptMs ? null : state;
}

type Judgement = {
  readonly state: ScheduleState;
  /** The slot to fire now. */
  readonly due: number | null;
  /** The first and the last of the slots that will not fire. */
  readonly missed: { readonly fromAt: number; readonly toAt: number } | null;
};

/** Decides about all slots that are due: the latest fires, if it is not too late for its catch-up. */
export function judge(rule: Rule, state: ScheduleState, now: number): Judgement {
  const nothing = { state, due: null, missed: null };
  if (state.paused !== null) return nothing;
  const cron = cronOf(rule);
  const fromAt = undecidedFrom(state);
  const slotAt = fromAt > now ? null : cron.latest(fromAt, now);
  if (slotAt === null) return nothing;
  const firstAt = cron.next(fromAt - 1) ?? slotAt;
  const decided = { ...state, lastSlotAt: slotAt };
  if (now - slotAt > Math.max(rule.catchUpMs, graceMs)) {
    return { state: decided, due: null, missed: { fromAt: firstAt, toAt: slotAt } };
  }
  const beforeAt = firstAt < slotAt ? cron.latest(firstAt, slotAt - 1) : null;
  return { state: decided, due: slotAt, missed: beforeAt === null ? null : { fromAt: firstAt, toAt: beforeAt } };
}

function undecidedFrom(state: ScheduleState): number {
  return Math.max(state.firstSeenAt, (state.lastSlotAt ?? Number.NEGATIVE_INFINITY) + 1);
}

/** Puts a due slot into the queue as the overlap rule allows; `skipped`: it will not run. */
export function admit(rule: Rule, state: ScheduleState, slotAt: number): { state: ScheduleState; skipped: boolean } {
  const taken = { state: { ...state, queue: [...state.queue, slotAt] }, skipped: false };
  const dropped = { state, skipped: true };
  switch (rule.overlap) {
    case "allow-all":
      return taken;
    case "skip":
      return isGoing(state) || state.queue.length > 0 ? dropped : taken;
    case "buffer-one":
      return state.queue.length > 0 ? dropped : taken;
    case "buffer-all":
      return state.queue.length >= maxQueue ? dropped : taken;
    case "cancel-other":
    case "terminate-other":
      return { state: { ...state, queue: [slotAt] }, skipped: false };
    default:
      return rule.overlap satisfies never;
  }
}

/** How the rule stops other runs, null where it does not: only the newest slot of the queue then starts. */
function stopOf({ overlap }: Rule): "cancel" | "terminate" | null {
  return overlap === "cancel-other" ? "cancel" : overlap === "terminate-other" ? "terminate" : null;
}

function isGoing(state: ScheduleState): boolean {
  return state.running.length > 0 || state.starting.length > 0;
}

/** Which runs have to be stopped so that the queue can start, and how; null for none. */
export function toStop(rule: Rule, state: ScheduleState): { kind: "cancel" | "terminate"; runIds: string[] } | null {
  const kind = stopOf(rule);
  if (state.paused !== null || kind === null || state.queue.length === 0 || !isGoing(state)) return null;
  return { kind, runIds: [...state.running, ...state.starting.map((starting) => starting.runId)] };
}

/** Moves slots that may start to `starting`; sets when to check again for the others. */
export function release(rule: Rule, state: ScheduleState, now: number): ScheduleState {
  if (state.paused !== null) return state;
  // An earlier rule may have left more of them.
  if (stopOf(rule) !== null && state.queue.length > 1)
    return release(rule, { ...state, queue: state.queue.slice(-1) }, now);
  const atOnce = rule.overlap === "allow-all" ? Infinity : isGoing(state) ? 0 : 1;
  const begun = state.queue.slice(0, atOnce).map((slotAt) => begin(rule, slotAt, now));
  const queue = state.queue.slice(atOnce);
  const released = begun.length === 0 ? state : { ...state, queue, starting: [...state.starting, ...begun] };
  if (queue.length === 0) return withCheck(released, null, 0);
  if (begun.length > 0) return withCheck(released, now + 1_000, 0);
  if (state.checkAt !== null && !isReached(state.checkAt, now)) return state;
  return withCheck(state, now + backoff(state.checks), state.checks + 1);
}

/** The start of a slot, owed from now on. */
export function begin({ id }: Pick<Rule, "id">, slotAt: number, now: number): Starting {
  return { slotAt, runId: firingRunId(id, slotAt), decidedAt: now, attempts: 0, retryAt: now + watchMs };
}

function withCheck(state: ScheduleState, checkAt: number | null, checks: number): ScheduleState {
  return state.checkAt === checkAt && state.checks === checks ? state : { ...state, checkAt, checks };
}

/** 1 s, doubling, at most 5 minutes. */
export function backoff(times: number): number {
  return backoffMs(times + 1, 1_000, maxRetryMs);
}

/** The firing's run exists: what kept earlier firings from theirs is over. */
export function acknowledge(state: ScheduleState, { runId, slotAt }: Starting): ScheduleState {
  const mended = (state.lastError?.slotAt ?? Infinity) <= slotAt ? { ...state, lastError: null } : state;
  // The start is no longer owed: the run ended, and was reported, before its start was acknowledged.
  if (!state.starting.some((starting) => starting.runId === runId)) return mended;
  return { ...without(mended, runId), running: withNewest(mended, runId) };
}

/** The firing will never have a run. */
export function refuse(state: ScheduleState, { runId, slotAt }: Starting, message: string, now: number): ScheduleState {
  return { ...without(state, runId), lastError: { at: now, slotAt, message } };
}

/** The start failed for a temporary reason: it is repeated, or given up once it is too late. */
export function defer(rule: Rule, state: ScheduleState, failed: Starting, message: string, now: number): ScheduleState {
  if (now - failed.decidedAt > Math.max(rule.catchUpMs, minGiveUpMs)) return refuse(state, failed, message, now);
  const again = { ...failed, attempts: failed.attempts + 1, retryAt: now + backoff(failed.attempts) };
  return { ...state, starting: state.starting.map((one) => (one.runId === failed.runId ? again : one)) };
}

function without(state: ScheduleState, runId: string): ScheduleState {
  return { ...state, starting: state.starting.filter((starting) => starting.runId !== runId) };
}

/** These runs have ended, or do not exist. Returns the same object where that was known. */
export function end(state: ScheduleState, runIds: readonly string[]): ScheduleState {
  const running = state.running.filter((runId) => !runIds.includes(runId));
  const starting = state.starting.filter((one) => !runIds.includes(one.runId));
  if (running.length === state.running.length && starting.length === state.starting.length) return state;
  return { ...state, running, starting };
}

/** A run that this schedule started failed at `endedAt`. */
export function fail(rule: Rule, state: ScheduleState, runId: string, endedAt: number, now: number): ScheduleState {
  // Reports may be late or repeated: whoever resumed the schedule knew of failures before that.
  if (!rule.pauseOnFailure || endedAt <= (state.resumedAt ?? Number.NEGATIVE_INFINITY)) return state;
  return pause(state, { by: "schedule", reason: `run ${runId} failed` }, now);
}

/** A run that was started or retried by hand: it counts for the overlap rule like the run of a firing. */
export function adopt(state: ScheduleState, runId: string, now: number): ScheduleState {
  const running = withNewest(state, runId);
  const coming = state.adopted.filter((one) => one.runId !== runId && isComing(one.at, now));
  return { ...state, running, adopted: [...coming, { runId, at: now }].slice(-maxRunning) };
}

/** Kept also under a rule that lets runs overlap, because the rule may be changed before they end. */
function withNewest({ running }: ScheduleState, runId: string): readonly string[] {
  return [...running.filter((other) => other !== runId), runId].slice(-maxRunning);
}

/** Whether a run in `running` is over. @param endedAt when it was found to have ended; null where there is no such run */
export function isOver({ adopted }: ScheduleState, runId: string, endedAt: number | null, now: number): boolean {
  const at = adopted.find((one) => one.runId === runId)?.at ?? Number.NEGATIVE_INFINITY;
  // A run that is started by hand is noted as running first, and started then.
  return (endedAt ?? Number.NEGATIVE_INFINITY) >= at || !isComing(at, now);
}

function isComing(at: number, now: number): boolean {
  return at <= now && now - at < comingMs;
}

/** Whether the time has come, or lies so far ahead that the clock must have been set back. */
export function isReached(at: number, now: number): boolean {
  return at <= now || at > now + maxRetryMs;
}

/** When this schedule next has something to do, which may be in the past; null for never. */
export function wakeAt(rule: Rule, state: ScheduleState, now: number): number | null {
  if (state.paused !== null) return null;
  const soon = [state.checkAt, ...state.starting.map((starting) => starting.retryAt)];
  const times = [
    cronOf(rule).next(undecidedFrom(state) - 1),
    ...soon.map((at) => (at === null ? null : Math.min(at, now + maxRetryMs))),
  ].filter((time) => time !== null);
  return times.length === 0 ? null : Math.min(...times);
}
