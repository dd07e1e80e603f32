/**
 * Owns: the attempts in flight: when one may start, and what is done about its end.
 * Does not own: what a failure means (verdict), delivering outcomes (course), slots (limiter), requests (orders).
 * Invariant 1: a step whose process died under it begins again only after a durable mark, so that
 * a step that kills its process is counted and at last fails with step_crashed (guarantee 4).
 */
import { emptyMap, put } from "../../core/empty.ts";
import type { Fact } from "../../core/history/entry.ts";
import type { StoredError } from "../../core/error.ts";
import type { Flight } from "../../core/run/snapshot.ts";
import { Attempt } from "./attempt.ts";
import type { AttemptEnd } from "./attempt.ts";
import { canBeUndone, isAttempted } from "../call/call.ts";
import type { Pending, RunPlan } from "../call/call.ts";
import type { Course } from "../turn/course.ts";
import { crashError, interruptionError } from "./failure.ts";
import { Abandonments } from "./abandonments.ts";
import { Orders } from "../courier/orders.ts";
import { completion, idempotencyKeyOf, startMark, storedOf, traceparent } from "./record.ts";
import { Queued } from "./queued.ts";
import { Suspects } from "./suspects.ts";
import { failForGood, judgeFailure, planNow } from "./verdict.ts";
import type { Verdict } from "./verdict.ts";

/** Deaths in a row under a step after which the step is held to be their cause. */
const crashLimit = 5;
/** The same limit if the deaths came with deployments: generous, but finite. */
const interruptionLimit = 20;
/** How long a step that can be undone may take to stop: its end must be known. */
const graceMs = 30_000;

export class Attempts {
  readonly #course: Course;
  /** The open calls. */
  readonly #pending: ReadonlyMap<string, Pending>;
  readonly #inFlight = new Map<string, { readonly attempt: Attempt; readonly plan: RunPlan; readonly id: string }>();
  /** Steps that run at most once, while their start is put on record. */
  #starting: Map<string, Pending<RunPlan>> = emptyMap;
  /** Steps that fail without another attempt, until that is on record: each killed its process too often, or may not run twice. */
  #failing: Map<string, Pending<RunPlan>> = emptyMap;
  /** Steps whose next attempt waits for slots of lanes. */
  readonly queued: Queued;
  /** Those that are requests, which couriers make. */
  readonly orders: Orders;
  readonly abandonments = new Abandonments();
  /** Those that were at work when the last life ended. */
  readonly suspects: Suspects;
  /** Steps that are told to stop before they begin, and why. */
  readonly #stopping = new WeakMap<Pending, Error>();

  constructor(course: Course, pending: ReadonlyMap<string, Pending>) {
    this.#course = course;
    this.#pending = pending;
    this.queued = new Queued(course, (pending) => this.begin(pending));
    this.orders = new Orders(course);
    this.suspects = new Suspects(course, (pending) => this.#start(pending));
  }

  /** How many need this memory: those that a courier makes do not. */
  get running(): number {
    return this.count - this.orders.resting;
  }

  get count(): number {
    return this.#inFlight.size + this.#starting.size + this.#failing.size + this.suspects.ready;
  }

  /** By call, the oldest first. */
  get inFlight(): ReadonlyMap<string, Flight> {
    return this.#inFlight;
  }

  /** A pause, or a lane, holds the run back no longer. */
  resume(): void {
    this.queued.resume();
    this.suspects.startNext();
    this.orders.resume();
  }

  /** Something here could begin if it were not held. */
  get isReady(): boolean {
    return this.suspects.waiting > 0 || this.queued.isReady;
  }

  /** Its attempt is under way, or waits only for its slot, or for other suspects to end. */
  isRunning(key: string): boolean {
    return this.#hasBegun(key) || this.queued.has(key);
  }

  #hasBegun(key: string): boolean {
    const isUnderWay = this.#inFlight.has(key) || this.#starting.has(key) || this.#failing.has(key);
    return isUnderWay || this.suspects.isWaiting(key);
  }

  /** It was cut off, has not begun again, and can be undone: its end must be known before the run ends. */
  isCutOff(pending: Pending): boolean {
    return canBeUndone(pending) && !this.#hasBegun(pending.key) && this.suspects.wasCutOff(pending);
  }

  /** Steps that can be undone, and are at work, or may have been as the last life ended. */
  get unsettled(): Pending[] {
    const { suspects } = this;
    const wasBegun = (one: Pending): boolean => suspects.wasCutOff(one) || suspects.mayHaveBegun(one);
    return [...this.#pending.values()].filter((one) => canBeUndone(one) && (this.#hasBegun(one.key) || wasBegun(one)));
  }

  /** Starts the next attempt of a step, or fails the step if it keeps killing its process. */
  begin(pending: Pending<RunPlan>): void {
    if (this.orders.lookAfter(pending.key)) return;
    if (pending.plan.kind !== "run" || this.queued.admit(pending)) this.#beginAdmitted(pending);
  }

  #beginAdmitted(pending: Pending<RunPlan>): void {
    const call = this.#course.state.calls.get(pending.key);
    if (pending.plan.atMostOnce) return this.#beginOnce(pending);
    if (call !== undefined && (call.crashes >= crashLimit || call.interruptions >= interruptionLimit))
      return this.#failWithoutAttempt(pending, crashError(pending.id, call.attempts + 1 + call.interruptions));
    if (this.suspects.has(pending.key)) this.suspects.begin(pending);
    else this.#start(pending);
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
    if (attempt.over) return Infinity;
    return Math.min(attempt.timeoutAt, this.orders.timeoutAt(key));
  }

  abandon(reason: () => Error): void {
    for (const [key, { attempt }] of this.#inFlight) {
      attempt.abandon(reason());
      this.orders.end(key);
    }
    this.#inFlight.clear();
    this.#starting.clear();
    this.#failing.clear();
    this.suspects.clear();
    this.queued.clear();
  }

  /**
   * Tells every attempt to stop. Those whose steps can be undone are waited for, because their end decides whether the step
   * must be undone: also those that were cut off, which begin whatever holds them back. Returns the steps that are waited for.
   */
  stop(reason: Error): string[] {
    for (const pending of [...this.#pending.values()]) {
      if (!isAttempted(pending) || this.#hasBegun(pending.key)) continue;
      if (this.isCutOff(pending)) {
        this.#stopping.set(pending, reason);
        this.queued.pass(pending);
        this.#beginAdmitted(pending);
      } else this.queued.leave(pending);
    }
    const awaited: string[] = [];
    for (const [key, { attempt, plan, id }] of this.#inFlight) {
      if (plan.undo !== null) {
        awaited.push(id);
        attempt.stop(reason, this.#course.world.clock.now() + graceMs);
        this.orders.stay(key);
      } else {
        this.abandonments.note(key, { attempt, id });
        attempt.abandon(reason);
        this.#inFlight.delete(key);
        this.orders.end(key);
        this.suspects.abandon(key);
      }
    }
    for (const [key, pending] of this.#failing) if (!canBeUndone(pending)) this.#failing.delete(key);
    this.#starting.clear();
    for (const pending of [...this.#failing.values(), ...this.suspects.stop()]) {
      awaited.push(pending.id);
      this.#stopping.set(pending, reason);
    }
    return awaited;
  }

  /** The attempt is on record before it begins, so that one a death cut off is never made again. */
  #beginOnce(pending: Pending<RunPlan>): void {
    const call = this.#course.state.calls.get(pending.key);
    const attempt = (call?.attempts ?? 0) + 1;
    if (call?.begunAttempt === attempt) {
      return this.#failWithoutAttempt(pending, interruptionError(pending.id, attempt));
    }
    this.#starting = put(this.#starting, pending.key, pending);
    this.#course.post(() => {
      if (this.#starting.get(pending.key) !== pending) return;
      this.#course.ledger.append(startMark(pending.plan, pending.id, attempt));
      this.#course.ledger.durable().then(
        // Abandoned meanwhile: it is no longer among them.
        () => this.#starting.delete(pending.key) && this.#start(pending),
        (error: unknown) => this.#course.failInTurn(error),
      );
    });
  }

  #start(pending: Pending<RunPlan>): void {
    const { state } = this.#course;
    const { plan } = pending;
    const { attempts = 0, order = null } = state.calls.get(pending.key) ?? {};
    const number = attempts + 1;
    const isOrder = plan.request !== undefined;
    const attempt = new Attempt(
      {
        inside: plan.kind === "undo" ? `the undo of ${pending.id}` : `step ${pending.id}`,
        number,
        traceparent: () => traceparent(state, { kind: plan.kind, id: pending.id, attempt: number }),
        idempotencyKey: idempotencyKeyOf(state, plan.kind, pending.id),
        startedAt: (isOrder ? order?.startedAt : undefined) ?? this.#course.world.clock.now(),
        timeoutMs: plan.timeoutMs,
        scope: pending.scope,
        asyncContext: pending.asyncContext,
        fn: plan.fn,
      },
      (end) => this.#ended(pending, attempt, end),
    );
    const reason = this.#stopReason(pending);
    if (reason !== null) attempt.stop(reason, this.#course.world.clock.now() + graceMs);
    this.#inFlight.set(pending.key, { attempt, plan, id: pending.id });
    // Only now: before, whoever computes the next deadline would miss the attempt's.
    this.#course.wakeBy(attempt.timeoutAt);
    if (isOrder) this.orders.begin(pending, attempt);
    else attempt.start();
  }

  /** Why the attempt is told to stop as it begins; null where the run was not stopped before, in this life or another. */
  #stopReason(pending: Pending<RunPlan>): Error | null {
    const { cancelling } = this.#course.state;
    const isAwaited = pending.plan.kind === "run" && cancelling?.awaited.includes(pending.id) === true;
    return this.#stopping.get(pending) ?? (isAwaited ? new Error(cancelling.error.message) : null);
  }

  #ended(pending: Pending<RunPlan>, attempt: Attempt, end: AttemptEnd): void {
    const { plan } = pending;
    const stored = storedOf(end, plan, pending.id);
    pending.asyncContext ??= attempt.asyncContext;
    const { number, startedAt, quick } = attempt;
    const made = { step: pending.id, attempt: number, startedAt };
    if (!stored.ok) {
      return this.#course.post(() => {
        if (!this.#leave(pending, attempt)) return;
        const judged = planNow(pending, attempt.stopped);
        const judge = (): Verdict => judgeFailure(this.#course.ledger, judged, stored.error, made);
        this.#carryOut(pending.asyncContext?.(judge) ?? judge());
      });
    }
    const { value } = stored;
    const conclude = (): Fact | null => (this.#leave(pending, attempt) ? completion(plan, made, value) : null);
    this.#course.post({ quick, size: value.length, conclude });
  }

  /** It is in flight no longer; false where it was given up before. */
  #leave(pending: Pending<RunPlan>, attempt: Attempt): boolean {
    const { key, plan } = pending;
    if (this.#inFlight.get(key)?.attempt !== attempt) return false;
    this.#inFlight.delete(key);
    this.orders.end(key);
    if (plan.kind === "run") this.queued.leave(pending);
    this.suspects.acquit(key);
    return true;
  }

  #carryOut(verdict: Verdict): void {
    switch (verdict.kind) {
      case "again":
        this.#course.record(verdict.fact);
        return this.#course.wakeBy(verdict.retryAt);
      case "failed":
        return this.#course.record(verdict.fact);
      case "paused":
        return this.#course.pause(...verdict.facts);
      default:
        return verdict satisfies never;
    }
  }

  /** Fails the step for what happened in earlier lives. */
  #failWithoutAttempt(pending: Pending<RunPlan>, error: StoredError): void {
    const made = { step: pending.id, attempt: error.attempts ?? 1, startedAt: this.#course.world.clock.now() };
    this.#failing = put(this.#failing, pending.key, pending);
    this.#course.post(() => {
      if (this.#failing.get(pending.key) !== pending) return;
      this.#failing.delete(pending.key);
      const judged = planNow(pending, this.#stopReason(pending) !== null);
      this.#carryOut(failForGood(this.#course.state, judged, { ...made, error }));
    });
  }
}
