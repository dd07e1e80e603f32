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
import { cancelKey, spoken, undoKey } from "../core/state.ts";
import type { Outcome, RunState } from "../core/state.ts";
import type { Step } from "../core/step.ts";
import { Adoption } from "./adoption.ts";
import { Asks } from "./asks.ts";
import { Attempts } from "./attempts.ts";
import { Bell } from "./bell.ts";
import { Calls } from "./calls.ts";
import { Children } from "./children.ts";
import { Closing } from "./closing.ts";
import { Deadlines } from "./deadlines.ts";
import type { End } from "./ending.ts";
import { isAttempted } from "./call.ts";
import type { Pending, Plan } from "./call.ts";
import { Errors } from "./errors.ts";
import { openDoorway } from "./doorway.ts";
import type { Doorway } from "./doorway.ts";
import { callHandler } from "./handler.ts";
import type { Ledger } from "./ledger.ts";
import { Patches } from "./patch.ts";
import { Pace } from "./pace.ts";
import { Queue } from "./queue.ts";
import type { Ending } from "./queue.ts";
import { Renewal } from "./renewal.ts";
import { Replay } from "./replay.ts";
import { Said } from "./said.ts";
import { within } from "./scope.ts";
import type { Scope } from "./scope.ts";
import { createStep } from "./step.ts";
import { Waits } from "./waits.ts";
import { Withdrawals } from "./withdrawal.ts";
import type { World } from "./world.ts";

export class Execution {
  readonly definition: Definition;
  readonly ledger: Ledger;
  readonly world: World;
  /** The lanes that the run and its steps share with others. */
  readonly gate: Doorway;
  /** The policy of steps that set none of their own. */
  readonly retry: ResolvedRetry;
  /** Rings when the handler makes a call or ends. */
  readonly stirred = new Bell();
  /** Rings when nothing is left to do but wait, and when there is something new to wait for, or sooner. */
  readonly rested = new Bell();
  /** Rings when a burst is over, or goes on behind a full turn: what it wrote is committed now. */
  readonly yielded = new Bell();
  /** Rings when the execution is stopped. */
  readonly stopped = new Bell();
  /** What the handler said in earlier lives. */
  readonly said = new Said();
  /** Which sides of changes of the code the run takes. */
  readonly patches = new Patches(this);
  /** How the run goes on as new. */
  readonly renewal = new Renewal(this);
  /** Its way to its end. */
  readonly closing: Closing;
  over = false;
  /** Why this memory must be given up; the journal is as it was. */
  failure: unknown = null;
  readonly children: Children;
  /** What can be asked of the handler. */
  readonly asks = new Asks(this);
  readonly #calls: Calls;
  readonly #deadlines: Deadlines;
  readonly #errors = new Errors();
  readonly #pace: Pace;
  readonly #queue: Queue;
  readonly #attempts: Attempts;
  readonly #waits: Waits;
  readonly #replay: Replay;
  readonly #adoption: Adoption;
  readonly #withdrawals = new Withdrawals(this);
  /** No handler of this run has ever begun before, or none that left anything. */
  #first = false;
  #live = false;
  /** The last life was cut off, and nothing that happened since has brought the handler to rest. */
  careful = false;

  constructor(definition: Definition, ledger: Ledger, world: World, gate: Doorway = openDoorway) {
    this.definition = definition;
    this.ledger = ledger;
    this.world = world;
    this.gate = gate;
    this.retry = resolveRetry(definition.retry);
    this.#pace = new Pace(world.clock, this);
    this.#queue = new Queue(this.#pace, this);
    this.#replay = new Replay(this.#pace);
    this.#calls = new Calls(this, this.#replay, this.#errors, definition.limits);
    this.#adoption = new Adoption(ledger.state, this.#calls, this.#replay);
    this.#waits = new Waits(this);
    this.children = new Children(this);
    this.#attempts = new Attempts(ledger, world, this);
    this.closing = new Closing(this, this.#calls, this.#attempts);
    this.#deadlines = new Deadlines(
      ledger.state,
      this.pending,
      this.#attempts,
      this.children,
      () => this.state.paused !== null,
      this.rested,
    );
  }

  get state(): RunState {
    return this.ledger.state;
  }

  /** Something goes on, or may, that needs this memory to stay. */
  get busy(): boolean {
    return this.atWork || (!this.over && this.children.asking > 0);
  }

  /** The run itself goes on, in contrast to one that waits and merely asks what has become of a child. */
  get atWork(): boolean {
    if (this.over) return false;
    return this.#queue.busy || this.#working || !this.#live;
  }

  get #working(): boolean {
    // With no call open, the handler awaits something that is not ours to see.
    const elsewhere = this.pending.size === 0 && !this.finished && !this.listening;
    return this.#attempts.running > 0 || this.#waits.creating > 0 || this.children.starting > 0 || elsewhere;
  }

  get live(): boolean {
    return this.#live;
  }

  /** It goes on at once, by microtasks alone: nothing is committed before `yielded` rings. */
  get isBurst(): boolean {
    return this.#queue.isBurst;
  }

  /** It may do several things at once, or died lately: nothing of its pace is spared. */
  get exacting(): boolean {
    return this.#calls.crowded || this.listening || this.careful;
  }

  /** Something goes on that will post. */
  get expecting(): boolean {
    return this.over || this.#working;
  }

  /** Nothing may begin or fire now. */
  get held(): boolean {
    return this.state.paused !== null || !this.gate.isOpen;
  }

  /** Something could begin or fire if it were not held. */
  isDue(now: number): boolean {
    if (!this.#live || this.over) return false;
    if (this.renewal.requested) return true;
    for (const { begun } of this.pending.values()) if (!begun) return true;
    return this.#attempts.isReady || this.#deadlines.due(now).length > 0;
  }

  /** The step has the slot that it waited for. */
  admitted(step: string): void {
    this.post(() => this.#attempts.admitted(step));
  }

  get pending(): Map<string, Pending> {
    return this.#calls.pending;
  }

  /** The handler has no more say. */
  get frozen(): boolean {
    return this.over || this.#calls.frozen;
  }

  get left(): ReadonlySet<string> {
    return this.#calls.left;
  }

  /** No earlier life can have come to where the handler is. */
  get ahead(): boolean {
    return (this.#live || this.#first) && !this.frozen;
  }

  /** With no call open, it may still wait for an update or a signal. */
  get listening(): boolean {
    return this.asks.listening;
  }

  /** The handler has returned or thrown, or its steps have been undone. */
  get finished(): boolean {
    return this.closing.finished;
  }

  set finished(finished: boolean) {
    this.closing.finished = finished;
  }

  /** It takes no updates and hears no signals any more. */
  get silent(): boolean {
    return this.finished || this.frozen;
  }

  get scope(): Scope {
    return this.#calls.scope;
  }

  /** Branches have lost a race: what they wait for is let go of. */
  withdraw(): void {
    this.#calls.withdraw();
    if (!this.#live) return;
    this.children.noteLost();
    this.#withdrawals.tell();
  }

  withdrawn(pending: Pick<Pending, "id" | "plan" | "begun">): void {
    this.#withdrawals.add(pending);
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
    return this.#attempts.count;
  }

  /** Requests that couriers make for its steps. */
  get orders(): Attempts["orders"] {
    return this.#attempts.orders;
  }

  /** Attempts at work, by call. */
  get inFlight(): Attempts["inFlight"] {
    return this.#attempts.inFlight;
  }

  /**
   * Starts the handler, replays, goes live. `resumed` unless nothing can have been in flight; `first` where no
   * handler of this run has begun before.
   */
  async begin(resumed: boolean, first: boolean): Promise<void> {
    try {
      await this.#begin(resumed, first);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #begin(resumed: boolean, first: boolean): Promise<void> {
    this.careful = this.state.lives > 0 || this.ledger.openedRecovered;
    // What was noted of earlier deaths must be safe before anything can kill the process again.
    if (this.careful) await this.ledger.durable();
    if (this.over) return;
    const recorded = this.ledger.takeRecorded();
    this.said.begin(recorded.length > 0, this.state);
    this.#first = recorded.length === 0 && (first || this.#isUnheard);
    if (first && recorded.length === 0 && this.state.said.length === 0) return this.#beginAnew();
    this.#startHandler();
    await this.#replay.play(recorded, this);
    if (this.over) return;
    const added = this.state.ending === null ? await this.#adopt() : new Set<string>();
    if (added === null || this.over) return;
    if (resumed) await this.#attempts.mark([...this.pending.values()].filter(({ key }) => !added.has(key)));
    if (this.over) return;
    this.#live = true;
    this.asks.goLive();
    this.closing.goLive();
    this.beginHeld();
    this.#checkRest();
  }

  /** Earlier lives ran the same code, and nothing of what they did is on record: a death took it back. */
  get #isUnheard(): boolean {
    const { startedUnder, calls, said, listeners, updates, retriedSeq } = this.state;
    const unheard = calls.size + said.length + listeners.size + updates.size + retriedSeq === 0;
    return unheard && startedUnder === this.world.deployment;
  }

  /** With nothing to replay it is live from the beginning. */
  #beginAnew(): void {
    this.#live = true;
    this.#startHandler();
    this.beginHeld();
    this.post(() => {});
  }

  /** Starts the handler and gives it what is on record, and no more: nothing begins, nothing is appended. */
  async rehearse(dress: (step: Step) => Step): Promise<void> {
    const recorded = this.ledger.takeRecorded();
    this.said.muted = true;
    this.#startHandler(dress);
    await this.#replay.play(recorded, this);
    await this.#replay.linger(this);
    if (this.failure !== null) throw this.failure;
  }

  /** Takes up what new code makes of the record; null when the run cannot go on with it. */
  async #adopt(): Promise<ReadonlySet<string> | null> {
    this.#withdrawals.tell();
    await this.#replay.seek(this.#adoption.awaited(), this);
    if (this.over) return null;
    this.#withdrawals.tell();
    this.children.noteLost();
    this.said.end();
    this.#adoption.survey();
    // A cancelled run begins none of what it waited for, whatever that is now.
    for (const pending of this.state.cancelling === null ? this.pending.values() : []) {
      const changed = this.#adoption.changedKind(pending);
      if (changed === null) continue;
      this.#pause(changed);
      return null;
    }
    return this.#adoption.mark((facts) => this.ledger.append(...facts));
  }

  /** Begins what a replay or a pause held back. */
  beginHeld(): void {
    // A replay under way does this once it is over.
    if (!this.#live || this.over) return;
    for (const pending of [...this.pending.values()]) if (!pending.begun) this.#start(pending);
    if (this.held) return;
    this.#waits.matchAll();
    this.asks.matchAll();
    this.#attempts.resume();
    this.renewal.proceed();
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
    this.#attempts.closed(pending);
    if (!this.#live) this.children.closed(pending);
  }

  /** Whether the handler can be given the outcome with this key now. */
  expects(key: string): boolean {
    return key === cancelKey || key === undoKey || this.pending.has(key) || this.asks.expects(key);
  }

  deliver(outcome: Outcome): void {
    const { settle } = outcome;
    if (settle.kind === "undo") this.closing.undo(settle.steps);
    else if (settle.kind === "asked" || settle.kind === "heard") this.#hear(outcome);
    else this.#calls.deliver(outcome);
    if (settle.kind === "cancelled") this.renewal.refuse(settle.error);
  }

  #hear(outcome: Outcome): void {
    this.#calls.hear(outcome);
    within(this.#calls.root, () => this.asks.deliver(outcome));
  }

  /** Delivers once more what came before somebody was there to hear it. */
  redeliver(outcome: Outcome): void {
    if (this.#live) this.post(() => this.deliver(outcome));
    else this.#replay.defer(outcome);
  }

  /** The handler can be asked something more. */
  registered(): void {
    this.stirred.ring();
    if (this.#live && !this.busy) this.post(() => {});
  }

  refuse(pending: Pending, error: unknown): void {
    this.#calls.refuse(pending, error);
  }

  /** Appends the fact; the outcome it makes, if it makes one, is delivered in its turn. */
  record(fact: Fact): void {
    this.#guard(() => {
      const outcome = this.ledger.append(fact);
      if (outcome !== null) this.#deliverInTurn(outcome);
      else if (fact.kind === "step.attempt_failed" || fact.kind === "undo.attempt_failed")
        this.expect(fact.retryAt ?? Infinity);
      else if (fact.kind === "wait.started") this.rested.ring();
      if (fact.kind === "webhook.created") this.#withdrawals.tell();
    });
  }

  /** Pauses the run with these facts; what is in flight may end. */
  park(...facts: readonly Fact[]): void {
    this.#guard(() => this.ledger.append(...facts));
    this.rested.ring();
  }

  /** Puts on record what the handler says, unless an earlier life said it. */
  say(fact: Parameters<typeof spoken>[0]): void {
    if (!this.over && !this.#calls.frozen && this.said.isNews(spoken(fact))) this.record(fact);
  }

  /** Runs the event in its turn, after everything posted before it. */
  post(event: (() => void) | Ending): void {
    if (!this.over) this.#queue.post(typeof event === "function" ? () => this.#guard(event) : event);
  }

  /** Puts these on record as one commit. */
  recordAll(endings: readonly Ending[]): void {
    this.#guard(() => {
      const facts = endings.map(({ conclude }) => conclude()).filter((fact) => fact !== null);
      if (facts.length === 0) return;
      for (const outcome of this.ledger.appendAll(facts)) if (outcome !== null) this.#deliverInTurn(outcome);
    });
  }

  #deliverInTurn(outcome: Outcome): void {
    this.#queue.deliver(() => this.#guard(() => this.deliver(outcome)));
  }

  async durable(): Promise<void> {
    try {
      await this.ledger.durable();
    } catch (error) {
      this.#fail(error);
    }
  }

  yields(): void {
    this.yielded.ring();
  }

  drained(): void {
    this.#checkRest();
  }

  expect(at: number): void {
    this.#deadlines.expect(at);
  }

  /** When the next deadline is; Infinity when nothing but the world can move the run. Armed until asked again. */
  soonest(): number {
    return Math.min(this.#deadlines.soonest(), this.closing.dueAt);
  }

  /** Does what is due. */
  tick(now: number): void {
    this.#attempts.expire(now);
    this.closing.tick(now);
    if (!this.#live || this.held) return;
    for (const pending of this.#deadlines.due(now)) this.post(() => this.#fire(pending));
  }

  /** A signal of this name is on record. */
  signalled(name: string): void {
    if (!this.#live || this.held) return;
    if (this.asks.hears(name)) this.asks.match(name);
    else this.#waits.match(name);
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

  /** Ends the run like this, as the handler wants it. */
  conclude(end: End): void {
    this.closing.conclude(end);
  }

  end(end: End): void {
    if (this.over) return;
    const left = this.#live ? [...this.#adoption.leftovers(), ...this.asks.leftovers()] : [];
    this.#guard(() => this.ledger.append(...left, end));
    this.stop(new Error("the run has ended"));
  }

  runError(thrown: unknown): StoredError {
    return this.#errors.toRunError(thrown);
  }

  #startHandler(dress = (step: Step): Step => step): void {
    const step = dress(createStep(this));
    within(this.#calls.root, () => callHandler(this.definition, this.state, step)).then(
      (output) => this.#leave({ kind: "run.completed", output }),
      (error: unknown) => this.failed(error),
    );
  }

  /** The handler has thrown, or somebody in its place. */
  failed(error: unknown): void {
    this.#leave({ kind: "run.failed", error: this.runError(error) });
  }

  /** One that goes on as new does not end, whatever its handler returns. */
  #leave(end: End): void {
    if (!this.renewal.requested) this.closing.finish(end);
  }

  #start(pending: Pending): void {
    if (this.held || this.over) return;
    const changed = this.#adoption.changedKind(pending);
    if (changed !== null) return this.#pause(changed);
    pending.begun = true;
    const { plan } = pending;
    switch (plan.kind) {
      case "run":
      case "undo": {
        const call = this.state.calls.get(pending.key);
        if (call !== undefined && call.retryAt !== null) return this.expect(call.retryAt);
        if (call?.exhausted === true) return;
        return this.#attempts.begin(pending, plan);
      }
      case "sleep":
      case "wait":
      case "webhook":
      case "received":
        return this.#waits.begin(pending, plan);
      case "child":
        return this.children.begin(pending, plan);
      default:
        return plan satisfies never;
    }
  }

  #fire(pending: Pending): void {
    if (this.pending.get(pending.key) !== pending || this.#deadlines.of(pending) > this.world.clock.now()) return;
    if (isAttempted(pending.plan)) this.#attempts.begin(pending, pending.plan);
    else if (pending.plan.kind === "child") this.children.fire(pending, pending.plan);
    else this.#waits.fire(pending);
  }

  #checkRest(): void {
    this.closing.rest();
    if (this.busy) return;
    if (this.over || this.held) return this.rested.ring();
    if (this.state.lives > 0) this.record({ kind: "run.recovered" });
    // What happens next is done with care as well: it may be what the process died of, and nobody could note.
    else if (this.state.seq > this.state.recoveredSeq) this.careful = false;
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
