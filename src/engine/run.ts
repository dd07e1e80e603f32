/**
 * Owns: the life of one run from its creation to its end, and every way to move it from outside.
 * Does not own: the handler (execution), storage, alarms; whoever hosts it calls `advance` and does
 * what the answer says.
 * Long because it is every way into a run from outside; what they do is decided elsewhere.
 *
 * Invariant 1: what is answered is on record first (guarantee 1).
 * Invariant 2: an unfinished run that is not parked on signals alone always names its next wake (guarantee 4).
 */
import { authorOf } from "../core/author.ts";
import { decide, refuseEnded } from "../core/action.ts";
import type { Action } from "../core/action.ts";
import { decideMerge } from "../core/debounce.ts";
import type { DebouncedStart } from "../core/debounce.ts";
import { deadlineOf, dueAt } from "../core/child.ts";
import type { Definition } from "../core/definition.ts";
import type { EntryOf, Fact } from "../core/entry.ts";
import { HoldfastError, storeError } from "../core/error.ts";
import type { Journal } from "../core/journal.ts";
import type { ChildPolicy, ChildRun } from "../core/origin.ts";
import type { RunSnapshot } from "../core/run.ts";
import { fitPayload } from "../core/payload.ts";
import type { SignalRequest } from "../core/service.ts";
import { glance, snapshot } from "../core/snapshot.ts";
import type { Activity, Glance } from "../core/snapshot.ts";
import { openCalls } from "../core/state.ts";
import type { RunState } from "../core/state.ts";
import { decode, isSame } from "../core/value.ts";
import type { Usage } from "../core/usage.ts";
import type { Stored } from "../core/value.ts";
import { withoutUndoing } from "./ending.ts";
import { Execution } from "./execution.ts";
import { Ledger } from "./ledger.ts";
import { Porter } from "./porter.ts";
import { Replica } from "./replica.ts";
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
  /** What the run has to do with the lanes it shares with others. */
  readonly porter: Porter;
  /** What it has taken of the platform, as far as anybody measures it. */
  measure: () => Usage = () => this.state.used;
  #ledger: Ledger;
  #execution: Execution | null = null;
  /** Resolves when the execution has replayed. */
  #live: Promise<void> = Promise.resolve();
  /** This memory saw the run begin, so nothing can have been interrupted. */
  #fresh = false;
  /** No handler of the run has begun yet, in this life or another. */
  #unbegun = false;
  /** Its timeout is over, and it is on its way to its end. */
  #timedOut = false;

  constructor(journal: Journal, world: World, find: Find) {
    this.#journal = journal;
    this.#world = world;
    this.#find = find;
    this.#ledger = new Ledger(journal, world.clock);
    this.porter = new Porter(this);
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

  /** Puts on record what moves no handler. */
  append(...facts: readonly Fact[]): void {
    this.#ledger.append(...facts);
  }

  /**
   * @param signal one that comes with the start, checked; both are on record, or neither
   * @param died the process died of an earlier start, of which nothing is left: the run begins with care
   */
  create(created: Omit<EntryOf<"run.created">, "kind" | "seq" | "at">, signal?: SignalRequest, died = false): void {
    this.#fresh = true;
    this.#unbegun = true;
    const fact: Fact = { kind: "run.created", ...created };
    const later = created.startAt !== null && created.startAt > this.#world.clock.now();
    const waits = later || created.lanes?.some(({ scope }) => scope === "run") === true;
    const sent: Fact[] = signal === undefined ? [] : [{ kind: "signal.received", ...signal }];
    const begun = waits ? [] : [this.#started(), ...(died ? [this.#interrupted(true)] : [])];
    this.#ledger.append(fact, ...begun, ...sent);
  }

  /**
   * A run that begins with what another has done, and starts when it is driven. All of it is to be
   * written in one transaction; should it throw, this memory must be given up.
   */
  fork(created: Omit<EntryOf<"run.created">, "kind" | "seq" | "at">, history: readonly Fact[]): void {
    this.#ledger.append({ kind: "run.created", ...created });
    // A commit for each, so that no text holds them all: there may be many, and large ones.
    for (const fact of history) this.#ledger.append(fact);
    this.#reopen();
  }

  /** Another start within the period of a debounce; false where it must make a run of its own. */
  debounce(start: DebouncedStart): boolean {
    const merge = decideMerge(this.state, start, this.#ledger.now());
    if (merge.kind === "merged" && merge.fact !== null) this.#ledger.append(merge.fact);
    return merge.kind === "merged";
  }

  /**
   * Does what is due and answers what must happen next.
   * @param cold this is the first call of this memory, and no deadline of the run had come: it is
   * here because its last life was cut off.
   * @throws whatever made the journal fail; this memory must then be given up.
   */
  advance(cold = false): Next {
    return this.porter.settle(this.#advance(cold));
  }

  #advance(cold: boolean): Next {
    const now = this.#world.clock.now();
    if (this.state.created === null) return idle;
    // Another execution in this memory would not know what is on record.
    if (this.#execution !== null && this.#execution.failure !== null) throw this.#execution.failure;
    this.#beginOrExpire(now);
    if (this.state.end !== null) return this.#ended(now);
    if (this.state.paused !== null) return this.#held(now);
    const { startAt } = this.state.created;
    if (this.state.startedAt === null && (startAt ?? 0) > now) return { busy: false, wakeAt: startAt, expired: false };
    const definition = this.#definition();
    if (definition === undefined) {
      this.porter.rest();
      return { busy: false, wakeAt: now + this.#searchMs(now), expired: false };
    }
    // Its lanes hold it.
    if (this.state.startedAt === null) return idle;
    const timeoutAt = this.#timeoutAt(definition);
    const late = timeoutAt <= now && !this.#timedOut;
    // Without anything to undo the handler is not needed for it.
    if (!late || this.state.undoable.size > 0) this.#drive(definition, cold, late);
    if (late && this.state.end === null) this.#timeOut(definition);
    return this.#next(this.#timedOut ? Infinity : timeoutAt);
  }

  /** The handler goes on at once, by microtasks alone: what it writes is one commit, with what set it going. */
  get isBurst(): boolean {
    return this.#execution?.isBurst === true;
  }

  /** Resolves, within the same turn of the event loop, when a burst is over or goes on behind a full turn. */
  async yielded(): Promise<void> {
    await this.#execution?.yielded.heard();
  }

  /** Resolves when `advance` should be called again though no deadline has come. */
  async rested(): Promise<void> {
    if (this.#execution?.busy === true) await this.#execution.rested.heard();
    else await this.porter.heard();
  }

  /** Resolves when the handler does something of its own accord. */
  async stirred(): Promise<void> {
    if (this.#execution === null) await new Promise(() => {});
    else await this.#execution.stirred.heard();
  }

  /** @param places where it stands in the lanes that hold it, if they were asked */
  snapshot(places: Activity["places"] = new Map()): RunSnapshot {
    return snapshot(this.state, { ...this.#activity(), places, usage: this.measure() }, this.now());
  }

  /** Of a snapshot, what tells whether there is anything new: it measures nothing and words nothing. */
  glance(): Glance {
    return glance(this.state, this.#activity());
  }

  #activity(): Activity {
    const stuck = this.state.end === null && this.#definition() === undefined ? this.#missing() : null;
    const { running = 0, atWork: busy = false, inFlight = none }: Partial<Execution> = this.#execution ?? {};
    return { running, busy, inFlight, stuck };
  }

  /** The signal with what the workflow's own schema makes of the payload. @throws signal_invalid */
  fitSignal(signal: SignalRequest): SignalRequest | Promise<SignalRequest> {
    const refit = (payload: Stored): SignalRequest => ({ ...signal, payload });
    const fitted = fitPayload(this.#definition(), signal.name, signal.payload);
    return fitted instanceof Promise ? fitted.then(refit) : refit(fitted);
  }

  /** @throws run_ended, idempotency_conflict, signal_invalid */
  signal(request: SignalRequest): { duplicate: boolean } {
    const { name, payload, key, reason, trace } = request;
    const known = key === undefined ? undefined : this.state.signalKeys.get(key);
    if (known !== undefined) {
      if (known.name === name && isSame(known.payload, payload)) return { duplicate: true };
      throw new HoldfastError("idempotency_conflict", `the key ${key} was used for another signal`);
    }
    refuseEnded(this.state, "be signalled");
    if (decode(payload) === null) throw new HoldfastError("signal_invalid", "the payload of a signal cannot be null");
    // Waits whose time has come end before the signal is there, so that it is left for the next.
    this.#execution?.tick(this.#world.clock.now());
    const more = {
      ...(key === undefined ? {} : { key }),
      ...(reason === undefined ? {} : { reason }),
      ...(trace === undefined ? {} : { trace }),
    };
    this.#ledger.append({ kind: "signal.received", name, payload, ...authorOf(request), ...more });
    this.#execution?.signalled(name);
    return { duplicate: false };
  }

  /** How many open waits for the signal have nothing buffered for them yet; a listener takes any number. */
  openWaits(name: string): number {
    if (this.state.end !== null || this.state.ending !== null) return 0;
    if (this.state.listeners.has(name)) return Infinity;
    let open = 0;
    for (const call of this.state.open) if (call.kind === "wait" && call.name === name) open++;
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
    const current = this.#execution;
    const execution = current === null || current.renewal.done ? this.#start(definition) : current;
    await this.#live;
    if (execution.failure !== null) throw execution.failure;
    if (execution.renewal.done) return await this.awake();
    if (this.state.end === null && execution.over) {
      throw new HoldfastError("step_kind_changed", this.state.paused?.reason ?? "the run cannot go on with this code");
    }
    refuseEnded(this.state, "be called");
    return execution;
  }

  /** A handler to be asked one query, where the journal stands now. @throws query_not_found, version_missing */
  replica(): Replica {
    const { created, startedAt } = this.state;
    if (startedAt === null) {
      throw new HoldfastError("query_not_found", `run ${created?.id} has not begun and has no queries yet`);
    }
    const definition = this.#definition();
    if (definition === undefined) throw new HoldfastError("version_missing", `the run is ${this.#missing()}`);
    const [lost] = this.state.omitted;
    if (lost !== undefined) {
      const why = `the result of ${lost} stayed behind when the run was exported`;
      throw new HoldfastError("query_failed", `the run cannot be asked: ${why}`);
    }
    return new Replica(definition, new Ledger(this.#journal, this.#world.clock, true), this.#world);
  }

  /**
   * A deadline has come, or nothing is left to wait for: the run has something to do by itself. When a child
   * is to be asked, its alarm knows: whoever merely looks at the run does not set it to work for that.
   */
  isDue(): boolean {
    const { created, startedAt, end, paused } = this.state;
    const now = this.#world.clock.now();
    if (created === null || end !== null || paused !== null) return false;
    if (startedAt === null) return (created.startAt ?? 0) <= now;
    const open = openCalls(this.state);
    return this.state.queued.size > 0 || open.length === 0 || open.some((call) => deadlineOf(call) <= now);
  }

  /** It is under way, and no deadline up to this instant explains why anybody looks: its last life was cut off. */
  wasCutOff(dueBy: number): boolean {
    const { startedAt, end, paused, lives } = this.state;
    if (startedAt === null || end !== null || paused !== null) return false;
    // Nothing of it was at work, or an alarm came to ask its lanes again.
    if (this.porter.gate.isQueued(null) || (lives === 0 && this.porter.explains(dueBy))) return false;
    // Had it come to rest since its last death, that would be on record.
    if (lives > 0) return true;
    return !openCalls(this.state).some((call) => dueAt(this.state, call, this.#ledger.openedAt) <= dueBy);
  }

  /** A child that nobody waits for any more was told to stop; noted while the run goes on. */
  noteStopped(child: ChildRun, policy: ChildPolicy): void {
    const { end, orphans } = this.state;
    if (end === null && orphans.has(child.id)) this.#ledger.append({ kind: "child.stopped", child, policy });
  }

  /** A cancellation is on record once it resolves, anything else at once. @throws run_ended, not_retryable, idempotency_conflict */
  act(action: Action): void | Promise<void> {
    const decision = decide(this.state, action, this.now());
    if (decision === null) return;
    if (decision.fact.kind === "run.cancel_requested") return this.#cancel(decision.fact, action);
    this.#ledger.append(decision.fact);
    switch (decision.effect) {
      case "none":
        return;
      case "stop":
        return this.#execution?.stop(new Error("the run has ended"));
      case "begin":
        return this.#execution?.over === true ? this.#reopen() : this.#execution?.beginHeld();
      case "restart":
      case "unwind":
        return this.#reopen();
      default:
        return decision.effect satisfies never;
    }
  }

  /** Through the handler, where there is one: it hears of it in its turn. */
  async #cancel(request: Extract<Fact, { kind: "run.cancel_requested" }>, action: Action): Promise<void> {
    const execution = this.#definition() === undefined ? null : await this.awake().catch(unlessStuck);
    if (execution !== null) await execution.closing.cancel(request);
    // It went on as new before it could hear of it.
    if (execution?.renewal.done === true) await this.act(action);
    else if (execution !== null || decide(this.state, action, this.now()) === null) return;
    else if (this.state.undoable.size > 0) this.#ledger.append(request);
    // Nobody is there to clean up.
    else this.#ledger.append({ ...request, kind: "run.cancelled" });
    if (execution === null && this.#execution?.over === true) this.#reopen();
  }

  #beginOrExpire(now: number): void {
    const { created, startedAt, end, paused } = this.state;
    if (created === null || startedAt !== null || end !== null || paused !== null) return;
    if (created.notAfter !== null && now > created.notAfter) {
      const error = { name: "Expired", message: "the run could not begin in time", code: "start_expired" };
      this.#ledger.append({ kind: "run.cancelled", error, by: "engine", reason: error.message });
    } else if ((created.startAt ?? 0) <= now && (created.lanes === undefined || this.#admits())) {
      this.#fresh = true;
      this.#unbegun = true;
      this.#ledger.append(this.#started());
    }
  }

  /** Nothing is asked of a lane for code that is gone. */
  #admits(): boolean {
    return this.#definition() !== undefined && this.porter.admits();
  }

  #drive(definition: Definition, cold: boolean, late: boolean): void {
    const admitted = this.porter.admits();
    if (this.#execution !== null && !this.#execution.over) {
      this.#execution.tick(this.now());
      return;
    }
    const { deaths, lives } = this.state;
    if (cold && (deaths >= deathLimit || lives >= livesLimit)) {
      const error = new HoldfastError(
        "handler_crashed",
        `the process died ${lives} times in a row while the handler ran`,
      );
      this.#ledger.append({ kind: "run.failed", error: withoutUndoing(storeError(error), this.state) });
      return;
    }
    if (cold) this.#ledger.append(this.#interrupted(this.#ledger.openedUnder === this.#world.deployment));
    if (admitted || late) this.#start(definition);
  }

  #start(definition: Definition): Execution {
    if (this.#execution?.renewal.done === true) this.#renewed();
    const execution = new Execution(definition, this.#ledger, this.#world, this.porter.gate);
    this.#execution = execution;
    this.#live = execution.begin(!this.#fresh, this.#unbegun);
    this.#fresh = false;
    this.#unbegun = false;
    return execution;
  }

  #next(timeoutAt: number): Next {
    const { end } = this.state;
    if (end !== null) return this.#ended(this.#world.clock.now());
    const execution = this.#execution;
    if (execution !== null && execution.failure !== null) throw execution.failure;
    if (this.state.paused !== null) return this.#held(this.#world.clock.now());
    const deadline = execution === null || this.porter.isQueued ? Infinity : execution.soonest();
    const soonest = Math.min(deadline, timeoutAt);
    return { busy: execution?.busy ?? false, wakeAt: soonest === Infinity ? null : soonest, expired: false };
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

  /** Past its end, or on its way there, a run has no timeout any more. */
  #timeoutAt({ timeoutMs }: Definition): number {
    const { cancelling, ending, timedFrom } = this.state;
    return timeoutMs === null || cancelling !== null || ending !== null ? Infinity : timedFrom + timeoutMs;
  }

  #timeOut(definition: Definition): void {
    this.#timedOut = true;
    const message = `the run took longer than its timeout of ${definition.timeoutMs} ms`;
    const error = storeError(new HoldfastError("run_timeout", message));
    if (this.state.undoable.size > 0) return this.#execution?.closing.close({ kind: "run.failed", error });
    this.#ledger.append({ kind: "run.failed", error });
    this.#execution?.stop(new Error("the run has ended"));
  }

  /** The run goes on as new, in this memory. */
  #renewed(): void {
    this.#fresh = true;
    this.#unbegun = true;
    this.#timedOut = false;
  }

  /** The handler starts anew from the journal. */
  #reopen(): void {
    if (this.#execution?.renewal.done === true) this.#renewed();
    this.#ledger = new Ledger(this.#journal, this.#world.clock);
    this.#execution = null;
    this.#timedOut = false;
    // What the last execution had in flight was let go, not interrupted by a death.
    this.#fresh = true;
  }

  #started(): Fact {
    return { kind: "run.started", deployment: this.#world.deployment };
  }

  /** @param held it counts against the run */
  #interrupted(held: boolean): Fact {
    return { kind: "run.interrupted", deployment: this.#world.deployment, held };
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

/** A run that cannot go on with this code has nobody to clean up after it. */
function unlessStuck(error: unknown): null {
  if (error instanceof HoldfastError && error.code === "step_kind_changed") return null;
  throw error;
}

const defaultRetentionMs = 30 * 24 * 3_600_000;
const none: Execution["inFlight"] = new Map();
const idle: Next = { busy: false, wakeAt: null, expired: false };
