/**
 * Owns: the life of one run from its creation to its end, and every way to move it from outside.
 * Does not own: the handler (execution), storage, alarms; whoever hosts it calls `advance` and does
 * what the answer says.
 * Long because it is every way into a run from outside; what they do is decided elsewhere.
 *
 * Invariant 1: what is answered is on record first (guarantee 1).
 * Invariant 2: an unfinished run that is not parked on signals alone always names its next wake (guarantee 4).
 */
import { decide, refuseEnded } from "../core/action.ts";
import type { Action } from "../core/action.ts";
import type { Definition } from "../core/definition.ts";
import type { EntryOf, Fact } from "../core/entry.ts";
import { HoldfastError, storeError } from "../core/error.ts";
import type { Journal } from "../core/journal.ts";
import type { RunSnapshot } from "../core/run.ts";
import { validate } from "../core/schema.ts";
import type { SignalRequest } from "../core/service.ts";
import { snapshot } from "../core/snapshot.ts";
import type { RunState } from "../core/state.ts";
import { decode, encode, isSame } from "../core/value.ts";
import { Execution } from "./execution.ts";
import { Ledger } from "./ledger.ts";
import type { World } from "./world.ts";

/** Deaths in a row without any progress after which the handler itself is held to be their cause. */
const deathLimit = 8;
const livesLimit = 25;
/** How soon, at most, a run whose code is gone looks for it again. */
const longestSearchMs = 5 * 60_000;

/** What is to happen next: `wakeAt` is an instant, or null when only the world can move the run. */
export type Next = {
  /** Attempts are in flight: keep this memory, and call `advance` again once it `rested` or at `wakeAt`. */
  readonly busy: boolean;
  readonly wakeAt: number | null;
  /** The run has ended and its retention is over: remove it. */
  readonly expired: boolean;
};

export type Find = (workflow: string, version: string) => Definition | undefined;

export class Run {
  readonly #journal: Journal;
  readonly #world: World;
  readonly #find: Find;
  #ledger: Ledger;
  #execution: Execution | null = null;
  /** Resolves when the execution has replayed. */
  #live: Promise<void> = Promise.resolve();
  /** This memory saw the run begin, so nothing can have been interrupted. */
  #fresh = false;

  constructor(journal: Journal, world: World, find: Find) {
    this.#journal = journal;
    this.#world = world;
    this.#find = find;
    this.#ledger = new Ledger(journal, world.clock);
  }

  get state(): RunState {
    return this.#ledger.state;
  }

  now(): number {
    return this.#world.clock.now();
  }

  get execution(): Execution | null {
    return this.#execution;
  }

  create(created: Omit<EntryOf<"run.created">, "kind" | "seq" | "at">): void {
    this.#fresh = true;
    const fact: Fact = { kind: "run.created", ...created };
    if (created.startAt !== null && created.startAt > this.#world.clock.now()) this.#ledger.append(fact);
    else this.#ledger.append(fact, this.#started());
  }

  /**
   * Does what is due and answers what must happen next.
   * @param cold this is the first call of this memory, and no deadline of the run had come: it is
   * here because its last life was cut off.
   * @throws whatever made the journal fail; this memory must then be given up.
   */
  advance(cold = false): Next {
    const now = this.#world.clock.now();
    if (this.state.created === null) return idle;
    // Another execution in this memory would not know what is on record.
    if (this.#execution !== null && this.#execution.failure !== null) throw this.#execution.failure;
    this.#beginOrExpire(now);
    if (this.state.end !== null) return this.#ended(now);
    if (this.state.paused !== null) return this.#held(now);
    if (this.state.startedAt === null) return { busy: false, wakeAt: this.state.created.startAt, expired: false };
    const definition = this.#definition();
    if (definition === undefined) return { busy: false, wakeAt: now + this.#searchMs(now), expired: false };
    const timeoutAt = definition.timeoutMs === null ? Infinity : this.state.timedFrom + definition.timeoutMs;
    if (timeoutAt <= now) this.#timeOut(definition);
    else this.#drive(definition, cold, now);
    return this.#next(timeoutAt);
  }

  /** Resolves when `advance` should be called again though no deadline has come. */
  async rested(): Promise<void> {
    if (this.#execution?.busy === true) await this.#execution.rested.heard();
  }

  /** Resolves when the handler does something of its own accord. */
  async stirred(): Promise<void> {
    if (this.#execution === null) await new Promise(() => {});
    else await this.#execution.stirred.heard();
  }

  snapshot(): RunSnapshot {
    const { state } = this;
    const stuck = state.end === null && this.#definition() === undefined ? this.#missing() : null;
    const activity = { running: this.#execution?.running ?? 0, busy: this.#execution?.busy ?? false, stuck };
    return snapshot(state, activity, this.#world.clock.now());
  }

  /** The signal with what the workflow's own schema makes of the payload. @throws signal_invalid */
  fitSignal(signal: SignalRequest): SignalRequest | Promise<SignalRequest> {
    const { name } = signal;
    const signals = this.#definition()?.signals ?? {};
    const schema = Object.hasOwn(signals, name) ? signals[name] : undefined;
    if (schema === undefined) return signal;
    const what = `the payload of signal ${name}`;
    const refit = (payload: unknown) => ({ ...signal, payload: encode(payload, what) });
    const fitted = validate(schema, decode(signal.payload), "signal_invalid", what);
    return fitted instanceof Promise ? fitted.then(refit) : refit(fitted);
  }

  /** @throws run_ended, idempotency_conflict, signal_invalid */
  signal({ name, payload, key, by }: SignalRequest): { duplicate: boolean } {
    const known = key === undefined ? undefined : this.state.signalKeys.get(key);
    if (known !== undefined) {
      if (known.name === name && isSame(known.payload, payload)) return { duplicate: true };
      throw new HoldfastError("idempotency_conflict", `the key ${key} was used for another signal`);
    }
    refuseEnded(this.state, "be signalled");
    if (decode(payload) === null) throw new HoldfastError("signal_invalid", "the payload of a signal cannot be null");
    // Waits whose time has come end before the signal is there, so that it is left for the next.
    this.#execution?.tick(this.#world.clock.now());
    const fact = { kind: "signal.received", name, payload, by } as const;
    this.#ledger.append(key === undefined ? fact : { ...fact, key });
    this.#execution?.signalled(name);
    return { duplicate: false };
  }

  /** How many open waits for the signal have nothing buffered for them yet. */
  openWaits(name: string): number {
    if (this.state.end !== null) return 0;
    let open = 0;
    for (const call of this.state.calls.values()) if (call.kind === "wait" && call.name === name && !call.done) open++;
    const inbox = this.state.inboxes.get(name);
    return open - (inbox === undefined ? 0 : inbox.items.length - inbox.head);
  }

  /**
   * The execution with its replay done, started if need be; also that of a paused run, which then
   * holds everything back but listens.
   * @throws run_ended, version_missing, step_kind_changed
   */
  async awake(): Promise<Execution> {
    refuseEnded(this.state, "be called");
    const definition = this.#definition();
    if (definition === undefined) throw new HoldfastError("version_missing", `the run is ${this.#missing()}`);
    const execution = this.#execution === null ? this.#start(definition) : this.#execution;
    await this.#live;
    if (execution.failure !== null) throw execution.failure;
    if (this.state.end === null && execution.over) {
      throw new HoldfastError("step_kind_changed", this.state.paused?.reason ?? "the run cannot go on with this code");
    }
    refuseEnded(this.state, "be called");
    return execution;
  }

  /** A deadline has come, or nothing is left to wait for: the run has something to do by itself. */
  isDue(): boolean {
    const { created, startedAt, end, paused, calls } = this.state;
    const now = this.#world.clock.now();
    if (created === null || end !== null || paused !== null) return false;
    if (startedAt === null) return (created.startAt ?? 0) <= now;
    const open = [...calls.values()].filter((call) => !call.done);
    return open.length === 0 || open.some((call) => (call.retryAt ?? call.until ?? Infinity) <= now);
  }

  /** It is under way, and no deadline up to this instant explains why anybody looks: its last life was cut off. */
  wasCutOff(dueBy: number): boolean {
    const { startedAt, end, paused, calls, lives } = this.state;
    if (startedAt === null || end !== null || paused !== null) return false;
    // Had it come to rest since its last death, that would be on record.
    if (lives > 0) return true;
    return ![...calls.values()].some((call) => !call.done && (call.retryAt ?? call.until ?? Infinity) <= dueBy);
  }

  /** @throws run_ended, not_retryable, idempotency_conflict */
  act(action: Action): void {
    const decision = decide(this.state, action, this.now());
    if (decision === null) return;
    this.#ledger.append(decision.fact);
    switch (decision.effect) {
      case "none":
        return;
      case "stop":
        return this.#execution?.stop(new Error("the run has ended"));
      case "begin":
        return this.#execution?.over === true ? this.#reopen() : this.#execution?.beginHeld();
      case "restart":
        return this.#reopen();
      default:
        return decision.effect satisfies never;
    }
  }

  #beginOrExpire(now: number): void {
    const { created, startedAt, end, paused } = this.state;
    if (created === null || startedAt !== null || end !== null || paused !== null) return;
    if (created.notAfter !== null && now > created.notAfter) {
      const error = { name: "Expired", message: "the run could not begin in time", code: "start_expired" };
      this.#ledger.append({ kind: "run.cancelled", error, by: "engine", reason: error.message });
    } else if (created.startAt === null || created.startAt <= now) {
      this.#fresh = true;
      this.#ledger.append(this.#started());
    }
  }

  #drive(definition: Definition, cold: boolean, now: number): void {
    if (this.#execution !== null && !this.#execution.over) {
      this.#execution.tick(now);
      return;
    }
    const { deaths, lives } = this.state;
    if (cold && (deaths >= deathLimit || lives >= livesLimit)) {
      const error = new HoldfastError(
        "handler_crashed",
        `the process died ${lives} times in a row while the handler ran`,
      );
      this.#ledger.append({ kind: "run.failed", error: storeError(error) });
      return;
    }
    const { deployment } = this.#world;
    if (cold)
      this.#ledger.append({ kind: "run.interrupted", deployment, held: this.#ledger.openedUnder === deployment });
    this.#start(definition);
  }

  #start(definition: Definition): Execution {
    const execution = new Execution(definition, this.#ledger, this.#world);
    this.#execution = execution;
    this.#live = execution.begin(!this.#fresh);
    this.#fresh = false;
    return execution;
  }

  #next(timeoutAt: number): Next {
    const { end } = this.state;
    if (end !== null) return this.#ended(this.#world.clock.now());
    const execution = this.#execution;
    if (execution === null) return idle;
    if (execution.failure !== null) throw execution.failure;
    if (this.state.paused !== null) return this.#held(this.#world.clock.now());
    const soonest = Math.min(execution.soonest(), timeoutAt);
    return { busy: execution.busy, wakeAt: soonest === Infinity ? null : soonest, expired: false };
  }

  /** A paused run: what was in flight may end, or time out. */
  #held(now: number): Next {
    if (this.#execution === null) return idle;
    this.#execution.tick(now);
    const soonest = this.#execution.soonest();
    return { busy: this.#execution.busy, wakeAt: soonest === Infinity ? null : soonest, expired: false };
  }

  #ended(now: number): Next {
    const { created, end } = this.state;
    const retentionMs = (created === null ? undefined : this.#definition())?.retentionMs ?? defaultRetentionMs;
    const removeAt = (end?.at ?? now) + retentionMs;
    return { busy: false, wakeAt: removeAt, expired: removeAt <= now };
  }

  #timeOut(definition: Definition): void {
    const message = `the run took longer than its timeout of ${definition.timeoutMs} ms`;
    this.#ledger.append({ kind: "run.failed", error: storeError(new HoldfastError("run_timeout", message)) });
    this.#execution?.stop(new Error("the run has ended"));
  }

  /** The handler starts anew from the journal. */
  #reopen(): void {
    this.#ledger = new Ledger(this.#journal, this.#world.clock);
    this.#execution = null;
    // What the last execution had in flight was let go, not interrupted by a death.
    this.#fresh = true;
  }

  #started(): Fact {
    return { kind: "run.started", deployment: this.#world.deployment };
  }

  #definition(): Definition | undefined {
    const { created } = this.state;
    return created === null ? undefined : this.#find(created.workflow, created.version);
  }

  #missing(): string {
    const { created } = this.state;
    return `waiting for version ${created?.version} of workflow ${created?.workflow}, which is not in this deployment`;
  }

  /** Looks often at first, then ever less: a fifth of the time it has been looking. */
  #searchMs(now: number): number {
    return Math.min(longestSearchMs, Math.max(2000, (now - this.state.at) / 5));
  }
}

const defaultRetentionMs = 30 * 24 * 3_600_000;
const idle: Next = { busy: false, wakeAt: null, expired: false };
