/**
 * Owns: the attempts in flight: when one may start, what the end of one means.
 * Does not own: delivering outcomes (execution), retry arithmetic (core/retry), slots (gate).
 * Long because every way in which an attempt begins and ends meets here.
 * Invariant 1: a step whose process died under it begins again only after a durable mark, so that
 * a step that kills its process is counted and at last fails with step_crashed (guarantee 4).
 * Invariant 2: from the third death in a row on, suspects run one at a time: the innocent finish.
 */
import type { Fact } from "../core/entry.ts";
import type { StoredError } from "../core/error.ts";
import { createRandom } from "../core/random.ts";
import { attemptLimit, nextDelayMs } from "../core/retry.ts";
import type { Flight } from "../core/reason.ts";
import { callKey } from "../core/state.ts";
import { Attempt } from "./attempt.ts";
import type { AttemptEnd } from "./attempt.ts";
import { isAttempted } from "./call.ts";
import type { Pending, RunPlan } from "./call.ts";
import { crashError, interruptionError, isPassing, stepError } from "./failure.ts";
import type { Ledger } from "./ledger.ts";
import type { Doorway } from "./doorway.ts";
import { Orders } from "./orders.ts";
import type { Orderer } from "./orders.ts";
import type { Ending } from "./queue.ts";
import { completion, idempotencyKey, kept, startMark, traceparent } from "./record.ts";
import type { Failed, Made } from "./record.ts";
import type { World } from "./world.ts";

/** Deaths in a row under a step after which the step is held to be their cause. */
const crashLimit = 5;
/** The same where every death came with a deploy: generous, but not without end. */
const interruptionLimit = 20;
/** Deaths after which suspects run one at a time. */
const suspicionLimit = 2;

/** How long a step that was told to stop may take to do so, where what it did must be known. */
const graceMs = 30_000;

/** What attempts need of the execution they are part of. */
export interface Attempter extends Orderer {
  /** Nothing may begin now. */
  readonly held: boolean;
  /** Where a step that executes gets its slots. */
  readonly gate: Doorway;
  /** Puts something that happened in the execution's queue; what has ended well, so that it shares a commit. */
  post(event: (() => void) | Ending): void;
  /** Appends the fact and delivers the outcome it makes, if it makes one. */
  record(fact: Fact): void;
  /** No attempt is left and a person decides: the run is paused with these facts. */
  park(...facts: readonly Fact[]): void;
}

export class Attempts {
  readonly #ledger: Ledger;
  readonly #world: World;
  readonly #execution: Attempter;
  readonly #inFlight = new Map<string, { readonly attempt: Attempt; readonly plan: RunPlan; readonly id: string }>();
  /** Steps that run at most once, while their start is put on record. */
  readonly #starting = new Map<string, Pending>();
  /** Steps whose next attempt waits for its slot. */
  readonly #waiting = new Map<string, Pending>();
  /** Those that are requests, which couriers make. */
  readonly orders: Orders;
  readonly #suspects: Pending[] = [];
  readonly #suspicious = new Set<string>();
  #suspect: string | null = null;

  constructor(ledger: Ledger, world: World, execution: Attempter) {
    this.#ledger = ledger;
    this.#world = world;
    this.#execution = execution;
    this.orders = new Orders(ledger, world, execution);
  }

  /** Those that need this memory. */
  get running(): number {
    return this.count - this.orders.resting;
  }

  get count(): number {
    // A pause holds suspects back like everything that has not begun.
    return this.#inFlight.size + this.#starting.size + (this.#execution.held ? 0 : this.#suspects.length);
  }

  /** By call, the oldest first. */
  get inFlight(): ReadonlyMap<string, Flight> {
    return this.#inFlight;
  }

  /** What held everything back is over. */
  resume(): void {
    for (const { id } of [...this.#waiting.values()]) this.admitted(id);
    this.#startSuspect();
  }

  /** The step may have its slot now. */
  admitted(step: string): void {
    const pending = this.#waiting.get(callKey("run", step));
    if (pending === undefined || this.#execution.held || !isAttempted(pending.plan)) return;
    this.begin(pending, pending.plan);
  }

  /** Nobody waits for the call any more. */
  closed({ key, id, plan }: Pending): void {
    if (plan.kind !== "run") return;
    this.#waiting.delete(key);
    this.#execution.gate.leave(id);
  }

  /** Something here could begin if it were not held. */
  get isReady(): boolean {
    if (this.#suspects.length > 0) return true;
    for (const { id } of this.#waiting.values()) if (this.#execution.gate.admit(id)) return true;
    return false;
  }

  /** When there is something to do for an attempt in flight besides its end. */
  dueAt(key: string): number {
    return this.orders.dueAt(key);
  }

  /** Its attempt is under way, or waits for nothing but its slot. */
  isRunning(key: string): boolean {
    return this.#inFlight.has(key) || this.#starting.has(key) || this.#waiting.has(key);
  }

  /**
   * Of these calls, the steps that were at work when the last life ended: marks them, durably. So are
   * retries that fell due before this life began marked: whether they had begun, nothing tells.
   */
  async mark(open: readonly Pending[]): Promise<void> {
    const facts: Fact[] = [];
    const { calls, paused } = this.#ledger.state;
    // What falls due in a pause does not begin in it.
    const now = paused?.at ?? this.#world.clock.now();
    let suspects = 0;
    for (const { id, key, plan } of open) {
      const { retryAt = null, interruptions = 0, attempts = 0, exhausted = false } = calls.get(key) ?? {};
      if (!isAttempted(plan) || (retryAt !== null && retryAt > now)) continue;
      // What runs at most once, or elsewhere, has a mark of its own; what waited for its slot had not begun.
      if (
        plan.atMostOnce ||
        plan.request !== undefined ||
        exhausted ||
        (plan.kind === "run" && this.#execution.gate.isQueued(id))
      )
        continue;
      if (retryAt !== null) facts.push(startMark(plan, id, attempts + 1));
      else if (interruptions < suspicionLimit) facts.push(this.#interruption(plan, id));
      else suspects = this.#suspicious.add(key).size;
    }
    if (facts.length > 0) this.#ledger.append(...facts);
    if (facts.length + suspects > 0) await this.#ledger.durable();
  }

  /** Starts the next attempt of a step, or fails the step if it keeps killing its process. */
  begin(pending: Pending, plan: RunPlan): void {
    if (this.orders.look(pending.key)) return;
    if (plan.kind === "run" && !this.#execution.gate.admit(pending.id)) {
      this.#waiting.set(pending.key, pending);
      return this.#execution.expect(-Infinity);
    }
    this.#waiting.delete(pending.key);
    const call = this.#ledger.state.calls.get(pending.key);
    if (plan.atMostOnce) {
      this.#beginOnce(pending, plan);
    } else if (call !== undefined && (call.crashes >= crashLimit || call.interruptions >= interruptionLimit)) {
      const attempts = call.attempts + 1 + call.interruptions;
      this.#failUnseen(pending, plan, crashError(pending.id, attempts));
    } else if (this.#suspicious.has(pending.key)) {
      this.#suspects.push(pending);
      this.#startSuspect();
    } else {
      this.#start(pending, plan);
    }
  }

  /** Ends the attempts whose time is up. */
  expire(now: number): void {
    for (const [key, { attempt }] of [...this.#inFlight]) if (this.#timeoutOf(key, attempt) <= now) attempt.expire();
  }

  /** When the first attempt in flight times out; Infinity when none does. */
  get timeoutAt(): number {
    let first = Infinity;
    for (const [key, { attempt }] of this.#inFlight) first = Math.min(first, this.#timeoutOf(key, attempt));
    return first;
  }

  #timeoutOf(key: string, attempt: Attempt): number {
    return Math.min(attempt.timeoutAt, this.orders.timeoutAt(key));
  }

  abandon(reason: Error): void {
    for (const [key, { attempt }] of this.#inFlight) {
      attempt.abandon(reason);
      this.orders.end(key);
    }
    this.#inFlight.clear();
    this.#starting.clear();
    this.#suspects.length = 0;
    this.#waiting.clear();
    this.#execution.gate.leaveAll();
  }

  /**
   * Tells every attempt to stop. Those whose steps can be undone are waited for, because how they end
   * tells whether they must be; answers their steps.
   */
  stop(reason: Error): string[] {
    const awaited: string[] = [];
    for (const [key, { attempt, plan, id }] of this.#inFlight) {
      if (plan.undo !== null) {
        awaited.push(id);
        attempt.stop(reason, this.#world.clock.now() + graceMs);
        this.orders.stay(key);
      } else {
        attempt.abandon(reason);
        this.#inFlight.delete(key);
        this.orders.end(key);
        if (this.#suspect === key) this.#suspect = null;
      }
    }
    this.#starting.clear();
    this.#suspects.length = 0;
    return awaited;
  }

  /** In its turn: failures of steps held to have killed the process are on record before the next may kill it. */
  #startSuspect(): void {
    this.#execution.post(() => void this.#nextSuspect().catch((error: unknown) => this.#fail(error)));
  }

  #fail(error: unknown): void {
    this.#execution.post(() => {
      throw error;
    });
  }

  async #nextSuspect(): Promise<void> {
    if (this.#suspect !== null || this.#execution.held) return;
    const pending = this.#suspects[0];
    if (pending === undefined || !isAttempted(pending.plan)) return;
    this.#suspect = pending.key;
    this.#ledger.append(this.#interruption(pending.plan, pending.id));
    await this.#ledger.durable();
    // Abandoned meanwhile: the list was emptied.
    if (this.#suspects.shift() === pending) this.#start(pending, pending.plan);
  }

  /** The attempt is on record before it begins, so that one a death cut off is never made again. */
  #beginOnce(pending: Pending, plan: RunPlan): void {
    const call = this.#ledger.state.calls.get(pending.key);
    const attempt = (call?.attempts ?? 0) + 1;
    if (call?.begunAttempt === attempt) {
      return this.#failUnseen(pending, plan, interruptionError(pending.id, attempt));
    }
    this.#starting.set(pending.key, pending);
    this.#execution.post(() => {
      if (this.#starting.get(pending.key) !== pending) return;
      this.#ledger.append(startMark(plan, pending.id, attempt));
      this.#ledger.durable().then(
        // Abandoned meanwhile: it is no longer among them.
        () => this.#starting.delete(pending.key) && this.#start(pending, plan),
        (error: unknown) => this.#fail(error),
      );
    });
  }

  #start(pending: Pending, plan: RunPlan): void {
    const { state } = this.#ledger;
    const { attempts = 0, order = null } = state.calls.get(pending.key) ?? {};
    const number = attempts + 1;
    const isOrder = plan.request !== undefined;
    const attempt = new Attempt(
      {
        step: pending.id,
        number,
        traceparent: () => traceparent(state, { kind: plan.kind, id: pending.id, attempt: number }),
        idempotencyKey: idempotencyKey(state, plan.kind === "undo" ? `${pending.id}:undo` : pending.id),
        startedAt: (isOrder ? order?.startedAt : undefined) ?? this.#world.clock.now(),
        timeoutMs: plan.timeoutMs,
        fn: plan.fn,
      },
      (end) => this.#ended(pending, plan, attempt, end),
    );
    this.#inFlight.set(pending.key, { attempt, plan, id: pending.id });
    // Not before: whoever asked meanwhile when the next deadline is was not told of this one.
    this.#execution.expect(attempt.timeoutAt);
    if (isOrder) this.orders.begin(pending, plan, attempt);
    else attempt.start();
  }

  #ended(pending: Pending, plan: RunPlan, attempt: Attempt, end: AttemptEnd): void {
    const stored = storedOf(end, plan, pending.id);
    const { number, startedAt, quick } = attempt;
    const made = { step: pending.id, attempt: number, startedAt };
    if (!stored.ok) {
      return this.#execution.post(() => {
        if (this.#leave(pending, plan, attempt))
          this.#failed(pending, plan, attempt, { ...made, thrown: stored.error });
      });
    }
    const { value } = stored;
    const conclude = (): Fact | null => (this.#leave(pending, plan, attempt) ? completion(plan, made, value) : null);
    this.#execution.post({ quick, size: value.length, conclude });
  }

  /** It is in flight no longer; false where it was given up before. */
  #leave({ key, id }: Pending, { kind }: RunPlan, attempt: Attempt): boolean {
    if (this.#inFlight.get(key)?.attempt !== attempt) return false;
    this.#inFlight.delete(key);
    this.orders.end(key);
    if (kind === "run") this.#execution.gate.leave(id);
    if (this.#suspect === key) {
      this.#suspect = null;
      this.#suspicious.delete(key);
      this.#startSuspect();
    }
    return true;
  }

  #failed(pending: Pending, plan: RunPlan, attempt: Attempt, failed: Made & { readonly thrown: unknown }): void {
    const { thrown, ...made } = failed;
    const { error, delayMs } = this.#judge(pending, plan, thrown, attempt);
    if (delayMs === null) return this.#failFinally(plan, { ...made, error }, attempt.stopped);
    const retryAt = this.#ledger.now() + delayMs;
    const kind = plan.kind === "undo" ? "undo.attempt_failed" : "step.attempt_failed";
    this.#execution.record({ kind, ...made, ...this.#limitOf(plan, pending.id), error, retryAt });
  }

  /** Attempts that were forgiven come on top of what the policy allows. */
  #limitOf({ kind, retry }: RunPlan, step: string): { readonly limit?: number } {
    const limit = attemptLimit(retry);
    if (limit === null) return {};
    return { limit: limit + (this.#ledger.state.calls.get(callKey(kind, step))?.forgiven ?? 0) };
  }

  /** What the failure is called, and when the next attempt begins; null when there is none. */
  #judge(
    pending: Pending,
    plan: RunPlan,
    thrown: unknown,
    { number, stopped }: Attempt,
  ): { error: StoredError; delayMs: number | null } {
    const error = stepError(thrown, pending.id, number);
    // One that was told to stop is not begun again.
    if (!isPassing(error) || stopped) return { error, delayMs: null };
    const { created, calls } = this.#ledger.state;
    const random = createRandom(`${created?.id}:${pending.id}:${number}`);
    const counted = number - (calls.get(pending.key)?.forgiven ?? 0);
    try {
      return { error, delayMs: nextDelayMs(plan.retry, thrown, counted, () => random.next()) };
    } catch (bad) {
      // The delay that the workflow asked for is no duration; its message says so, the cause is the failure.
      return { error: stepError(bad, pending.id, number), delayMs: null };
    }
  }

  #failFinally(plan: RunPlan, failed: Failed, stopped: boolean): void {
    const { step, attempt, error } = failed;
    if (plan.onExhausted === "fail" || stopped) {
      this.#execution.record({ kind: plan.kind === "undo" ? "undo.failed" : "step.failed", ...failed });
      return;
    }
    const reason = `step ${step} has no attempt left after ${attempt}: ${error.message}`;
    this.#execution.park(
      { kind: "step.attempt_failed", ...failed, ...this.#limitOf(plan, step), retryAt: null },
      { kind: "run.paused", by: "engine", reason, error },
    );
  }

  /** A failure that no attempt of this life has seen. */
  #failUnseen(pending: Pending, plan: RunPlan, error: StoredError): void {
    const made = { step: pending.id, attempt: error.attempts ?? 1, startedAt: this.#world.clock.now() };
    this.#execution.post(() => this.#failFinally(plan, { ...made, error }, false));
  }

  #interruption(plan: RunPlan, step: string): Fact {
    const { deployment } = this.#world;
    const kind = plan.kind === "undo" ? "undo.interrupted" : "step.interrupted";
    return { kind, step, held: this.#ledger.openedUnder === deployment, deployment };
  }
}

/** How it ended, as it goes on record. */
function storedOf(end: AttemptEnd, plan: RunPlan, step: string): ReturnType<typeof kept> {
  if (!end.ok) return end;
  return "stored" in end ? { ok: true, value: end.stored } : kept(end.value, plan, step);
}
