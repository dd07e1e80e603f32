/**
 * Owns: one handler in memory: its open calls, and the single queue through which everything that
 * happens reaches it.
 * Does not own: the run's life beyond the handler (run), attempts (attempts), the order of replay
 * (replay), the arguments of the step API (step), time.
 * Invariant 1: outcomes are appended, then delivered, by one function, live as in replay.
 * Invariant 2: one outcome is delivered a turn, so that what the handler does between two outcomes
 * is the same in every replay (guarantee 3).
 * Invariant 3: nothing begins before the replay is over, nor while the run is paused.
 * Invariant 4: suspension is a promise that stays pending; nothing is thrown to suspend.
 */
import type { Definition } from "../core/definition.ts";
import type { Fact } from "../core/entry.ts";
import { HoldfastError, reviveError, storeError } from "../core/error.ts";
import type { StoredError } from "../core/error.ts";
import { toCallId } from "../core/name.ts";
import { resolveRetry } from "../core/retry.ts";
import type { ResolvedRetry } from "../core/retry.ts";
import { validate } from "../core/schema.ts";
import { callKey, spoken } from "../core/state.ts";
import type { Outcome, RunState } from "../core/state.ts";
import type { Step, WebhookOptions } from "../core/step.ts";
import { decode, encode } from "../core/value.ts";
import { Adoption } from "./adoption.ts";
import { Attempts } from "./attempts.ts";
import { Bell } from "./bell.ts";
import { recordKind } from "./call.ts";
import type { Pending, Plan } from "./call.ts";
import type { Ledger } from "./ledger.ts";
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
  readonly pending = new Map<string, Pending>();
  /** Rings when the handler makes a call or ends. */
  readonly stirred = new Bell();
  /** Rings when nothing is left to do but wait, or when there is something to wait for sooner. */
  readonly rested = new Bell();
  /** Rings when the execution is stopped. */
  readonly stopped = new Bell();
  /** The instant of the newest outcome the handler has seen. */
  seenAt: number;
  /** Calls made so far. */
  made = 0;
  /** What the handler said in earlier lives. */
  readonly said = new Said();
  /** The handler has returned or thrown. */
  finished = false;
  over = false;
  /** Why this memory must be given up; the journal is as it was. */
  failure: unknown = null;
  readonly #occurrences = new Map<string, number>();
  readonly #attempts: Attempts;
  readonly #waits: Waits;
  readonly #replay: Replay;
  readonly #adoption: Adoption;
  /** Errors of ours that the handler was given: when it lets one through, its code stays. */
  readonly #delivered = new WeakSet<object>();
  #queue: (() => void)[] = [];
  #pumping = false;
  #live = false;
  #end: (() => void) | null = null;
  #soonest = Infinity;

  constructor(definition: Definition, ledger: Ledger, world: World) {
    this.definition = definition;
    this.ledger = ledger;
    this.world = world;
    this.retry = resolveRetry(definition.retry);
    this.seenAt = ledger.state.startedAt ?? ledger.state.at;
    this.#replay = new Replay(world.clock);
    this.#adoption = new Adoption(ledger.state, this.pending, this.#replay);
    this.#waits = new Waits(this);
    this.#attempts = new Attempts(
      ledger,
      world,
      (event) => this.post(event),
      (fact) => this.record(fact),
    );
  }

  get state(): RunState {
    return this.ledger.state;
  }

  /** Something goes on, or may, that needs this memory to stay. */
  get busy(): boolean {
    if (this.over) return false;
    return this.#pumping || this.#queue.length > 0 || this.#working || !this.#live;
  }

  get #working(): boolean {
    // With no call open, the handler awaits something that is not ours to see.
    const elsewhere = this.pending.size === 0 && !this.finished;
    return this.#attempts.running > 0 || this.#waits.creating > 0 || elsewhere;
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
    if (resumed) await this.#attempts.mark(this.#interrupted(added));
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

  /** A call of `step`; stays pending for ever once the run has ended. */
  call(name: string, plan: Plan): Promise<unknown> {
    if (this.over) return new Promise(() => {});
    const count = `${plan.kind}:${name}`;
    const occurrence = (this.#occurrences.get(count) ?? 0) + 1;
    this.#occurrences.set(count, occurrence);
    this.made++;
    const { steps, perStep } = this.definition.limits;
    const allowed = Object.hasOwn(perStep, name) ? (perStep[name] ?? Infinity) : Infinity;
    if (this.made > steps || occurrence > allowed) return Promise.reject(this.#limitError(name, steps, allowed));
    const id = toCallId(name, occurrence);
    return this.open(callKey(recordKind(plan), id), id, name, plan);
  }

  /** Opens a promise that the outcome with this key settles. */
  open(key: string, id: string, name: string, plan: Plan): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const pending: Pending = { key, id, name, plan, resolve, reject, begun: false };
      this.pending.set(key, pending);
      const passedOver = this.#replay.claim(key);
      if (passedOver !== undefined) this.#claim(passedOver);
      else if (this.#live) this.#guard(() => this.#start(pending));
      this.stirred.ring();
      if (this.#live && !this.busy) this.post(() => {});
    });
  }

  /** Appends the fact; delivers the outcome it makes, if it makes one. */
  record(fact: Fact): void {
    this.#guard(() => this.#record(fact));
  }

  #record(fact: Fact): void {
    const outcome = this.ledger.append(fact);
    if (outcome !== null) this.deliver(outcome);
    else if (fact.kind === "step.attempt_failed") this.expect(fact.retryAt);
  }

  /** Puts on record what the handler says, unless an earlier life said it. */
  say(fact: Parameters<typeof spoken>[0]): void {
    if (!this.over && this.said.isNews(spoken(fact))) this.record(fact);
  }

  deliver(outcome: Outcome): void {
    const pending = this.pending.get(outcome.key);
    if (pending === undefined) return;
    this.pending.delete(outcome.key);
    this.#waits.closed(pending);
    // What new code asks for late is older than what the handler has seen; its time does not run back.
    this.seenAt = Math.max(this.seenAt, outcome.at);
    const { settle } = outcome;
    switch (settle.kind) {
      case "value":
        return pending.resolve(decode(settle.value));
      case "error":
        return pending.reject(this.#own(reviveError(settle.error)));
      case "elapsed":
        return pending.resolve(
          pending.plan.kind === "webhook" ? this.#webhook(pending, pending.plan.options) : undefined,
        );
      case "timed_out":
        return pending.resolve(null);
      default:
        return settle satisfies never;
    }
  }

  /** Runs the event in its turn, after everything posted before it. */
  post(event: () => void): void {
    if (this.over) return;
    this.#queue.push(event);
    if (!this.#pumping) void this.#pump();
  }

  /** There is something to do at this instant. */
  expect(at: number): void {
    if (at < this.#soonest) this.rested.ring();
  }

  /** When the next deadline is; Infinity when nothing but the world can move the run. Armed until asked again. */
  soonest(): number {
    let soonest = this.#attempts.timeoutAt;
    if (this.state.paused === null) {
      for (const pending of this.pending.values()) soonest = Math.min(soonest, this.#deadline(pending));
    }
    this.#soonest = soonest;
    return soonest;
  }

  /** Does what is due. */
  tick(now: number): void {
    this.#attempts.expire(now);
    if (!this.#live || this.state.paused !== null) return;
    const due = [...this.pending.values()]
      .map((pending) => ({ pending, at: this.#deadline(pending) }))
      .filter(({ at }) => at <= now)
      .sort((one, other) => one.at - other.at);
    for (const { pending } of due) this.post(() => this.#fire(pending));
  }

  /** A signal of this name is on record. */
  signalled(name: string): void {
    if (this.#live && this.state.paused === null) this.#waits.match(name);
  }

  /** Ends this handler's say in the run: it stays suspended, its attempts are told to stop. */
  stop(reason: Error): void {
    this.over = true;
    this.#queue = [];
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

  /** A run's error as it is stored: errors of ours keep their code, others are the handler's own. */
  runError(thrown: unknown): StoredError {
    const ours =
      thrown instanceof HoldfastError || (typeof thrown === "object" && thrown !== null && this.#delivered.has(thrown));
    const error = storeError(thrown);
    return ours && error.code !== undefined ? error : { ...error, code: "handler_failed" };
  }

  /** The call could not be made and leaves nothing on record: its caller hears why. */
  refuse(pending: Pending, error: unknown): void {
    this.pending.delete(pending.key);
    pending.reject(typeof error === "object" && error !== null ? this.#own(error) : error);
  }

  #startHandler(): void {
    const { definition } = this;
    const input = decode(this.state.created?.input ?? encode(undefined, "no input"));
    const run = async () => {
      const handler = definition.handler as (input: unknown, step: Step) => unknown;
      const output = await handler(input, createStep(this));
      return encode(await validate(definition.output, output, "output_invalid", "the output"), "the output of the run");
    };
    run().then(
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
    if (this.pending.get(pending.key) !== pending || this.#deadline(pending) > this.world.clock.now()) return;
    if (pending.plan.kind === "run") this.#attempts.begin(pending, pending.plan);
    else this.#waits.fire(pending);
  }

  #deadline(pending: Pending): number {
    if (!pending.begun || pending.plan.kind === "webhook") return Infinity;
    if (this.#attempts.isRunning(pending.key)) return Infinity;
    const call = this.state.calls.get(callKey(recordKind(pending.plan), pending.id));
    if (call === undefined) return Infinity;
    return (pending.plan.kind === "run" ? call.retryAt : call.until) ?? Infinity;
  }

  #webhook(created: Pending, options: WebhookOptions): object {
    const call = this.state.calls.get(created.key);
    const received = this.open(callKey("received", created.id), created.id, created.name, {
      kind: "received",
      options,
    });
    return { url: call?.url ?? "", received: () => received };
  }

  #claim(outcome: Outcome): void {
    if (this.#live) this.post(() => this.deliver(outcome));
    else this.#replay.defer(outcome);
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    for (let next = 0; next < this.#queue.length;) {
      await this.world.clock.turn();
      const event = this.#queue[next++];
      if (event !== undefined) this.#guard(event);
      // Taken off in large pieces, so that a thousand events cost a thousand times one.
      if (next === 1024) next -= this.#queue.splice(0, 1024).length;
      if (next === this.#queue.length) {
        this.#queue = [];
        next = 0;
        // What the handler makes of the last event shows a turn later.
        if (!this.over && !this.#working) await this.world.clock.turn();
      }
    }
    this.#pumping = false;
    this.#checkRest();
  }

  #checkRest(): void {
    if (this.busy || this.#pumping) return;
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

  /** Steps that had begun and have no outcome: the last life ended under them. */
  #interrupted(added: ReadonlySet<string>): Pending[] {
    return [...this.pending.values()].filter(({ key, plan }) => {
      if (plan.kind !== "run" || added.has(key)) return false;
      return (this.state.calls.get(key)?.retryAt ?? null) === null;
    });
  }

  #pause(error: HoldfastError): void {
    const stored = storeError(error);
    this.ledger.append({ kind: "run.paused", by: "engine", reason: error.message, error: stored });
    this.stop(error);
  }

  #limitError(name: string, steps: number, allowed: number): Error {
    const limit = this.made > steps ? `${steps} calls of step` : `${allowed} calls of ${name}`;
    return this.#own(new HoldfastError("limit_exceeded", `the run has made more than its limit of ${limit}`));
  }

  #own<Thrown extends object>(error: Thrown): Thrown {
    this.#delivered.add(error);
    return error;
  }
}
