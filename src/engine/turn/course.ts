/**
 * Owns: the event loop of one handler: each event waits for its turn, is appended, and then delivered; how far the handler
 * has come (replaying, live, over), and the bells for whoever waits until it goes on, rests or ends.
 * Does not own: the events (work, handlers, closing), which part an outcome is delivered to (execution), the order of the queue
 * (queue), the order of replay (replay), time.
 *
 * Invariant 1: outcomes are appended, then delivered, by one function, live as in replay.
 * Invariant 2: one outcome is delivered a turn, so that what the handler does between two outcomes
 * is the same in every replay (guarantee 3).
 */
import { added, emptySet } from "../../core/empty.ts";
import type { Fact } from "../../core/history/entry.ts";
import { storeError } from "../../core/error.ts";
import type { HoldfastError } from "../../core/error.ts";
import type { Outcome, RunState } from "../../core/state/state.ts";
import { Bell } from "./bell.ts";
import type { Limiter } from "../lane/limiter.ts";
import type { Ledger } from "../ledger.ts";
import { Pace } from "./pace.ts";
import { Queue } from "./queue.ts";
import type { Completion } from "./queue.ts";
import { Replay } from "./replay.ts";
import type { ReplayTarget } from "./replay.ts";
import { Validations } from "../wait/validation.ts";
import type { World } from "../world.ts";

/** The execution whose course it is. */
export interface CourseOwner extends ReplayTarget {
  /** It has had several calls open at once, or functions registered that something from outside may call. */
  readonly concurrent: boolean;
  /** Something of it is at work that will post another event. */
  readonly working: boolean;
  /** Once it is to go on as new, nothing of this incarnation begins any more. */
  readonly renewal: { readonly requested: boolean };
  /** The handler is over: its open calls and its attempts are let go of. */
  release(reason: () => Error): void;
}

export class Course {
  readonly ledger: Ledger;
  readonly world: World;
  /** The lanes that the run and its steps share with others. */
  readonly limiter: Limiter;
  readonly replay: Replay;
  /** Schemas that take their time over a value. */
  readonly validations: Validations;
  /** Rings when the handler makes a call or ends. */
  readonly stirred = new Bell();
  /** Rings when nothing is left to do but wait, when something new is waited for, and when there is an earlier deadline. */
  readonly rested = new Bell();
  /** Rings when a burst is over, or awaits something slower than microtasks: what it wrote is committed now. */
  readonly yielded = new Bell();
  /** Rings when it is stopped. */
  readonly stopped = new Bell();
  /** No earlier handler of the run came further than the newest outcome on record, except with this very code. */
  noneCameFurther = false;
  /** An earlier life may have had something in flight. */
  resumed = false;
  /** The replay is over. */
  live = false;
  /** The last life was cut off, and the handler has not come to rest since: each outcome is made durable first. */
  careful = false;
  over = false;
  /** Why this memory must be given up; null while it need not. */
  failure: unknown = null;
  /** The next deadline that whoever drives the run was last told of. */
  announcedDueAt = Infinity;
  /** Give up those turns that somebody waits for: no promise that outlives a turn, which would keep what it came to. */
  #awaited: Set<() => void> = emptySet;
  readonly #owner: CourseOwner;
  readonly #pace: Pace;
  readonly #queue: Queue;

  constructor(ledger: Ledger, world: World, limiter: Limiter, owner: CourseOwner) {
    this.ledger = ledger;
    this.world = world;
    this.limiter = limiter;
    this.#owner = owner;
    this.#pace = new Pace(world.clock, this);
    this.#queue = new Queue(this.#pace, this);
    this.replay = new Replay(this.#pace, this, owner);
    this.validations = new Validations(world.clock, this.#pace, (at) => this.wakeBy(at));
  }

  get state(): RunState {
    return this.ledger.state;
  }

  /** The run is paused, or its lanes hold it: nothing may begin or fire. */
  get held(): boolean {
    return this.suspended || this.#owner.renewal.requested;
  }

  /** A pause or a lane holds it back. */
  get suspended(): boolean {
    return this.state.paused !== null || !this.limiter.isOpen;
  }

  /** The handler waits for a schema: nothing is delivered to it, and no deadline fires, meanwhile. */
  get awaitsSchema(): boolean {
    return this.#pace.awaitsSchema;
  }

  /** An event waits for its turn. */
  get busy(): boolean {
    return this.#queue.busy;
  }

  /** It goes on by microtasks alone: nothing is committed before `yielded` rings. */
  get isBurst(): boolean {
    return !this.over && (this.busy || !this.live) && !this.#pace.isAway;
  }

  /** The handler may do several things at once, or its process died lately: every outcome gets a full turn. */
  get needsFullTurns(): boolean {
    return this.careful || this.#owner.concurrent;
  }

  /** Something is at work that will post another event. */
  get moreToCome(): boolean {
    return this.over || this.#owner.working;
  }

  /** Runs the event in its turn, behind everything that was posted before. */
  post(event: (() => void) | Completion): void {
    if (!this.over) this.#queue.post(typeof event === "function" ? () => this.guard(event) : event);
  }

  /** Runs the event in its turn and resolves to what it returns; to null if the course was stopped before. */
  turn<Value>(event: () => Value): Promise<Value | null> {
    if (this.over) return Promise.resolve(null);
    return new Promise((resolve) => {
      const giveUp = (): void => resolve(null);
      this.#awaited = added(this.#awaited, giveUp);
      this.post(() => {
        const value = event();
        this.#awaited.delete(giveUp);
        resolve(value);
      });
    });
  }

  /** Appends the fact, and has the outcome that it makes, if any, delivered in its turn. */
  record(fact: Fact): void {
    this.guard(() => this.#put([fact]));
  }

  /** Puts these on record as one commit. */
  recordAll(completions: readonly Completion[]): void {
    this.guard(() => {
      const facts = completions.map(({ conclude }) => conclude()).filter((fact) => fact !== null);
      if (facts.length > 0) this.#put(facts);
    });
  }

  /** Pauses the run with these facts; what is in flight may end. */
  pause(...facts: readonly Fact[]): void {
    this.guard(() => this.ledger.append(...facts));
    this.rested.ring();
  }

  /** Delivers an outcome that replay came to before there was a call, or a function, for it. */
  redeliver(outcome: Outcome): void {
    if (!this.live) this.replay.defer(outcome);
    else if (!this.over) this.#queue.redeliver(() => this.guard(() => this.#owner.deliver(outcome)));
  }

  /** There is something to do at this instant: rings `rested` if whoever drives the run would come later. */
  wakeBy(at: number): void {
    if (at < this.announcedDueAt) this.rested.ring();
  }

  /** Resolves when what is on record survives the death of the process, or never will; never rejects. */
  async durable(): Promise<void> {
    try {
      await this.#pace.away(() => this.ledger.durable());
    } catch (error) {
      this.fail(error);
    }
  }

  yields(): void {
    this.yielded.ring();
  }

  drained(): void {
    this.#owner.drained();
    this.calm();
  }

  /** The replay is over, or there is none. */
  goLive(): void {
    this.#pace.renew();
    this.live = true;
    // Those whose calls the handler made after the last outcome of the replay.
    for (const outcome of this.replay.takeDeferred()) this.redeliver(outcome);
  }

  /** A burst is over, unless another has begun. */
  calm(): void {
    if (!this.isBurst) this.yielded.ring();
  }

  /**
   * Ends this handler: it stays suspended, its attempts are told to stop, and nothing of it goes on record any more.
   * @param reason is made if there are attempts, of which mostly none is under way
   */
  stop(reason: () => Error): void {
    this.over = true;
    this.#queue.clear();
    this.#owner.release(reason);
    this.stirred.ring();
    this.rested.ring();
    this.stopped.ring();
    for (const giveUp of this.#awaited) giveUp();
    this.#awaited = emptySet;
  }

  /** The run cannot go on with this code: it is paused, and this memory given up. */
  halt(error: HoldfastError): void {
    const stored = storeError(error);
    this.ledger.append({ kind: "run.paused", by: "engine", reason: error.message, error: stored });
    this.stop(() => error);
  }

  /** The journal could not be written or read: this memory must be given up. */
  fail(error: unknown): void {
    this.failure ??= error;
    this.stop(() => new Error("the run's journal is out of order", { cause: error }));
  }

  /** The same, in its turn. */
  failInTurn(error: unknown): void {
    this.post(() => {
      throw error;
    });
  }

  /** Keeps an error of ours from the handler: the course fails instead. */
  guard(act: () => unknown): void {
    try {
      act();
    } catch (error) {
      this.fail(error);
    }
  }

  #put(facts: readonly Fact[]): void {
    for (const outcome of this.ledger.appendAll(facts))
      if (outcome !== null) this.#queue.deliver(() => this.guard(() => this.#owner.deliver(outcome)));
  }
}
