/**
 * Owns: one handler in memory: its start, its replay, its way through what happens, its end.
 * Does not own: the run's life beyond the handler (run), its open calls (calls), attempts, waits, the
 * order of replay (replay), the arguments of the step API (step), time.
 * Long because it is where the parts of a handler's life meet; each part has a file of its own.
 *
 * Invariant 1: outcomes are appended, then delivered, by one function, live as in replay.
 * Invariant 2: one outcome is delivered a turn, so that what the handler does between two outcomes
 * is the same in every replay (guarantee 3).
 * Invariant 3: nothing begins before the replay is over, nor while the run is paused.
 * Invariant 4: suspension is a promise that stays pending; nothing is thrown to suspend.
 */
import type { Definition } from "../core/definition.ts";
import type { Fact } from "../core/entry.ts";
import { storeError } from "../core/error.ts";
import type { HoldfastError, StoredError } from "../core/error.ts";
import { resolveRetry } from "../core/retry.ts";
import type { ResolvedRetry } from "../core/retry.ts";
import { spoken } from "../core/state.ts";
import type { Outcome, RunState } from "../core/state.ts";
import { Adoption } from "./adoption.ts";
import { Attempts } from "./attempts.ts";
import { Bell } from "./bell.ts";
import { Calls } from "./calls.ts";
import { Deadlines } from "./deadlines.ts";
import type { Pending, Plan } from "./call.ts";
import { Errors } from "./errors.ts";
import { callHandler } from "./handler.ts";
import type { Ledger } from "./ledger.ts";
import { Queue } from "./queue.ts";
import { Replay } from "./replay.ts";
import { Said } from "./said.ts";
import { createStep } from "./step.ts";
import { Waits } from "./waits.ts";
import type { World } from "./world.ts";

export class Execution {
  readonly definition: Definition;
  readonly ledger: Ledger;
  readonly world: World;
  /** The policy of steps that set none of their own. */
  readonly retry: ResolvedRetry;
  /** Rings when the handler makes a call or ends. */
  readonly stirred = new Bell();
  /** Rings when nothing is left to do but wait, and when there is something new to wait for, or sooner. */
  readonly rested = new Bell();
  /** Rings when the execution is stopped. */
  readonly stopped = new Bell();
  /** What the handler said in earlier lives. */
  readonly said = new Said();
  /** The handler has returned or thrown. */
  finished = false;
  over = false;
  /** Why this memory must be given up; the journal is as it was. */
  failure: unknown = null;
  readonly #calls: Calls;
  readonly #deadlines: Deadlines;
  readonly #errors = new Errors();
  readonly #queue: Queue;
  readonly #attempts: Attempts;
  readonly #waits: Waits;
  readonly #replay: Replay;
  readonly #adoption: Adoption;
  #live = false;
  #end: (() => void) | null = null;

  constructor(definition: Definition, ledger: Ledger, world: World) {
    this.definition = definition;
    this.ledger = ledger;
    this.world = world;
    this.retry = resolveRetry(definition.retry);
    this.#queue = new Queue(
      world.clock,
      () => this.over || this.#working,
      () => this.#checkRest(),
    );
    this.#replay = new Replay(world.clock);
    this.#calls = new Calls(this, this.#replay, this.#errors, definition.limits);
    this.#adoption = new Adoption(ledger.state, this.pending, this.#replay);
    this.#waits = new Waits(this);
    this.#attempts = new Attempts(
      ledger,
      world,
      (event) => this.post(event),
      (fact) => this.record(fact),
    );
    this.#deadlines = new Deadlines(ledger.state, this.pending, this.#attempts, this.rested);
  }

  get state(): RunState {
    return this.ledger.state;
  }

  /** Something goes on, or may, that needs this memory to stay. */
  get busy(): boolean {
    if (this.over) return false;
    return this.#queue.busy || this.#working || !this.#live;
  }

  get #working(): boolean {
    // With no call open, the handler awaits something that is not ours to see.
    const elsewhere = this.pending.size === 0 && !this.finished;
    return this.#attempts.running > 0 || this.#waits.creating > 0 || elsewhere;
  }

  get live(): boolean {
    return this.#live;
  }

  get pending(): Map<string, Pending> {
    return this.#calls.pending;
  }

  /** Calls made so far. */
  get made(): number {
    return this.#calls.made;
  }

  /** The instant of the newest outcome the handler has seen. */
  get seenAt(): number {
    return this.#calls.seenAt;
  }

  get running(): number {
    return this.#attempts.running;
  }

  /** Starts the handler, replays, goes live. `resumed` unless this is the run's first life. */
  async begin(resumed: boolean): Promise<void> {
    try {
      await this.#begin(resumed);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #begin(resumed: boolean): Promise<void> {
    // What was noted of earlier deaths must be safe before anything can kill the process again.
    if (this.state.lives > 0) await this.ledger.durable();
    if (this.over) return;
    const recorded = this.ledger.takeRecorded();
    this.said.begin(recorded.length, this.state);
    this.#startHandler();
    await this.#replay.play(recorded, this);
    await this.#replay.seek(this.#adoption.awaited(), this);
    if (this.over) return;
    this.said.end();
    this.#adoption.survey();
    for (const pending of this.pending.values()) {
      const changed = this.#adoption.changedKind(pending);
      if (changed !== null) return this.#pause(changed);
    }
    const added = this.#adoption.mark((facts) => this.ledger.append(...facts));
    if (resumed) await this.#attempts.mark([...this.pending.values()].filter(({ key }) => !added.has(key)));
    if (this.over) return;
    this.#live = true;
    if (this.#end !== null) this.post(this.#end);
    this.beginHeld();
    this.#checkRest();
  }

  /** Begins what a replay or a pause held back. */
  beginHeld(): void {
    // A replay under way does this once it is over.
    if (!this.#live || this.over) return;
    for (const pending of [...this.pending.values()]) if (!pending.begun) this.#start(pending);
    if (this.state.paused !== null) return;
    this.#waits.matchAll();
    this.#attempts.resume();
  }

  call(name: string, plan: Plan): Promise<unknown> {
    return this.#calls.make(name, plan);
  }

  opened(pending: Pending, fresh: boolean): void {
    if (fresh && this.#live) this.#guard(() => this.#start(pending));
    this.stirred.ring();
    // A handler that went from something of its own into a call comes to rest once more.
    if (this.#live && !this.busy) this.post(() => {});
  }

  closed(pending: Pending): void {
    this.#waits.closed(pending);
  }

  deliver(outcome: Outcome): void {
    this.#calls.deliver(outcome);
  }

  refuse(pending: Pending, error: unknown): void {
    this.#calls.refuse(pending, error);
  }

  /** Appends the fact; delivers the outcome it makes, if it makes one. */
  record(fact: Fact): void {
    this.#guard(() => {
      const outcome = this.ledger.append(fact);
      if (outcome !== null) this.deliver(outcome);
      else if (fact.kind === "step.attempt_failed") this.expect(fact.retryAt);
      else if (fact.kind === "wait.started") this.rested.ring();
    });
  }

  /** Puts on record what the handler says, unless an earlier life said it. */
  say(fact: Parameters<typeof spoken>[0]): void {
    if (!this.over && this.said.isNews(spoken(fact))) this.record(fact);
  }

  /** Runs the event in its turn, after everything posted before it. */
  post(event: () => void): void {
    if (!this.over) this.#queue.post(() => this.#guard(event));
  }

  expect(at: number): void {
    this.#deadlines.expect(at);
  }

  /** When the next deadline is; Infinity when nothing but the world can move the run. Armed until asked again. */
  soonest(): number {
    return this.#deadlines.soonest();
  }

  /** Does what is due. */
  tick(now: number): void {
    this.#attempts.expire(now);
    if (!this.#live || this.state.paused !== null) return;
    for (const pending of this.#deadlines.due(now)) this.post(() => this.#fire(pending));
  }

  /** A signal of this name is on record. */
  signalled(name: string): void {
    if (this.#live && this.state.paused === null) this.#waits.match(name);
  }

  /** Ends this handler's say in the run: it stays suspended, its attempts are told to stop. */
  stop(reason: Error): void {
    this.over = true;
    this.#queue.clear();
    this.pending.clear();
    this.#attempts.abandon(reason);
    this.stirred.ring();
    this.rested.ring();
    this.stopped.ring();
  }

  /** Ends the run with this fact, and the handler with it. */
  conclude(fact: Fact): void {
    if (this.over) return;
    this.#guard(() => this.ledger.append(...(this.#live ? this.#adoption.leftovers() : []), fact));
    this.stop(new Error("the run has ended"));
  }

  runError(thrown: unknown): StoredError {
    return this.#errors.toRunError(thrown);
  }

  #startHandler(): void {
    callHandler(this.definition, this.state, createStep(this)).then(
      (output) => this.#finish(() => this.conclude({ kind: "run.completed", output })),
      (error: unknown) => this.#finish(() => this.conclude({ kind: "run.failed", error: this.runError(error) })),
    );
  }

  #finish(end: () => void): void {
    this.finished = true;
    this.#end = end;
    if (this.#live) this.post(end);
    this.stirred.ring();
  }

  #start(pending: Pending): void {
    if (this.state.paused !== null || this.over) return;
    const changed = this.#adoption.changedKind(pending);
    if (changed !== null) return this.#pause(changed);
    pending.begun = true;
    const { plan } = pending;
    switch (plan.kind) {
      case "run": {
        const call = this.state.calls.get(pending.key);
        if (call !== undefined && call.retryAt !== null) return this.expect(call.retryAt);
        this.#attempts.begin(pending, plan);
        return this.expect(this.world.clock.now() + plan.timeoutMs);
      }
      case "sleep":
      case "wait":
      case "webhook":
      case "received":
        return this.#waits.begin(pending, plan);
      default:
        return plan satisfies never;
    }
  }

  #fire(pending: Pending): void {
    if (this.pending.get(pending.key) !== pending || this.#deadlines.of(pending) > this.world.clock.now()) return;
    if (pending.plan.kind === "run") this.#attempts.begin(pending, pending.plan);
    else this.#waits.fire(pending);
  }

  #checkRest(): void {
    if (this.busy) return;
    if (this.state.lives > 0 && !this.over && this.state.paused === null) this.record({ kind: "run.recovered" });
    this.rested.ring();
  }

  /** What goes wrong in here is no business of the handler's. */
  #guard(act: () => unknown): void {
    try {
      act();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The journal could not be written or read: this memory is no longer to be trusted. */
  #fail(error: unknown): void {
    this.failure ??= error;
    this.stop(new Error("the run's journal is out of order", { cause: error }));
  }

  #pause(error: HoldfastError): void {
    const stored = storeError(error);
    this.ledger.append({ kind: "run.paused", by: "engine", reason: error.message, error: stored });
    this.stop(error);
  }
}
