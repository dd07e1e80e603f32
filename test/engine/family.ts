/**
 * Several runs over one virtual time, each in a process of its own: they start, hear, stop and signal each
 * other as the Durable Objects do, and any of them may die after any commit of its journal.
 */
import type { Definition } from "../../src/core/definition/definition.ts";
import type { Entry, EntryOf } from "../../src/core/history/entry.ts";
import { HoldfastError } from "../../src/core/error.ts";
import { planFork } from "../../src/core/lifecycle/fork.ts";
import type { RunSnapshot } from "../../src/core/run/run.ts";
import { forkedFacts } from "../../src/core/history/transcript.ts";
import { decode } from "../../src/core/value/value.ts";
import type { Stored } from "../../src/core/value/value.ts";
import type { Find } from "../../src/engine/drive.ts";
import { Run } from "../../src/engine/run.ts";
import type { ChildEnd, Children, Couriers } from "../../src/engine/world.ts";
import { hang } from "../../src/rehearsal/hang.ts";
import { Relatives } from "../../src/rehearsal/relatives.ts";
import { Life, Process as OneLife } from "../../src/rehearsal/process.ts";
import type { Creation } from "../../src/rehearsal/process.ts";
import { Archive } from "./archive.ts";
import { created, startAt } from "./host.ts";
import { ManualClock, MemoryJournal, memoryWorld } from "./memory.ts";

type Kind = "cancel" | "terminate" | "pause" | "resume" | "retry";

/** One life of one run, in a process of its own. */
export class Process extends OneLife {
  declare readonly journal: MemoryJournal;
  readonly #life: Life;
  readonly #death = Promise.withResolvers<never>();

  constructor(id: string, journal: MemoryJournal, run: Run, life: Life) {
    super(id, journal, run);
    this.#life = life;
    this.died.catch(() => {});
  }

  /** Rejects once it has. */
  get died(): Promise<never> {
    return this.#death.promise;
  }

  get dead(): boolean {
    return this.#life.dead;
  }

  die(): void {
    this.#life.dead = true;
    this.journal.closed = true;
    this.#death.reject(new Error("its process died"));
  }
}

/** What they say to each other goes through a network that may fail, to processes that may die under it. */
class FragileRelatives extends Relatives {
  readonly #family: Family;

  constructor(family: Family) {
    super(family);
    this.#family = family;
  }

  /** Who cannot be asked is asked again for a while. */
  override children(id: string, life: Life): Children {
    const children = super.children(id, life);
    const { clock } = this.#family;
    const end = async (child: string, pauseMs = 50): Promise<ChildEnd | null> => {
      try {
        return await children.end(child);
      } catch (error) {
        if (error instanceof HoldfastError || pauseMs > 20_000) throw error;
        await clock.after(pauseMs);
        return await end(child, 2 * pauseMs);
      }
    };
    return { ...children, end };
  }

  override settle(process: OneLife): void {
    if (!this.#family.mute.has(process.id)) super.settle(process);
  }

  /** Nothing is answered by a dead process. */
  protected override async call<Value>(what: string, id: string, ask: (run: Run) => Value | Promise<Value>) {
    return await super.call(what, id, async (run) => {
      const target = this.#family.at(id);
      const value = await Promise.race([target.dead ? hang() : ask(run), target.died]);
      return target.dead ? await target.died : value;
    });
  }

  protected override async reach(what: string, id: string): Promise<void> {
    this.#family.calls.push(`${what} ${id}`);
    await super.reach(what, id);
    const lagMs = this.#family.lag(what);
    if (lagMs > 0) await this.#family.clock.after(lagMs);
    if (this.#family.fails(what, id)) throw new Error("the network is down");
  }
}

export class Family {
  readonly clock = new ManualClock(startAt);
  readonly definitions = new Map<string, Definition>();
  /** Ends the life of this run after a commit of this number, counted from 1; each once. */
  readonly deaths: { readonly id: string; readonly commit: number }[] = [];
  /** Acts on this run so many turns after a commit of this number; each once. */
  readonly stops: { readonly id: string; readonly commit: number; readonly kind: Kind; readonly turns: number }[] = [];
  /** Every child that was made, by how often. */
  readonly made = new Map<string, number>();
  /** Called after each write of any of them. */
  wrote: (id: string, writes: number) => void = () => {};
  /** Makes a call between runs fail as the network does. */
  fails: (what: string, id: string) => boolean = () => false;
  /** How long a call between runs takes, either way. */
  lag: (what: string) => number = () => 0;
  /** Whoever makes requests for a process of the run `id`; nobody unless set. */
  couriers: ((id: string, isDead: () => boolean) => Couriers) | null = null;
  /** Children that never tell of their end. */
  readonly mute = new Set<string>();
  calls: string[] = [];
  lives = 0;
  /** What each of them ever had on record. */
  readonly archives = new Map<string, Archive>();
  /** The same of those that were deleted, whose ids are free again. */
  readonly deleted: { readonly id: string; readonly archive: Archive }[] = [];
  readonly script = {
    child: (workflow: string): Definition => {
      const definition = this.definitions.get(workflow);
      if (definition !== undefined) return definition;
      throw new HoldfastError("workflow_not_found", `no workflow is called ${workflow}`);
    },
    send: (id: string): never => {
      throw new HoldfastError("run_not_found", `no run ${id}`);
    },
  };
  readonly #relatives = new FragileRelatives(this);
  readonly #processes = new Map<string, Process>();
  #events: { readonly at: number; readonly act: () => unknown }[] = [];

  constructor(...definitions: readonly Definition[]) {
    for (const definition of definitions) this.definitions.set(definition.name, definition);
  }

  /** Starts a run that nobody invoked. */
  begin(workflow: string, input: unknown = null, id = workflow): this {
    this.create({ ...created(input), id, workflow });
    return this;
  }

  plan(at: number, act: () => unknown): this {
    this.#events = [...this.#events, { at, act }].sort((one, other) => one.at - other.at);
    return this;
  }

  act(id: string, kind: Kind, key?: string): void | Promise<void> {
    const process = this.at(id);
    process.woken = true;
    const done = process.run.act({ kind, by: "test", reason: null, ...(key === undefined ? {} : { key }) });
    return done instanceof Promise ? done.finally(() => void (process.woken = true)) : done;
  }

  remove(id: string): void {
    this.at(id).die();
    this.#processes.delete(id);
    this.made.delete(id);
    const archive = this.archives.get(id);
    if (archive !== undefined) this.deleted.push({ id, archive });
    this.archives.delete(id);
  }

  /**
   * Begins another run with the history of this one up to the call `from`, and with these results.
   * @throws HoldfastError fork_invalid
   */
  fork(id: string, as: string, from: string | null, results: ReadonlyMap<string, Stored> = new Map()): void {
    const { entries } = this.journal(id);
    const [original] = entries;
    if (original?.kind !== "run.created") throw new Error("a history begins with run.created");
    const { clock } = this;
    const facts = forkedFacts(entries, planFork(entries, { from, given: [...results.keys()] }), results, clock.at);
    const { workflow, version, input, seed = `${id}:${original.at}`, continuation } = original;
    const count = continuation?.count ?? 0;
    const creation: Creation = {
      ...{ ...created(undefined), id: as, workflow, version, input, seed },
      fork: { id, step: from, upTo: facts.length + 1, reason: null },
      ...(count === 0 ? {} : { continuation: { count, createdAt: clock.at, keys: [] } }),
    };
    this.#open(as, new MemoryJournal()).run.fork(creation, facts);
  }

  /** What each run of this id ever had on record. */
  histories(id: string): Archive[] {
    const archive = this.archives.get(id);
    const deleted = this.deleted.filter((one) => one.id === id).map((one) => one.archive);
    return archive === undefined ? deleted : [...deleted, archive];
  }

  /** Has it done to a run, which is then looked at; never resolves where its process dies over it. */
  async reach(id: string, act: (run: Run) => unknown): Promise<unknown> {
    const process = this.at(id);
    if (process.dead) return await hang();
    process.woken = true;
    try {
      return await act(process.run);
    } finally {
      process.woken = true;
      if (process.dead) await hang();
    }
  }

  /** Something has come from outside. */
  wake(id: string): void {
    this.at(id).woken = true;
  }

  run(id: string): Run {
    return this.at(id).run;
  }

  /** The run with its code, which can be exchanged. */
  codeOf(id: string): { readonly run: Run; definition: Definition | undefined } {
    const { definitions } = this;
    const run = this.run(id);
    const name = run.state.created?.workflow ?? "";
    return {
      run,
      get definition() {
        return definitions.get(name);
      },
      set definition(definition) {
        if (definition !== undefined) definitions.set(name, definition);
      },
    };
  }

  has(id: string): boolean {
    return this.#processes.has(id);
  }

  ids(): string[] {
    return [...this.#processes.keys()];
  }

  snapshot(id: string): RunSnapshot {
    return this.run(id).snapshot();
  }

  output(id: string): unknown {
    const { output } = this.snapshot(id);
    return output === null ? null : decode(output);
  }

  entries<Kind extends Entry["kind"]>(id: string, kind: Kind): EntryOf<Kind>[] {
    return this.at(id).journal.entries.filter((entry): entry is EntryOf<Kind> => entry.kind === kind);
  }

  journal(id: string): MemoryJournal {
    return this.at(id).journal;
  }

  /** The memory of a run at rest goes; an alarm brings it back. */
  evict(id: string): void {
    const before = this.at(id);
    const process = this.#open(id, before.journal.copy());
    process.wakeAt = before.wakeAt;
    process.woken = false;
    before.die();
  }

  /** The process dies, and its watchdog brings the run back a second later. */
  kill(id: string): void {
    const before = this.at(id);
    before.die();
    this.lives++;
    const process = this.#open(id, before.journal.copy());
    process.woken = false;
    process.wakeAt = this.clock.at + 1000;
  }

  /**
   * Drives all of them until nothing can move any, or the clock would pass `until`; unless set, four
   * minutes from now, before a parent that waits would ask after its child.
   */
  async drive(until = this.clock.at + 240_000): Promise<this> {
    for (let rounds = 0; ; rounds++) {
      if (rounds > 200_000) throw new Error("it goes on for ever");
      for (const process of [...this.#processes.values()]) {
        if (!process.woken) continue;
        process.advance(this.clock.at);
        this.#relatives.settle(process);
      }
      await this.clock.idle();
      const processes = [...this.#processes.values()];
      for (const process of processes) if (process.dead) this.kill(process.id);
      if (processes.some(({ woken, dead }) => woken || dead)) continue;
      const at = Math.min(...processes.map(({ dueAt }) => dueAt), this.clock.nextAt, this.#events[0]?.at ?? Infinity);
      if (at === Infinity || at > until) return this;
      this.clock.set(Math.max(at, this.clock.at));
      const due = this.#events.filter((event) => event.at <= this.clock.at);
      this.#events = this.#events.slice(due.length);
      for (const { act } of due) void act();
      for (const process of processes) if (process.dueAt <= this.clock.at) process.woken = true;
    }
  }

  find(id: string): Process | undefined {
    return this.#processes.get(id);
  }

  create(creation: Creation): void {
    const { id, parent } = creation;
    if (parent !== null) this.made.set(id, (this.made.get(id) ?? 0) + 1);
    this.#open(id, new MemoryJournal()).run.create(creation);
  }

  #open(id: string, journal: MemoryJournal): Process {
    const life = new Life();
    const world = memoryWorld(this.clock);
    const couriers = this.couriers?.(id, () => life.dead) ?? world.couriers;
    const children = this.#relatives.children(id, life);
    const find: Find = (name, version) => {
      // A dead process begins nothing.
      const definition = life.dead ? undefined : this.definitions.get(name);
      return definition?.version === version ? definition : undefined;
    };
    const process = new Process(id, journal, new Run(journal, { ...world, children, couriers }, find), life);
    const archive = this.archives.get(id) ?? new Archive();
    this.archives.set(id, archive);
    journal.onAppend = (entries) => {
      archive.see(journal, entries);
      this.wrote(id, archive.writes.length);
      void this.#stopAt(id, journal.commits.length);
      const at = this.deaths.findIndex((death) => death.id === id && death.commit === journal.commits.length);
      if (at < 0) return;
      this.deaths.splice(at, 1);
      process.die();
    };
    this.#processes.set(id, process);
    return process;
  }

  async #stopAt(id: string, commit: number): Promise<void> {
    const index = this.stops.findIndex((stop) => stop.id === id && stop.commit === commit);
    const [stop] = index < 0 ? [] : this.stops.splice(index, 1);
    if (stop === undefined) return;
    for (let turn = 0; turn <= stop.turns; turn++) await this.clock.turn();
    try {
      await this.act(id, stop.kind);
    } catch (error) {
      // It was over already.
      if (!(error instanceof HoldfastError)) throw error;
    }
  }

  at(id: string): Process {
    const process = this.#processes.get(id);
    if (process === undefined)
      throw new HoldfastError("run_not_found", `no run ${id}; there are ${this.ids().join(", ")}`);
    return process;
  }
}
