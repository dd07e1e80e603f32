/**
 * Many runs that share lanes, over virtual time: real runs of the engine and the real model of a lane, with
 * messages between them that take time. Processes end at any moment; what they held in memory is gone.
 */
import type { Definition } from "../../src/core/definition/definition.ts";
import type { Entry, EntryOf } from "../../src/core/history/entry.ts";
import { HoldfastError } from "../../src/core/error.ts";
import { Lane } from "../../src/core/lane/lane.ts";
import type { LaneNeed } from "../../src/core/lane/need.ts";
import { createRandom } from "../../src/core/random.ts";
import { noTerms } from "../../src/core/lane/slot.ts";
import type { Slot } from "../../src/core/lane/slot.ts";
import type { LaneRequest } from "../../src/engine/lane/acquisition.ts";
import { Run } from "../../src/engine/run.ts";
import type { Couriers } from "../../src/engine/world.ts";
import type { Next } from "../../src/engine/next.ts";
import { created, startAt } from "./host.ts";
import { ManualClock, MemoryJournal, define, memoryWorld } from "./memory.ts";
import type { Handler } from "./memory.ts";

export function need(lane: string, limit: number | null, more: Partial<LaneNeed> = {}): LaneNeed {
  return { lane, scope: "run", limit, periodMs: null, priority: 0, hold: false, ...more };
}

type Creation = Partial<Omit<EntryOf<"run.created">, "kind" | "seq" | "at">>;

/** Where runs are put, and what time it is. */
export class LaneSimulation {
  readonly clock = new ManualClock(startAt);
  readonly lanes = new Map<string, Lane>();
  readonly runs = new Map<string, SimulatedRun>();
  /** Whoever makes requests for a process of the run `id`; nobody unless set. */
  couriers: ((id: string, isDead: () => boolean) => Couriers) | null = null;
  /** Whether the next message is lost. */
  loses: (what: string, lane: string) => boolean = () => false;
  readonly #random;
  #events: { readonly at: number; readonly act: () => void }[] = [];

  constructor(seed = "fleet") {
    this.#random = createRandom(seed);
  }

  add(id: string, handler: Definition | Handler, needs: readonly LaneNeed[], creation: Creation = {}): SimulatedRun {
    const definition = typeof handler === "function" ? define(handler) : handler;
    const simulated = new SimulatedRun(this, id, definition);
    this.runs.set(id, simulated);
    simulated.run.create({ ...created({}), id, ...(needs.length === 0 ? {} : { lanes: needs }), ...creation });
    return simulated;
  }

  /** The run as its journal has it, begun anew. */
  restore(id: string, definition: Definition, commits: readonly string[]): SimulatedRun {
    const simulated = new SimulatedRun(this, id, definition, commits);
    this.runs.set(id, simulated);
    return simulated;
  }

  lane(name: string): Lane {
    const known = this.lanes.get(name);
    if (known !== undefined) return known;
    const lane = new Lane(noTerms, [], { put: () => {}, drop: () => {}, putTerms: () => {} });
    this.lanes.set(name, lane);
    return lane;
  }

  reach(id: string, act: (run: Run) => unknown): unknown {
    return this.runs.get(id)?.act(act);
  }

  at(ms: number, act: () => unknown): this {
    const at = startAt + ms;
    this.#events.push({
      at,
      act: () => {
        void new Promise((resolve) => resolve(act())).catch(unlessEnded);
      },
    });
    return this;
  }

  /** Time that a message takes. */
  latency(): Promise<void> {
    return this.clock.after(1 + Math.floor(this.#random.next() * 4));
  }

  get now(): number {
    return this.clock.at - startAt;
  }

  /** Until nothing can move any run, or so many ms have passed. */
  async drive(untilMs = Infinity): Promise<this> {
    for (;;) {
      await this.clock.idle();
      this.#attend();
      const ready = [...this.runs.values()].filter((simulated) => simulated.isReady);
      for (const simulated of ready) simulated.advance();
      if (ready.length > 0) continue;
      await this.clock.idle();
      if ([...this.runs.values()].some((simulated) => simulated.isReady)) continue;
      const at = this.#nextAt();
      if (at === Infinity || at > startAt + untilMs) return this;
      this.clock.set(Math.max(at, this.clock.at));
      const due = this.#events.filter((event) => event.at <= this.clock.at);
      this.#events = this.#events.filter((event) => event.at > this.clock.at);
      for (const { act } of due) act();
      for (const simulated of this.runs.values()) simulated.ring();
    }
  }

  #nextAt(): number {
    const lanes = [...this.lanes.values()].map((lane) => lane.wakeAt(this.clock.at) ?? Infinity);
    const runs = [...this.runs.values()].map(({ wakeAt }) => wakeAt);
    const events = this.#events.map(({ at }) => at);
    const next = Math.min(this.clock.nextAt, ...lanes, ...runs, ...events);
    // A lane that still has to send is looked at again a moment later.
    return next <= this.clock.at ? this.clock.at + 1 : next;
  }

  #attend(): void {
    for (const [name, lane] of this.lanes) {
      lane.advance(this.clock.at);
      for (const slot of lane.toNotify(this.clock.at, 50)) void this.#tell(name, lane, slot);
      for (const slot of lane.toCheck(this.clock.at, 50)) void this.#ask(name, lane, slot);
    }
  }

  async #tell(name: string, lane: Lane, slot: Slot): Promise<void> {
    await this.latency();
    if (this.loses("granted", name)) return lane.answered(slot, null, this.clock.at);
    const wanted = this.runs.get(slot.ticket.runId)?.granted(name, slot) ?? false;
    await this.latency();
    lane.answered(slot, wanted, this.clock.at);
  }

  async #ask(name: string, lane: Lane, slot: Slot): Promise<void> {
    await this.latency();
    const held = this.runs.get(slot.ticket.runId)?.holds(name, slot) ?? false;
    await this.latency();
    if (!held) lane.lost(slot, this.clock.at);
  }
}

/** One run in a process of its own. */
export class SimulatedRun {
  readonly id: string;
  journal: MemoryJournal;
  run: Run;
  definition: Definition | undefined;
  /** When its one alarm is due. */
  wakeAt: number;
  isReady = true;
  readonly #simulation: LaneSimulation;
  #next: Next = { busy: false, wakeAt: null, expired: false };
  #cold: boolean;
  #ways = new Map<string, Promise<void>>();

  constructor(
    simulation: LaneSimulation,
    id: string,
    definition: Definition | undefined,
    commits: readonly string[] = [],
  ) {
    this.#simulation = simulation;
    this.id = id;
    this.definition = definition;
    this.journal = new MemoryJournal(commits);
    this.run = this.#board();
    this.#cold = commits.length > 0;
    this.isReady = commits.length === 0;
    this.wakeAt = commits.length === 0 ? Infinity : simulation.clock.at;
  }

  get status(): string {
    return this.run.snapshot().status;
  }

  get kinds(): string[] {
    return this.journal.kinds;
  }

  entries<Kind extends Entry["kind"]>(kind: Kind): EntryOf<Kind>[] {
    return this.journal.entries.filter((entry): entry is EntryOf<Kind> => entry.kind === kind);
  }

  /** Something from outside is done to the run. */
  act(act: (run: Run) => unknown): unknown {
    const done = act(this.run);
    this.#nudge();
    // Whoever hosts the run looks at it once that is done, too.
    const nudge = (): void => this.#nudge();
    if (done instanceof Promise) void done.then(nudge, nudge);
    return done;
  }

  /** The process ends: the journal is all that is left, and the alarm that was set. */
  kill(): void {
    const wasBusy = this.#next.busy || this.isReady;
    this.#abandon();
    this.wakeAt = wasBusy ? this.#simulation.clock.at + 1000 : (this.#next.wakeAt ?? Infinity);
  }

  /** It leaves the memory while it rests. */
  evict(): void {
    if (this.#next.busy || this.isReady) return;
    this.#abandon();
    this.wakeAt = this.#next.wakeAt ?? Infinity;
  }

  advance(): void {
    const { at } = this.#simulation.clock;
    const died = this.#cold && this.wakeAt <= at && this.run.wasCutOff(at);
    this.#cold = false;
    this.isReady = false;
    const { run } = this;
    this.#next = run.advance(died);
    for (const request of run.lanes.takeRequests()) this.#send(run, request);
    this.wakeAt = this.#next.wakeAt ?? Infinity;
    if (run.state.end !== null) this.wakeAt = Infinity;
    else void (this.#next.busy ? run.rested() : run.stirred()).then(() => this.run === run && this.#nudge());
    if (this.wakeAt <= at && !this.#next.busy) throw new Error(`${this.id} is parked until a time that has passed`);
  }

  /** Its alarm, if it is time for it. */
  ring(): void {
    if (this.wakeAt <= this.#simulation.clock.at) this.#nudge();
  }

  granted(lane: string, { ticket, turn }: Slot): boolean {
    const wanted = this.run.lanes.granted(lane, ticket, turn);
    if (wanted) this.#nudge();
    return wanted;
  }

  holds(lane: string, { ticket, turn }: Slot): boolean {
    const holds = this.run.lanes.holds(lane, ticket, turn);
    if (holds && this.#cold && this.run.isDue()) this.#nudge();
    return holds;
  }

  #board(): Run {
    const { journal } = this;
    const world = memoryWorld(this.#simulation.clock);
    const couriers = this.#simulation.couriers?.(this.id, () => journal.closed) ?? world.couriers;
    return new Run(journal, { ...world, couriers }, (_name, version) => {
      // A dead process begins nothing.
      const definition = journal.closed ? undefined : this.definition;
      return definition?.version === version ? definition : undefined;
    });
  }

  #abandon(): void {
    const { commits } = this.journal;
    this.journal.closed = true;
    this.journal = new MemoryJournal(commits);
    this.run = this.#board();
    this.#ways = new Map();
    this.#cold = true;
    this.isReady = false;
  }

  #nudge(): void {
    this.isReady = true;
  }

  #send(run: Run, request: LaneRequest): void {
    const { lane, ticket } = request.kind === "enter" ? request.slot : request;
    const key = JSON.stringify([lane, ticket]);
    const before = this.#ways.get(key) ?? Promise.resolve();
    this.#ways.set(
      key,
      before.then(() => this.#carry(run, request, lane)),
    );
  }

  async #carry(run: Run, request: LaneRequest, lane: string): Promise<void> {
    const simulation = this.#simulation;
    await simulation.latency();
    if (simulation.loses(request.kind, lane)) {
      if (request.kind === "enter") this.#answer(run, () => run.lanes.answered(request.slot, null));
      return;
    }
    if (request.kind === "leave") return simulation.lane(lane).leave(request.ticket, simulation.clock.at);
    const place = simulation.lane(lane).enter(request.entrance, simulation.clock.at);
    await simulation.latency();
    this.#answer(run, () => run.lanes.answered(request.slot, place));
  }

  #answer(run: Run, act: () => void): void {
    if (this.run !== run) return;
    act();
    this.#nudge();
  }
}

function unlessEnded(error: unknown): void {
  if (!(error instanceof HoldfastError && error.code === "run_ended")) throw error;
}

/** How many are at work at once: each life of a process for itself, because a dead one does nothing. */
export class Ledger {
  most = 0;
  readonly begun: string[] = [];
  readonly #atWork = new Map<Run, number>();
  readonly #simulation: LaneSimulation;

  constructor(simulation: LaneSimulation) {
    this.#simulation = simulation;
  }

  /** Some work of the run `id` that takes so long. */
  async work(id: string, ms: number): Promise<void> {
    const run = this.#simulation.runs.get(id)?.run;
    if (run === undefined) throw new Error(`no run ${id}`);
    this.begun.push(id);
    this.#atWork.set(run, (this.#atWork.get(run) ?? 0) + 1);
    this.most = Math.max(this.most, this.#count());
    await this.#simulation.clock.after(ms);
    this.#atWork.set(run, (this.#atWork.get(run) ?? 0) - 1);
  }

  #count(): number {
    let count = 0;
    for (const simulated of this.#simulation.runs.values()) count += this.#atWork.get(simulated.run) ?? 0;
    return count;
  }
}
