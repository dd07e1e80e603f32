/**
 * Owns: the requests of a handler's steps that couriers make: finding a courier, putting the request on record, handing it
 * over, asking after it, taking its answer.
 * Does not own: what the end of an attempt means (attempts), making requests (whoever provides the couriers).
 * Invariant 1: a request is on record before a courier has it; a later life hands the same one over, to the same
 * courier, and never another for that attempt (guarantee 2).
 * Invariant 2: while a courier has a request the run may be parked. It asks after the request ever more rarely, until the
 * attempt times out: no answer is lost, whichever of the two dies (guarantee 4).
 */
import { added, emptyMap, emptySet, put } from "../../core/empty.ts";
import { backoffMs } from "../../core/backoff.ts";
import { waitedSince } from "../../core/lifecycle/due.ts";
import { bodyBytes, nextLookAt, orderError } from "../../core/courier/order.ts";
import type { Dispatch, Order, OrderEnd } from "../../core/courier/order.ts";
import { isDispatched } from "../../core/state/dispatched.ts";
import { callKey, wasRemoved } from "../../core/state/state.ts";
import type { Call } from "../../core/state/state.ts";
import type { Attempt } from "../attempt/attempt.ts";
import type { Pending, RunPlan } from "../call/call.ts";
import type { Course } from "../turn/course.ts";
import { idempotencyKeyOf } from "../attempt/record.ts";
import { longestUnrecordedPauseMs, stayMs } from "../next.ts";
import type { Receipt } from "../receipt.ts";

/** The request of an attempt in flight, from the search for a courier to its answer. */
type Outstanding = {
  readonly pending: Pending<RunPlan>;
  readonly attempt: Attempt;
  /** Null until it is on record, with the courier that has it. */
  order: Order | null;
  courier: number;
  /** A call about it is under way: this memory has to stay for the answer. */
  busy: boolean;
  /** How often it could not be handed over, and when that is tried again. */
  tries: number;
  retryAt: number | null;
  /** When it was last handed over or asked after; an earlier life may have done so up to then. */
  lookedAt: number;
  /** Its courier has reported the answer. */
  heard: boolean;
  /** An earlier life may have ended before it was handed over, which is due as soon as the run is held no longer. */
  doubtful: boolean;
};

const firstPauseMs = 500;
const longestPauseMs = 60_000;

export class Orders {
  readonly #course: Course;
  #outstanding: Map<string, Outstanding> = emptyMap;
  /** Requests that a courier has, or that are to be handed over later: the run need not be at work for them. */
  #resting: Set<string> = emptySet;

  constructor(course: Course) {
    this.#course = course;
  }

  /** How many requests are under way without this memory. */
  get resting(): number {
    return this.#resting.size;
  }

  begin(pending: Pending<RunPlan>, attempt: Attempt): void {
    const unheard = { order: null, courier: 0, busy: false, tries: 0, retryAt: null, heard: false, doubtful: false };
    const out: Outstanding = { pending, attempt, ...unheard, lookedAt: this.#course.ledger.openedAt };
    this.#outstanding = put(this.#outstanding, pending.key, out);
    const { calls, interruptions } = this.#course.state;
    const call = calls.get(pending.key);
    if (call?.order === undefined || call.order === null) return this.#dispatch(out);
    this.#recorded(out, call.order);
    // A life that was cut off, or gave up its memory, may have ended before it handed the request over; any other lasted longer.
    const isNew = this.#course.ledger.now() - attempt.startedAt < stayMs;
    out.doubtful = interruptions > 0 || isNew;
    if (out.doubtful && !this.#course.held) this.#send(out);
    else this.#wait(out);
  }

  /** The run is held no longer. During a pause nobody asked after its requests, and it was not recorded if a life was cut off. */
  resume(): void {
    const { resumedAt } = this.#course.state;
    for (const out of this.#outstanding.values()) {
      const isUnseen = out.attempt.startedAt < resumedAt && out.lookedAt <= resumedAt;
      if (isUnseen && out.order !== null && !out.busy) this.#send(out);
    }
  }

  /** When the request is to be handed over, or asked after, next; Infinity for a call that is no request. */
  dueAt(key: string): number {
    const out = this.#outstanding.get(key);
    if (out === undefined || out.busy) return Infinity;
    if (out.retryAt !== null) return out.retryAt;
    if (out.doubtful) return out.attempt.startedAt;
    const since = waitedSince(this.#course.state, { since: out.attempt.startedAt });
    return out.order === null ? Infinity : nextLookAt(since, out.lookedAt);
  }

  /** When the attempt times out, by the record: a pause puts that off, and while one lasts there is none. */
  timeoutAt(key: string): number {
    const { paused, calls } = this.#course.state;
    const { order = null } = this.#outstanding.get(key) ?? {};
    if (order === null || paused !== null) return Infinity;
    return calls.get(key)?.until ?? Infinity;
  }

  /** Hands over, or asks after, the request of this call; returns false if it has none in flight. */
  lookAfter(key: string): boolean {
    const out = this.#outstanding.get(key);
    if (out === undefined) return false;
    if (out.busy) return true;
    if (out.order === null) this.#dispatch(out);
    else this.#send(out);
    return true;
  }

  /** The attempt was told to stop: this memory has to stay for its end. */
  stay(key: string): void {
    this.#resting.delete(key);
  }

  /** The attempt is over, or given up. */
  end(key: string): void {
    const out = this.#outstanding.get(key);
    this.#outstanding.delete(key);
    this.#resting.delete(key);
    if (out === undefined || out.order === null || out.heard || this.#outlives(key)) return;
    // If the courier makes it all the same, nobody waits for the answer.
    this.#course.world.couriers.drop(out.courier, out.order.id).catch(() => {});
  }

  /** The request with this `seq`, to be made once more; null while the replay has not come to it. */
  orderOf(key: string, seq: number): Order | null {
    const order = this.#outstanding.get(key)?.order ?? null;
    return order?.id.seq === seq ? order : null;
  }

  /** Puts what came of a request on record, in its turn, if its call waits for it. */
  async receive(step: string, seq: number, end: OrderEnd): Promise<Receipt> {
    const key = callKey("run", step);
    const taken = await this.#course.turn(() => this.#take(key, seq, end));
    if (taken !== "recorded") return taken ?? "later";
    // The end of the attempt was posted behind that, and is on record by the next turn.
    const isOpen = await this.#course.turn(() => this.#record(key)?.order?.seq === seq);
    return isOpen === false ? "recorded" : "later";
  }

  #take(key: string, seq: number, end: OrderEnd): Receipt {
    const { state } = this.#course.ledger;
    if (this.#record(key)?.order?.seq !== seq) return "unwanted";
    const out = this.#outstanding.get(key);
    const order = this.orderOf(key, seq);
    // The replay may still come to the call, unless the code was seen to make it no more.
    if (out === undefined || order === null) return wasRemoved(state, key) ? "unwanted" : "later";
    out.heard = true;
    if (end.kind === "answered") out.attempt.settle({ ok: true, stored: end.value });
    else out.attempt.settle({ ok: false, error: orderError(order, end, out.pending.plan.sensitive) });
    return "recorded";
  }

  /** Finds a courier, and puts on record that it is to make the request. */
  #dispatch(out: Outstanding): void {
    this.#beginCall(out);
    const { request } = out.pending.plan;
    const bytes = request === undefined ? 0 : bodyBytes(request);
    this.#course.world.couriers.reserve(bytes).then(
      (courier) =>
        this.#course.post(() => {
          if (!this.#isOpen(out)) return;
          const { id, plan } = out.pending;
          const { number, startedAt } = out.attempt;
          const until = startedAt + plan.timeoutMs;
          const fact = { attempt: number, startedAt, until, courier };
          this.#course.ledger.append({ kind: "step.dispatched", step: id, ...fact });
          this.#recorded(out, { seq: this.#course.state.seq, courier });
          this.#send(out);
        }),
      () => this.#postpone(out),
    );
  }

  /** The request is on record, with the courier that is to make it. */
  #recorded(out: Outstanding, { seq, courier }: Pick<Dispatch, "seq" | "courier">): void {
    const { creation } = this.#course.state;
    const { attempt, pending } = out;
    const { id: step, plan } = pending;
    if (plan.request === undefined) throw new Error("there is no request to be made");
    const id = { runId: creation.id, createdAt: creation.at, seq };
    const key = idempotencyKeyOf(this.#course.state, "run", step)();
    out.order = { id, step, request: plan.request, key };
    out.courier = courier;
    // From here on the record says when it is over.
    if (!attempt.stopped) attempt.timeoutAt = Infinity;
  }

  #send(out: Outstanding): void {
    const { order } = out;
    if (order === null) return;
    this.#beginCall(out);
    out.doubtful = false;
    this.#course.ledger.durable().then(
      () => {
        // The answer may have come meanwhile: sent now, the request would be made twice.
        if (!this.#isOpen(out)) return;
        this.#course.world.couriers.send(out.courier, order).then(
          () => this.#course.post(() => this.#rest(out)),
          () => this.#postpone(out),
        );
      },
      (error: unknown) => this.#course.failInTurn(error),
    );
  }

  #beginCall(out: Outstanding): void {
    out.busy = true;
    this.#resting.delete(out.pending.key);
  }

  /** Its courier has it. */
  #rest(out: Outstanding): void {
    out.busy = false;
    out.tries = 0;
    out.retryAt = null;
    out.lookedAt = this.#course.ledger.now();
    this.#wait(out);
  }

  #wait(out: Outstanding): void {
    const { key } = out.pending;
    if (!this.#isOpen(out)) return;
    if (!out.attempt.stopped) this.#resting = added(this.#resting, key);
    this.#course.wakeBy(Math.min(this.dueAt(key), this.timeoutAt(key)));
  }

  /** It could not be handed over: that is tried again. */
  #postpone(out: Outstanding): void {
    this.#course.post(() => {
      if (!this.#isOpen(out)) return;
      out.busy = false;
      const longestMs = out.order === null ? longestUnrecordedPauseMs : longestPauseMs;
      out.retryAt = this.#course.ledger.now() + backoffMs(++out.tries, firstPauseMs, longestMs);
      if (!out.attempt.stopped) this.#resting = added(this.#resting, out.pending.key);
      this.#course.wakeBy(out.retryAt);
    });
  }

  /** Only this memory is given up, for its journal or its code: a later life waits for the same request. */
  #outlives(key: string): boolean {
    const { failure, over, state } = this.#course;
    if (failure !== null) return true;
    return over && state.end === null && isDispatched(state, key);
  }

  #isOpen(out: Outstanding): boolean {
    return this.#outstanding.get(out.pending.key) === out;
  }

  #record(key: string): Call | undefined {
    return this.#course.state.calls.get(key);
  }
}
