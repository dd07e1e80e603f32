/**
 * Owns: one run from its creation to its end: all calls that change it from outside, and reading it.
 * Does not own: its progress by itself (drive), storage, alarms; its host calls `advance` and does what the result says.
 * Invariant 1: everything is recorded before it is answered (guarantee 1).
 */
import { authorOf } from "../core/author.ts";
import { decide, noted, refuseEnded } from "../core/lifecycle/action.ts";
import type { Action } from "../core/lifecycle/action.ts";
import { decideMerge } from "../core/lane/debounce.ts";
import type { DebouncedStart } from "../core/lane/debounce.ts";
import { dueAt, isDue } from "../core/lifecycle/due.ts";
import type { Fact, FactOf } from "../core/history/entry.ts";
import { HoldfastError } from "../core/error.ts";
import type { Journal } from "../core/history/journal.ts";
import type { ChildPolicy, ChildRun } from "../core/run/origin.ts";
import { defined } from "../core/record.ts";
import type { StepRef } from "../core/lifecycle/restart.ts";
import type { RunSnapshot } from "../core/run/run.ts";
import { fitPayload, refit } from "../core/definition/payload.ts";
import type { FittedSignal } from "../core/definition/payload.ts";
import type { SignalRequest } from "../core/service/service.ts";
import { glance, snapshot } from "../core/run/snapshot.ts";
import type { Activity, Glance } from "../core/run/snapshot.ts";
import { openCalls } from "../core/state/state.ts";
import type { RunState } from "../core/state/state.ts";
import { decode, isSame } from "../core/value/value.ts";
import type { Usage } from "../core/run/usage.ts";
import { Drive } from "./drive.ts";
import type { Find } from "./drive.ts";
import { withoutHandler } from "./end/ending.ts";
import type { Execution } from "./execution.ts";
import { Ledger } from "./ledger.ts";
import type { Next } from "./next.ts";
import type { RunLanes } from "./lane/lanes.ts";
import { Replica } from "./ask/replica.ts";
import { Starts } from "./child/starts.ts";
import type { World } from "./world.ts";

export class Run {
  readonly #journal: Journal;
  readonly #world: World;
  readonly #drive: Drive;
  /** The run's side of the lanes that it shares with others. */
  readonly lanes: RunLanes;
  readonly starts: Starts;
  /** What the run has taken of the platform; whoever hosts it may measure that. */
  measure: () => Usage = () => this.state.used;

  constructor(journal: Journal, world: World, find: Find) {
    this.#journal = journal;
    this.starts = new Starts(world.children);
    this.#world = { ...world, children: this.starts };
    this.#drive = new Drive(journal, this.#world, find);
    this.lanes = this.#drive.lanes;
  }

  get state(): RunState {
    return this.#drive.state;
  }

  now(): number {
    return this.#drive.now();
  }

  get execution(): Execution | null {
    return this.#drive.execution;
  }

  /** Puts facts on record that mean nothing to the handler. */
  append(...facts: readonly Fact[]): void {
    this.#drive.append(...facts);
  }

  /**
   * @param signal one that comes with the start, checked; both are on record, or neither
   * @param died an earlier start of the run killed its process and left nothing behind: the run begins with care
   */
  create(created: Omit<FactOf<"run.created">, "kind">, signal?: FittedSignal, died = false): void {
    this.#drive.anew();
    const now = this.now();
    const later = (created.startAt ?? 0) > now || (created.notAfter ?? Infinity) < now;
    const waits = later || created.lanes?.some(({ scope }) => scope === "run") === true;
    const sent: Fact[] = signal === undefined ? [] : [{ kind: "signal.received", ...signal }];
    const begun = waits ? [] : [this.#drive.started(), ...(died ? [this.#drive.interrupted(true)] : [])];
    this.#drive.append({ kind: "run.created", ...created }, ...begun, ...sent);
  }

  /**
   * Begins the run with the history of another; it starts once it is driven. The caller writes all of it in one
   * transaction; should this throw, this memory must be given up.
   */
  fork(created: Omit<FactOf<"run.created">, "kind">, history: readonly Fact[]): void {
    this.#drive.append({ kind: "run.created", ...created });
    // A commit for each: in one, many and large entries would make a text that is too long.
    for (const fact of history) this.#drive.append(fact);
    this.#drive.reopen();
  }

  /** Merges another start within the period of the debounce into this run; false where that start must make a run of its own. */
  debounce(start: DebouncedStart): boolean {
    const merge = decideMerge(this.state, start, this.#drive.ledger.now());
    if (merge.kind === "merged" && merge.fact !== null) this.#drive.append(merge.fact);
    return merge.kind === "merged";
  }

  /**
   * Does what is due and returns what must happen next.
   * @param cutOff the last life of the run was cut off: this is the first call in this memory, and no deadline of the run
   * explains it
   * @throws whatever made the journal fail; this memory must then be given up.
   */
  advance(cutOff = false): Next {
    return this.lanes.settle(this.#drive.advance(cutOff));
  }

  /** The handler goes on by microtasks alone: what it writes is one commit, together with what set it going. */
  get isBurst(): boolean {
    return this.execution?.course.isBurst === true;
  }

  /** Resolves, within the same turn of the event loop, when a burst is over or goes on behind a full turn. */
  async yielded(): Promise<void> {
    await this.execution?.course.yielded.rung();
  }

  /** Resolves when `advance` should be called again though no deadline has come. */
  async rested(): Promise<void> {
    if (this.execution?.busy === true) await this.execution.course.rested.rung();
    else await this.lanes.heard();
  }

  /** Resolves when the handler makes a call, or ends. */
  async stirred(): Promise<void> {
    await (this.execution?.course.stirred.rung() ?? new Promise(() => {}));
  }

  /** @param places where it stands in the lanes that hold it, if they were asked */
  snapshot(places: Activity["places"] = new Map()): RunSnapshot {
    return snapshot(this.state, { ...this.#activity(), places, usage: this.measure() }, this.now());
  }

  /** The part of a snapshot that shows whether anything is new; cheap, for it measures nothing and makes no sentences. */
  glance(): Glance {
    return glance(this.state, this.#activity());
  }

  #activity(): Activity {
    const stuck = this.state.end === null && this.#drive.definition === undefined ? this.#drive.missing : null;
    const { atWork: busy = false } = this.execution ?? {};
    const { count: running = 0, inFlight = new Map() } = this.execution?.work.attempts ?? {};
    const updates = this.execution?.silent === false ? this.execution.messageHandlers.names("update") : [];
    return { running, busy, inFlight, stuck, updates, starting: this.execution?.work.children.unstarted ?? [] };
  }

  /** The signal with what the workflow's own schema makes of the payload. @throws signal_invalid */
  fitSignal(signal: SignalRequest): FittedSignal | Promise<FittedSignal> {
    // A signal that was accepted once stays accepted, whatever its schema makes of it now.
    if (this.isKnown(signal)) return signal;
    const fitted = fitPayload(this.#drive.definition, signal.name, signal.payload);
    return fitted instanceof Promise ? fitted.then((payload) => refit(signal, payload)) : refit(signal, fitted);
  }

  /** Whether the same signal came before, with the same key. */
  isKnown({ key, name, payload }: SignalRequest): boolean {
    const known = key === undefined ? undefined : this.state.signalKeys.get(key);
    return known?.name === name && isSame(known.payload, payload);
  }

  /**
   * @param onlyIfWaiting a new one is refused where no wait for its name is open
   * @throws not_waiting, run_ended, idempotency_conflict, signal_invalid
   */
  signal(request: FittedSignal, onlyIfWaiting = false): { duplicate: boolean } {
    const { name, payload, sent, key, reason, trace } = request;
    if (key !== undefined && this.state.signalKeys.has(key)) {
      // An older journal has only what the schema made of it.
      const isSent = this.isKnown(request) || (sent !== undefined && this.isKnown({ ...request, payload: sent }));
      if (isSent) return { duplicate: true };
      throw new HoldfastError("idempotency_conflict", `the key ${key} was used for another signal`);
    }
    if (onlyIfWaiting && this.openWaits(name) === 0)
      throw new HoldfastError("not_waiting", `the run does not wait for ${name}`);
    refuseEnded(this.state, "be signalled");
    if (decode(payload) === null) throw new HoldfastError("signal_invalid", "the payload of a signal cannot be null");
    // Waits whose time has come end before the signal is there, so that it is left for the next.
    this.execution?.tick(this.now());
    const more = defined({ sent, key, reason, trace });
    this.#drive.append({ kind: "signal.received", name, payload, ...authorOf(request), ...more });
    this.execution?.work.signalled(name);
    return { duplicate: false };
  }

  /** How many more signals of this name the run would consume now: as many as it has open waits without a buffered one. */
  openWaits(name: string): number {
    if (this.state.end !== null || this.state.ending !== null) return 0;
    if (this.state.listeners.has(name)) return Infinity;
    let open = 0;
    for (const call of this.state.open) if (call.kind === "wait" && call.name === name) open++;
    return open - (this.state.inboxes.get(name)?.count ?? 0);
  }

  /**
   * The execution once its replay is done, started if need be. That of a paused run begins nothing, but can be called.
   * @throws run_ended, version_missing, step_kind_changed
   */
  awake(): Promise<Execution> {
    return this.#drive.awake();
  }

  /** A second handler, replayed up to the end of the journal, to answer one query. @throws query_not_found, version_missing */
  replica(): Replica {
    const { created, startedAt } = this.state;
    if (startedAt === null)
      throw new HoldfastError("query_not_found", `run ${created?.id} has not begun and has no queries yet`);
    const definition = this.#drive.definition;
    if (definition === undefined) throw new HoldfastError("version_missing", `the run is ${this.#drive.missing}`);
    const [lost] = this.state.omitted;
    if (lost !== undefined) {
      const why = `the result of ${lost} stayed behind when the run was exported`;
      throw new HoldfastError("query_failed", `the run cannot be asked: ${why}`);
    }
    return new Replica(definition, new Ledger(this.#journal, this.#world.clock, true), this.#world);
  }

  /** Whether the run has something to do by itself now, so that whoever only reads it may set it going as well. */
  isDue(): boolean {
    return isDue(this.state, this.now());
  }

  /** Whether the last life of the run was cut off: it is under way, and no deadline up to this instant explains an alarm. */
  wasCutOff(dueBy: number): boolean {
    const { startedAt, end, paused, interruptions } = this.state;
    if (startedAt === null || end !== null || paused !== null) return false;
    // It waited for its lanes, so that nothing was at work; or the alarm came to ask them again.
    if (this.lanes.slots.isQueued(null) || (interruptions === 0 && this.lanes.explains(dueBy))) return false;
    // It has died before: had it come to rest since, that would be on record.
    if (interruptions > 0) return true;
    if (this.#drive.timeoutAt <= dueBy) return false;
    return !openCalls(this.state).some((call) => dueAt(this.state, call, this.#drive.ledger.openedAt) <= dueBy);
  }

  /** Puts on record that an orphaned child was stopped, unless the run has ended. */
  noteStopped(child: ChildRun, policy: ChildPolicy): void {
    const { end, orphans } = this.state;
    if (end === null && orphans.has(child.id)) this.#drive.append({ kind: "child.stopped", child, policy });
  }

  /** Carries out an action: a cancellation is on record once this resolves, anything else as it returns. @throws run_ended, not_retryable, idempotency_conflict */
  act(action: Action): void | Promise<void> {
    const decision = decide(this.state, action, this.now());
    if (decision === null) return;
    if (decision.effect === "unwind") return this.#cancel(decision.fact, action);
    this.#drive.append(decision.fact);
    switch (decision.effect) {
      case "none":
        return;
      case "stop":
        return this.execution?.course.stop(() => new Error("the run has ended"));
      case "begin":
        return this.execution?.course.over === true ? this.#drive.reopen() : this.execution?.beginHeld();
      case "reopen":
        return this.#drive.reopen();
      default:
        return decision satisfies never;
    }
  }

  /** Prepares a restart. The returned function carries it out; it first terminates a run that has not ended. @throws as Drive.prepareRestart */
  prepareRestart(version: string, asked: Omit<Action, "kind">, from: StepRef | null = null): () => void {
    const begin = this.#drive.prepareRestart(version, asked, from);
    return () => {
      if (this.state.end === null) void this.act({ ...asked, kind: "terminate" });
      begin();
    };
  }

  /** Cancels through the handler, if one can be had: the cancellation reaches it in its turn. */
  async #cancel(request: FactOf<"run.cancel_requested">, action: Action): Promise<void> {
    const creation = this.state.created?.seq;
    const awake = this.#drive.awakeUnlessStuck();
    const recorded = this.execution?.intervention.cancelStalled(request).then(() => "recorded" as const);
    const execution = await (recorded === undefined ? awake : Promise.race([awake, recorded]));
    if (execution === "recorded") return await this.act(action);
    if (execution !== null && (await execution.intervention.cancel(request))) return;
    // The run went on as new, or began once more, before the handler could hear of it.
    if (this.state.created?.seq !== creation) return await this.act(action);
    const fact = decide(this.state, action, this.now())?.fact;
    if (fact === undefined) return;
    if (fact.kind !== request.kind) return this.#drive.append(fact);
    // The handler has ended, and the end of the run is about to go on record.
    if (execution?.course.over === false) return this.#drive.append(...noted(this.state, action, "cancel"));
    // No handler can clean up. If steps are to be undone, the next handler learns of the cancellation in its replay.
    const awaited = this.execution?.leftAtWork ?? [];
    const isUnwound = this.state.undoable.size > 0 || awaited.length > 0;
    const error = withoutHandler(request.error, this.state);
    this.#drive.append(isUnwound ? { ...request, awaited, told: true } : { ...request, error, kind: "run.cancelled" });
    if (this.execution === null || this.execution.course.over) this.#drive.reopen();
  }
}
