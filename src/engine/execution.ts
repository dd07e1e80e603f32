/**
 * Owns: one handler in memory: its start, its replay, and which part of it each outcome is delivered to. All its parts meet here.
 * Does not own: the run's life beyond the handler (drive), what happens in its turn (course), its open calls (calls)
 * and carrying them out (work), the arguments of the step API (step), its end (closing).
 * Invariant 1: suspension is a promise that stays pending; nothing is thrown to suspend.
 */
import type { Definition } from "../core/definition/definition.ts";
import { resolveRetry } from "../core/definition/retry.ts";
import type { ResolvedRetry } from "../core/definition/retry.ts";
import { cancelKey, undoKey } from "../core/state/state.ts";
import type { Outcome } from "../core/state/state.ts";
import type { Step } from "../core/definition/step.ts";
import { Adoption } from "./adoption.ts";
import { MessageHandlers } from "./ask/handlers.ts";
import type { Pending } from "./call/call.ts";
import { Calls } from "./call/calls.ts";
import { Closing } from "./end/closing.ts";
import { Course } from "./turn/course.ts";
import { noLimiter } from "./lane/limiter.ts";
import type { Limiter } from "./lane/limiter.ts";
import { Errors } from "./errors.ts";
import { Intervention } from "./end/intervention.ts";
import { callHandler } from "./handler.ts";
import type { Ledger } from "./ledger.ts";
import { Patches } from "./call/patch.ts";
import { Renewal } from "./end/renewal.ts";
import { Publisher } from "./call/publisher.ts";
import { within } from "./call/scope.ts";
import { createStep } from "./call/step.ts";
import { Work } from "./call/work.ts";
import type { World } from "./world.ts";

/** No handler of this incarnation has begun before; one let go itself of what was in flight; a death may have cut it off. */
export type Beginning = "first" | "again" | "resumed";

export class Execution {
  readonly definition: Definition;
  /** The policy of steps that set none of their own. */
  readonly retry: ResolvedRetry;
  readonly course: Course;
  readonly errors = new Errors();
  readonly calls: Calls;
  readonly work: Work;
  readonly messageHandlers: MessageHandlers;
  /** Its log and its progress. */
  readonly publisher: Publisher;
  readonly closing: Closing;
  /** How it is ended from outside. */
  readonly intervention: Intervention;
  /** Which sides of changes of the code the run takes. */
  readonly patches: Patches;
  /** How the run goes on as new. */
  readonly renewal: Renewal;
  /** Steps of a handler that is over which can be undone, and may have been at work as it was stopped. */
  leftAtWork: readonly string[] = [];
  readonly #adoption: Adoption;

  constructor(definition: Definition, ledger: Ledger, world: World, limiter: Limiter = noLimiter) {
    this.definition = definition;
    this.retry = resolveRetry(definition.retry);
    const course = new Course(ledger, world, limiter, this);
    this.course = course;
    this.calls = new Calls(course, this, this.errors, definition.limits);
    this.publisher = new Publisher(course, this.calls);
    this.messageHandlers = new MessageHandlers(course, this);
    this.#adoption = new Adoption(course, this.calls);
    this.work = new Work(course, this.calls, this.messageHandlers, this.#adoption);
    this.closing = new Closing(course, this.calls, this.work.attempts, () => [
      ...this.#adoption.leftovers(),
      ...this.messageHandlers.leftovers(),
    ]);
    this.intervention = new Intervention(course, this.calls, this.work.attempts, this.closing);
    this.patches = new Patches(course, this.calls, this.publisher);
    this.renewal = new Renewal(definition, course, this.calls, this.closing, this.work.children);
  }

  /** Something goes on, or may go on, for which this memory has to stay. */
  get busy(): boolean {
    return this.atWork || (!this.course.over && this.work.children.asking > 0);
  }

  /** The run itself goes on: not if it waits, and merely asks whether a child has ended. */
  get atWork(): boolean {
    if (this.course.over) return false;
    return this.course.busy || this.working || !this.course.live;
  }

  /** Something is at work that will post another event: a call, or something of the handler's own. */
  get working(): boolean {
    return this.work.goesOn || this.awaitsItsOwn;
  }

  /** The handler awaits something of its own, no call of step: none is open, and it has not ended. */
  get awaitsItsOwn(): boolean {
    return this.calls.pending.size === 0 && !this.finished && !this.listening;
  }

  /** The handler may do several things at once: it has had several calls open, or functions of it may be called meanwhile. */
  get concurrent(): boolean {
    return this.calls.concurrent || this.listening;
  }

  /** It has registered functions: with no call open, it may still wait for an update or a signal. */
  get listening(): boolean {
    return this.messageHandlers.listening;
  }

  /** The handler has returned or thrown, or its steps have been undone. */
  get finished(): boolean {
    return this.closing.finished;
  }

  /** The handler takes no updates and no signals any more. */
  get silent(): boolean {
    return this.finished || this.course.over || this.calls.frozen;
  }

  /** Whether something could begin or fire if the run were not held; null where only the record can tell. */
  isDue(now: number): boolean | null {
    if (!this.course.live || this.course.over) return null;
    return this.renewal.requested || this.work.isDue(now);
  }

  /**
   * When the next deadline is; Infinity if only something from outside can move the run. An earlier one that comes up later
   * rings `rested`. @param all also those that a lane holds back
   */
  soonest(all = true): number {
    return Math.min(this.work.soonest(all), this.intervention.dueAt);
  }

  /** Does what is due. */
  tick(now: number): void {
    this.work.expire(now);
    this.intervention.tick(now);
    this.work.tick(now);
  }

  /** Starts the handler, replays, goes live. */
  async begin(beginning: Beginning): Promise<void> {
    try {
      await this.#begin(beginning);
    } catch (error) {
      this.course.fail(error);
    }
    this.course.calm();
  }

  async #begin(beginning: Beginning): Promise<void> {
    const { course } = this;
    const { state } = course;
    course.resumed = beginning === "resumed";
    course.careful = state.interruptions > 0 || course.ledger.openedRecovered;
    // What was noted of earlier deaths must be safe before anything can kill the process again.
    if (course.careful) await course.durable();
    if (course.over) return;
    const recorded = course.ledger.takeRecorded();
    this.publisher.begin(recorded.length > 0);
    const isFirst = beginning === "first" && recorded.length === 0;
    course.noneCameFurther = isFirst || this.#noneCameFurther;
    if (isFirst && state.published.length === 0) return this.#beginAnew();
    this.#startHandler();
    await course.replay.play(recorded);
    if (course.over) return;
    const added = state.ending === null ? await this.#adopt() : new Set<string>();
    if (added === null || course.over) return;
    this.closing.replayed();
    // What was at work begins again, except for calls whose outcome is about to be delivered, and unless the run goes on as new.
    const open = [...this.calls.pending.values()].filter(({ key, begun }) => !begun && !added.has(key));
    if (course.resumed && (course.suspended || !this.renewal.requested)) await this.work.attempts.suspects.mark(open);
    if (course.over) return;
    course.goLive();
    this.messageHandlers.goLive();
    this.closing.goLive();
    this.beginHeld();
    this.drained();
  }

  /** Earlier lives ran this very code, and no entry shows that they came further than the newest outcome. */
  get #noneCameFurther(): boolean {
    const { state, ledger, world } = this.course;
    return ledger.openedSilent && state.retriedSeq === 0 && state.startedUnder === world.deployment;
  }

  /** With nothing to replay it is live from the beginning. */
  #beginAnew(): void {
    this.course.goLive();
    this.#startHandler();
    this.beginHeld();
    this.course.post(() => {});
  }

  /** Starts the handler and replays what is on record, and no more: nothing begins, nothing is appended. */
  async rehearse(dress: (step: Step) => Step): Promise<void> {
    const { replay, ledger } = this.course;
    const recorded = ledger.takeRecorded();
    this.#startHandler(dress);
    await replay.play(recorded);
    await replay.linger();
    if (this.course.failure !== null) throw this.course.failure;
  }

  /** Compares new code with the record. Returns the keys of calls it added; null if the run cannot go on with it. */
  async #adopt(): Promise<ReadonlySet<string> | null> {
    const { course, work } = this;
    work.withdrawals.record();
    await course.replay.seek(this.#adoption.awaited());
    if (course.over) return null;
    work.withdrawals.record();
    work.children.recordLost();
    this.publisher.end();
    return this.#adoption.reconcile();
  }

  /** Begins what a replay or a pause held back. */
  beginHeld(): void {
    // A replay under way does this once it is over.
    if (!this.course.live || this.course.over) return;
    this.work.beginHeld();
    if (!this.course.suspended) this.renewal.proceed();
  }

  opened(pending: Pending, fresh: boolean): void {
    this.work.opened(pending, fresh);
    this.stirred();
  }

  closed(pending: Pending): void {
    this.work.closed(pending);
  }

  withdrawn(pending: Pick<Pending, "id" | "plan" | "begun">, inVain: boolean): void {
    this.work.withdrawals.add(pending, inVain);
  }

  /** Branches have lost a race: nothing waits for their waits any more. */
  withdraw(): void {
    this.calls.withdraw();
    if (!this.course.live) return;
    this.work.children.recordLost();
    this.work.withdrawals.record();
  }

  /** Whether the handler can be given the outcome with this key now. */
  expects(key: string): boolean {
    return key === cancelKey || key === undoKey || this.calls.pending.has(key) || this.messageHandlers.expects(key);
  }

  deliver(outcome: Outcome): void {
    const { settle } = outcome;
    this.calls.seenSeq = Math.max(this.calls.seenSeq, outcome.seq);
    if (settle.kind === "undo") this.closing.undo(settle.steps);
    else if (settle.kind === "update" || settle.kind === "signal") {
      this.calls.heed(outcome);
      this.messageHandlers.deliver(outcome);
    } else this.calls.deliver(outcome);
    if (settle.kind === "cancelled" && this.renewal.refuse(settle.error)) this.messageHandlers.resume();
  }

  drained(): void {
    const { course } = this;
    const { state } = course;
    this.closing.drained();
    this.intervention.drained();
    if (this.busy) return;
    if (course.over || course.held) return course.rested.ring();
    this.#adoption.rest();
    if (state.interruptions > 0) course.record({ kind: "run.recovered" });
    // Not yet right after a recovery: what happens next may be what the process died of, before that could be noted.
    else if (state.seq > state.recoveredSeq) course.careful = false;
    course.rested.ring();
  }

  release(reason: () => Error): void {
    const { unsettled } = this.work.attempts;
    // What is on record as another kind of call was never at work as a step.
    this.leftAtWork = unsettled.filter((pending) => this.#adoption.changedKind(pending) === null).map(({ id }) => id);
    this.calls.pending.clear();
    this.work.attempts.abandon(reason);
  }

  #startHandler(dress = (step: Step): Step => step): void {
    const step = dress(createStep(this));
    within(this.calls.root, () => callHandler(this.definition, this.course, step)).then(
      (output) => this.renewal.handlerSettled({ kind: "run.completed", output }),
      (error: unknown) => this.failed(error),
    );
  }

  /** The handler has thrown, or somebody in its place. */
  failed(error: unknown): void {
    this.renewal.handlerSettled({ kind: "run.failed", error: this.errors.toRunError(error) });
  }

  /** The handler made a call, or can be asked something more: that it comes to rest again is noticed behind an event. */
  stirred(): void {
    this.course.stirred.ring();
    if (this.course.live && !this.busy) this.course.post(() => {});
  }
}
