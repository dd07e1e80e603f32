/**
 * Several runs over one virtual time, each in a process of its own: they start, hear, stop and signal each
 * other as the Durable Objects do, and any of them may die after any commit of its journal.
 */
import { validate } from "../../src/core/schema.ts";
import type { Definition } from "../../src/core/definition.ts";
import type { Entry, EntryOf } from "../../src/core/entry.ts";
import { HoldfastError } from "../../src/core/error.ts";
import type { ChildPolicy } from "../../src/core/origin.ts";
import type { RunSnapshot } from "../../src/core/run.ts";
import { decode } from "../../src/core/value.ts";
import { childEnd, receiveNews } from "../../src/engine/news.ts";
import { Run } from "../../src/engine/run.ts";
import type { Next } from "../../src/engine/drive.ts";
import type { ChildEnd, ChildStart, World } from "../../src/engine/world.ts";
import { created, startAt } from "./host.ts";
import { ManualClock, MemoryJournal, memoryWorld } from "./memory.ts";

type Kind = "cancel" | "terminate" | "pause" | "resume" | "retry";

/** One life of one run. */
class Process {
  readonly id: string;
  readonly journal: MemoryJournal;
  readonly run: Run;
  next: Next = { busy: false, wakeAt: null, expired: false };
  woken = true;
  /** Nobody has looked at it yet. */
  cold: boolean;
  readonly died: Promise<void>;
  #die: (() => void) | null = null;
  /** Debts by name: when the next try is due; Infinity while it is under way or was paid. */
  readonly debts = new Map<string, { dueAt: number; tries: number }>();

  constructor(id: string, journal: MemoryJournal, world: World, family: Family) {
    this.id = id;
    this.journal = journal;
    this.cold = journal.commits.length > 0;
    this.died = new Promise((resolve) => {
      this.#die = resolve;
    });
    this.run = new Run(journal, world, (name, version) => {
      const definition = family.definitions.get(name);
      return definition?.version === version ? definition : undefined;
    });
  }

  get dead(): boolean {
    return this.journal.closed;
  }

  die(): void {
    this.journal.closed = true;
    this.#die?.();
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
  /** Makes a call between runs fail as the network does. */
  fails: (what: string, id: string) => boolean = () => false;
  /** Children that never tell of their end. */
  readonly mute = new Set<string>();
  calls: string[] = [];
  lives = 0;
  readonly #processes = new Map<string, Process>();
  #events: { readonly at: number; readonly act: () => unknown }[] = [];

  constructor(...definitions: readonly Definition[]) {
    for (const definition of definitions) this.definitions.set(definition.name, definition);
  }

  /** Starts a run that nobody invoked. */
  begin(workflow: string, input: unknown = null, id = workflow): this {
    this.#create({ ...created(input), id, workflow });
    return this;
  }

  plan(at: number, act: () => unknown): this {
    this.#events = [...this.#events, { at, act }].sort((one, other) => one.at - other.at);
    return this;
  }

  act(id: string, kind: Kind, key?: string): void | Promise<void> {
    const process = this.#at(id);
    process.woken = true;
    const done = process.run.act({ kind, by: "test", reason: null, ...(key === undefined ? {} : { key }) });
    return done instanceof Promise ? done.finally(() => void (process.woken = true)) : done;
  }

  remove(id: string): void {
    this.#at(id).die();
    this.#processes.delete(id);
  }

  /** Something has come from outside. */
  wake(id: string): void {
    this.#at(id).woken = true;
  }

  run(id: string): Run {
    return this.#at(id).run;
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
    return this.#at(id).journal.entries.filter((entry): entry is EntryOf<Kind> => entry.kind === kind);
  }

  journal(id: string): MemoryJournal {
    return this.#at(id).journal;
  }

  /** The memory of a run at rest goes; an alarm brings it back. */
  evict(id: string): void {
    const before = this.#at(id);
    const process = this.#open(id, before.journal.copy());
    process.next = before.next;
    process.woken = false;
    before.die();
  }

  /** The process dies, and its watchdog brings the run back a second later. */
  kill(id: string): void {
    const before = this.#at(id);
    before.die();
    this.lives++;
    const process = this.#open(id, before.journal.copy());
    process.woken = false;
    process.next = { busy: false, wakeAt: this.clock.at + 1000, expired: false };
  }

  /**
   * Drives all of them until nothing can move any, or the clock would pass `until`; unless set, four
   * minutes from now, before a parent that waits would ask after its child.
   */
  async drive(until = this.clock.at + 240_000): Promise<this> {
    for (let rounds = 0; ; rounds++) {
      if (rounds > 200_000) throw new Error("it goes on for ever");
      for (const process of [...this.#processes.values()]) if (process.woken) this.#advance(process);
      await this.clock.idle();
      const processes = [...this.#processes.values()];
      for (const process of processes) if (process.dead) this.kill(process.id);
      if (processes.some(({ woken, dead }) => woken || dead)) continue;
      const dues = processes.flatMap(({ next, debts }) => [
        next.wakeAt ?? Infinity,
        ...[...debts.values()].map(({ dueAt }) => dueAt),
      ]);
      const at = Math.min(...dues, this.clock.nextAt, this.#events[0]?.at ?? Infinity);
      if (at === Infinity || at > until) return this;
      this.clock.set(Math.max(at, this.clock.at));
      const due = this.#events.filter((event) => event.at <= this.clock.at);
      this.#events = this.#events.slice(due.length);
      for (const { act } of due) void act();
      for (const process of processes) if (this.#isDue(process)) process.woken = true;
    }
  }

  #isDue({ next, debts }: Pick<Process, "next" | "debts">): boolean {
    return [next.wakeAt ?? Infinity, ...[...debts.values()].map(({ dueAt }) => dueAt)].some(
      (at) => at <= this.clock.at,
    );
  }

  #advance(process: Process): void {
    const { run } = process;
    process.woken = false;
    const cold = process.cold && run.wasCutOff(this.clock.at);
    process.cold = false;
    process.next = run.advance(cold);
    // Kept for as long as anybody may look at it.
    if (run.state.end !== null) process.next = { busy: false, wakeAt: null, expired: false };
    const wake = (): void => void (process.woken = true);
    if (process.next.busy) void run.rested().then(wake);
    else if (run.state.end === null) void run.stirred().then(wake);
    this.#settle(process);
  }

  /** What it owes: news of its end to its parent, and an end to children that nobody waits for. */
  #settle(process: Process): void {
    const { state } = process.run;
    for (const { child, policy } of state.orphans.values()) {
      void this.#pay(process, `stop ${child.id} ${state.retriedSeq}`, async () => {
        await this.#world(process.id, () => process.dead).children.stop(child.id, policy);
        if (!process.dead) process.run.noteStopped(child, policy);
      });
    }
    const { created: made, end } = state;
    if (made?.reply === undefined || made.parent === null || end === null || this.mute.has(process.id)) return;
    const { parent, reply } = made;
    const news = { ...reply, child: process.id, end: childEnd(end) };
    void this.#pay(process, `tell ${end.seq}`, async () => {
      await this.#call("hear", parent.id, async (heard) => {
        const hearing = receiveNews(heard.run, news);
        heard.woken = true;
        await hearing.finally(() => void (heard.woken = true));
      });
    });
  }

  async #pay(process: Process, name: string, pay: () => Promise<void>): Promise<void> {
    const debt = process.debts.get(name) ?? { dueAt: 0, tries: 0 };
    process.debts.set(name, debt);
    if (debt.dueAt > this.clock.at) return;
    debt.dueAt = Infinity;
    try {
      await pay();
    } catch (error) {
      if (error instanceof HoldfastError && (error.code === "run_not_found" || error.code === "run_ended")) return;
      debt.dueAt = this.clock.at + Math.min(3_600_000, 250 * 2 ** ++debt.tries);
    }
    process.woken = true;
  }

  #world(id: string, dead: () => boolean): World {
    const alive = async <Value>(work: Promise<Value>): Promise<Value> => {
      const settled = await work.then(
        (value) => () => value,
        (error: unknown) => () => {
          throw error;
        },
      );
      return dead() ? await new Promise<never>(() => {}) : settled();
    };
    return {
      ...memoryWorld(this.clock),
      children: {
        start: (request) => alive(dead() ? new Promise(() => {}) : this.#start(id, request)),
        end: (child) => alive(this.#endOf(child)),
        stop: (child, policy) => alive(dead() ? new Promise(() => {}) : this.#stop(id, child, policy)),
        signal: (to, request) =>
          alive(
            this.#call("signal", to, async (target) => {
              target.run.signal(request);
              target.woken = true;
            }),
          ),
      },
    };
  }

  async #start(parent: string, { workflow, input, id, labels, reply, former }: ChildStart) {
    const own = (id: string) => this.snapshot(id).parent?.id === parent;
    if (former !== null && (await this.#goesOn(former))) {
      return { child: former.child, existed: true, own: own(former.child.id), createdAt: null };
    }
    const definition = this.definitions.get(workflow);
    if (definition === undefined) throw new HoldfastError("workflow_not_found", `no workflow is called ${workflow}`);
    await validate(definition.input, decode(input), "input_invalid", `the input of ${workflow}`);
    await this.clock.turn();
    if (this.fails("start", id)) throw new Error("the network is down");
    const existed = this.#processes.has(id);
    if (!existed) {
      this.made.set(id, (this.made.get(id) ?? 0) + 1);
      const of = this.snapshot(parent);
      this.#create({
        ...created(null),
        ...{ id, workflow, version: definition.version, input, labels, by: `parent ${parent}` },
        parent: { id: parent, workflow: of.workflow },
        ...(reply === null ? {} : { reply }),
      });
    }
    await this.clock.turn();
    // The answer may come long after the child is at work, or not at all.
    if (this.fails("started", id)) throw new Error("the answer was lost");
    return { child: { id, workflow }, existed, own: own(id), createdAt: this.snapshot(id).createdAt };
  }

  async #goesOn({ child, key, kept }: NonNullable<ChildStart["former"]>): Promise<boolean> {
    const retried = await this.#call("retry", child.id, async (target) => {
      target.woken = true;
      return await target.run.act({ kind: "retry", by: "parent", reason: null, key });
    }).then(
      () => true,
      (error: unknown) => {
        if (error instanceof HoldfastError) return false;
        throw error;
      },
    );
    if (retried) return true;
    if (!this.#processes.has(child.id)) return false;
    const { status } = this.snapshot(child.id);
    return status === "completed" || (kept && this.run(child.id).state.end === null);
  }

  async #endOf(id: string): Promise<ChildEnd | null> {
    try {
      const { end } = await this.#call("end", id, async ({ run }) => await Promise.resolve(run.state));
      return end === null ? null : childEnd(end);
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      return { kind: "failed", error: { name: "HoldfastError", message: "gone", code: "run_not_found" } };
    }
  }

  async #stop(by: string, id: string, policy: ChildPolicy): Promise<void> {
    if (policy === "abandon") return;
    await this.#call("stop", id, async (target) => {
      target.woken = true;
      await target.run.act({ kind: policy, by: `parent ${by}`, parent: by, reason: null });
      target.woken = true;
    }).catch((error: unknown) => {
      if (!(error instanceof HoldfastError)) throw error;
    });
  }

  /** A call to another run: it gets there a turn later, and fails where its process dies under it. */
  async #call<Value>(what: string, id: string, ask: (target: Process) => Promise<Value>): Promise<Value> {
    this.calls.push(`${what} ${id}`);
    await this.clock.turn();
    if (this.fails(what, id)) throw new Error("the network is down");
    const target = this.#processes.get(id);
    if (target === undefined) throw new HoldfastError("run_not_found", `no run ${id}`);
    // Nothing is answered by a dead process.
    const died = target.died.then((): never => {
      throw new Error("its process died");
    });
    const value = await Promise.race([target.dead ? died : ask(target), died]);
    return target.dead ? await died : value;
  }

  #create(fact: Parameters<Run["create"]>[0]): void {
    const process = this.#open(fact.id, new MemoryJournal());
    process.run.create(fact);
    process.woken = true;
  }

  #open(id: string, journal: MemoryJournal): Process {
    const process = new Process(
      id,
      journal,
      this.#world(id, () => journal.closed),
      this,
    );
    journal.onAppend = () => {
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

  #at(id: string): Process {
    const process = this.#processes.get(id);
    if (process === undefined) throw new Error(`no run ${id}; there are ${this.ids().join(", ")}`);
    return process;
  }
}
