/**
 * Owns: driving a run: when it begins, which handler of it is in memory, its timeout, and what must happen next.
 * Does not own: the handler (execution), the ways into a run from outside (run), when it wants its slots (lanes).
 * Invariant 1: an unfinished run that is not parked on signals alone always names its next wake (guarantee 4).
 */
import { refuseEnded } from "../core/lifecycle/action.ts";
import type { RequestMetadata } from "../core/author.ts";
import { decidedAt, isDelayed } from "../core/lifecycle/due.ts";
import { nextIncarnation, restartOf } from "../core/lifecycle/continuation.ts";
import type { Definition } from "../core/definition/definition.ts";
import type { EndEntry } from "../core/history/end.ts";
import type { EntryOf, Fact } from "../core/history/entry.ts";
import { HoldfastError, hasCode, storeError } from "../core/error.ts";
import type { Journal } from "../core/history/journal.ts";
import type { StepRef } from "../core/lifecycle/restart.ts";
import type { RunState } from "../core/state/state.ts";
import { withoutHandler } from "./end/ending.ts";
import { Execution } from "./execution.ts";
import type { Beginning } from "./execution.ts";
import { Ledger } from "./ledger.ts";
import type { Next } from "./next.ts";
import { RunLanes } from "./lane/lanes.ts";
import { keptUpTo } from "./end/restart.ts";
import type { World } from "./world.ts";

/** Deaths in a row without any progress after which the handler itself is held to be their cause. */
const crashLimit = 8;
const interruptionLimit = 25;
/** The longest pause before a run whose code is gone looks for it again. */
const longestSearchMs = 5 * 60_000;
const defaultRetentionMs = 30 * 24 * 3_600_000;

/** A version of a workflow; null: the newest there is. */
export type Find = (workflow: string, version: string | null) => Definition | undefined;

/**
 * How long an ended run is kept: as its start says, or else its version, or the newest version if that is gone.
 */
export function retentionOf(find: Find, { workflow, version, retention = {} }: Created, end: EndEntry | null): number {
  const own = end?.kind === "run.failed" ? retention.failedMs : retention.completedMs;
  return own ?? (find(workflow, version) ?? find(workflow, null))?.retentionMs ?? defaultRetentionMs;
}

type Created = Pick<EntryOf<"run.created">, "workflow" | "version" | "retention">;

export class Drive {
  /** The run's side of the lanes that it shares with others. */
  readonly lanes: RunLanes;
  /** Null until there is something for the handler to do. */
  execution: Execution | null = null;
  ledger: Ledger;
  readonly #journal: Journal;
  readonly #world: World;
  readonly #find: Find;
  /** Resolves when the execution has replayed. */
  #live: Promise<void> = Promise.resolve();
  /** How the next handler begins. */
  #beginning: Beginning = "resumed";
  /** Its timeout is over, and it is on its way to its end. */
  #timedOut = false;

  constructor(journal: Journal, world: World, find: Find) {
    this.#journal = journal;
    this.#world = world;
    this.#find = find;
    this.ledger = new Ledger(journal, world.clock);
    this.lanes = new RunLanes(this);
  }

  get state(): RunState {
    return this.ledger.state;
  }

  now(): number {
    return this.#world.clock.now();
  }

  append(...facts: readonly Fact[]): void {
    this.ledger.append(...facts);
  }

  get definition(): Definition | undefined {
    const { created } = this.state;
    return created === null ? undefined : this.#find(created.workflow, created.version);
  }

  /** Why the run does not go on where its definition is gone. */
  get missing(): string {
    const { created } = this.state;
    return `waiting for version ${created?.version} of workflow ${created?.workflow}, which is not in this deployment`;
  }

  /** The run, or its next incarnation, begins in this memory. */
  anew(): void {
    this.#beginning = "first";
    this.#timedOut = false;
  }

  /** The handler starts anew from the journal. */
  reopen(): void {
    if (this.execution?.renewal.done === true) this.anew();
    this.ledger = new Ledger(this.#journal, this.#world.clock);
    this.execution = null;
    this.#timedOut = false;
    if (this.#beginning === "resumed") this.#beginning = "again";
  }

  /**
   * Prepares to begin the run once more with this version. The returned function does so, and is called once the run has ended.
   * @param from the step to begin from, keeping what was before it; null: from the start
   * @throws version_missing, label_invalid, input_invalid, fork_invalid
   */
  prepareRestart(version: string, request: RequestMetadata, from: StepRef | null): () => void {
    const { created } = this.state;
    const definition = created === null ? undefined : this.#find(created.workflow, version);
    if (created === null || definition === undefined) {
      throw new HoldfastError(
        "version_missing",
        `version ${version} of ${created?.workflow} is not in this deployment`,
      );
    }
    const next = { ...nextIncarnation(definition, created, created.input), version };
    const kept = keptUpTo(from, this.#journal, this.ledger, this.execution?.calls.pending);
    return () => {
      this.ledger.restart(restartOf(this.state, next, request, this.#world.deployment, kept(this.ledger)));
      this.reopen();
      this.anew();
      // It may be queued in its lanes already, of which its new history says nothing.
      this.lanes.askAgain();
    };
  }

  /** As `Run.awake`. @throws run_ended, version_missing, step_kind_changed */
  async awake(): Promise<Execution> {
    refuseEnded(this.state, "be called");
    const { definition, execution: current } = this;
    if (definition === undefined) throw new HoldfastError("version_missing", `the run is ${this.missing}`);
    const execution = current === null || current.renewal.done ? this.#start(definition) : current;
    await this.#live;
    if (execution.course.failure !== null) throw execution.course.failure;
    // Meanwhile the run has begun another incarnation.
    if (execution.renewal.done || execution !== this.execution) return await this.awake();
    if (this.state.end === null && execution.course.over) {
      throw new HoldfastError("step_kind_changed", this.state.paused?.reason ?? "the run cannot go on with this code");
    }
    refuseEnded(this.state, "be called");
    return execution;
  }

  /** The same; null where the run cannot go on with this code, or has none, so that no handler can clean up. */
  async awakeUnlessStuck(): Promise<Execution | null> {
    return await this.awake().catch((error: unknown) => {
      if (hasCode(error, "step_kind_changed", "version_missing")) return null;
      throw error;
    });
  }

  /** When its time is up; Infinity where it has no timeout, or none any more, being cancelled or on its way to its end. */
  get timeoutAt(): number {
    const { cancelling, ending, timedFrom } = this.state;
    const timeoutMs = this.definition?.timeoutMs ?? null;
    const isEnding = cancelling !== null || ending !== null || this.execution?.intervention.isCancelled === true;
    return timeoutMs === null || isEnding ? Infinity : timedFrom + timeoutMs;
  }

  /** @param cutOff as for `Run.advance` */
  advance(cutOff: boolean): Next {
    const now = this.now();
    if (this.state.created === null) return this.#waiting(Infinity);
    // The journal failed, so this memory does not know what is on record.
    if (this.execution !== null && this.execution.course.failure !== null) throw this.execution.course.failure;
    this.#beginOrExpire(now);
    if (this.state.end !== null) return this.#ended();
    if (this.state.paused !== null) return this.#held();
    if (isDelayed(this.state, now)) return this.#waiting(decidedAt(this.state.created));
    const { definition } = this;
    if (definition === undefined) {
      // It may have been at work when its code was removed, and still hold slots.
      this.lanes.slots.rest(true);
      return this.#waiting(now + this.#searchMs(now));
    }
    // Its lanes hold it back, until one grants the slot: by itself it wakes only to end where it may not begin any more.
    if (this.state.startedAt === null) return this.#waiting((this.state.created.notAfter ?? Infinity) + 1);
    const { timeoutAt } = this;
    const late = timeoutAt <= now && !this.#timedOut;
    // The handler is needed for a timeout too: only it tells what is in flight, and what of that can be undone.
    this.#goOn(definition, cutOff, late);
    if (late && this.state.end === null) this.#timeOut(definition);
    return this.#next(this.#timedOut ? Infinity : timeoutAt);
  }

  started(): Fact {
    return { kind: "run.started", deployment: this.#world.deployment };
  }

  /** @param counts whether the death is held against the run: not if it came with a deployment */
  interrupted(counts: boolean): Fact {
    return { kind: "run.interrupted", deployment: this.#world.deployment, held: counts };
  }

  #beginOrExpire(now: number): void {
    const { created, startedAt, end, paused } = this.state;
    if (created === null || startedAt !== null || end !== null || paused !== null) return;
    if (created.notAfter !== null && now > created.notAfter) {
      const error = { name: "Expired", message: "the run could not begin in time", code: "start_expired" };
      this.ledger.append({ kind: "run.cancelled", error, by: "engine", reason: error.message });
    } else if (!isDelayed(this.state, now) && (created.lanes === undefined || this.#admits())) {
      this.anew();
      this.ledger.append(this.started());
    }
  }

  /** No lane is asked for a slot while the code of the run is gone. */
  #admits(): boolean {
    return this.definition !== undefined && this.lanes.admits();
  }

  #goOn(definition: Definition, cutOff: boolean, late: boolean): void {
    const isAdmitted = this.lanes.admits(cutOff);
    if (this.execution !== null && !this.execution.course.over) {
      // What falls due with its timeout, or behind it, comes too late.
      if (!late) this.execution.tick(this.now());
      return;
    }
    const { crashes, interruptions } = this.state;
    if (cutOff && (crashes >= crashLimit || interruptions >= interruptionLimit)) {
      const error = new HoldfastError(
        "handler_crashed",
        `the process died ${interruptions} times in a row while the handler ran`,
      );
      this.ledger.append({ kind: "run.failed", error: withoutHandler(storeError(error), this.state) });
      return;
    }
    if (cutOff) this.ledger.append(this.interrupted(this.ledger.openedUnder === this.#world.deployment));
    if (isAdmitted || late) this.#start(definition);
  }

  #start(definition: Definition): Execution {
    if (this.execution?.renewal.done === true) this.anew();
    const execution = new Execution(definition, this.ledger, this.#world, this.lanes.slots);
    this.execution = execution;
    this.#live = execution.begin(this.#beginning);
    this.#beginning = "resumed";
    return execution;
  }

  #next(timeoutAt: number): Next {
    const { end } = this.state;
    if (end !== null) return this.#ended();
    const { execution } = this;
    if (execution !== null && execution.course.failure !== null) throw execution.course.failure;
    if (this.state.paused !== null) return this.#held();
    return this.#waiting(Math.min(timeoutAt, execution?.soonest(!this.lanes.isHeldBack) ?? Infinity));
  }

  /** A paused run: what was in flight may end, or time out. */
  #held(): Next {
    this.execution?.tick(this.now());
    return this.#waiting(this.execution?.soonest() ?? Infinity);
  }

  #waiting(until: number): Next {
    return { busy: this.execution?.busy ?? false, wakeAt: until === Infinity ? null : until, expired: false };
  }

  #ended(): Next {
    const { end, created } = this.state;
    const now = this.now();
    const retentionMs = created === null ? defaultRetentionMs : retentionOf(this.#find, created, end);
    const removeAt = (end?.at ?? now) + retentionMs;
    return { busy: false, wakeAt: removeAt, expired: removeAt <= now };
  }

  #timeOut(definition: Definition): void {
    this.#timedOut = true;
    const message = `the run took longer than its timeout of ${definition.timeoutMs} ms`;
    const error = storeError(new HoldfastError("run_timeout", message));
    this.execution?.intervention.timeOut({ kind: "run.failed", error });
  }

  /** The pause before it looks again: a fifth of the time for which it has been looking. */
  #searchMs(now: number): number {
    return Math.min(longestSearchMs, Math.max(2000, (now - this.state.at) / 5));
  }
}
