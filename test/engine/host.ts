/**
 * Hosts one run over virtual time, as the Durable Object does over real time: it calls `advance`, and
 * calls it again only when the run rested, a deadline it named has come, or something from outside
 * has. A ring that the engine forgets therefore shows as a run that never ends.
 */
import type { Definition } from "../../src/core/definition/definition.ts";
import type { Entry, EntryOf } from "../../src/core/history/entry.ts";
import { HoldfastError } from "../../src/core/error.ts";
import type { RunSnapshot } from "../../src/core/run/run.ts";
import { decode, encode } from "../../src/core/value/value.ts";
import { Run } from "../../src/engine/run.ts";
import type { Next } from "../../src/engine/next.ts";
import type { Children, Couriers } from "../../src/engine/world.ts";
import { ManualClock, MemoryJournal, define, memoryWorld } from "./memory.ts";
import type { Handler } from "./memory.ts";
import { createdFact } from "../core/created.ts";

export const startAt = Date.UTC(2026, 0, 5, 9);

/** Something that comes from outside at an instant. */
export type Event = { readonly at: number; readonly act: (run: Run) => unknown };

export type HostOptions = {
  readonly commits?: readonly string[];
  readonly at?: number;
  readonly deployment?: string;
  readonly input?: unknown;
  /** The run's last life was cut off; true for a journal that is not empty, unless set. */
  readonly cold?: boolean;
  /** Whoever makes requests for it; nobody unless set. */
  readonly couriers?: Couriers;
  /** How it reaches its children; there are none unless set. */
  readonly children?: Children;
  /** One that has these commits, unless set. */
  readonly journal?: MemoryJournal;
};

export class Host {
  readonly journal: MemoryJournal;
  readonly clock: ManualClock;
  readonly run: Run;
  /** Planned, in order of time. */
  events: Event[] = [];
  definition: Definition | undefined;
  #cold: boolean;

  constructor(definition: Definition | Handler | undefined, options: HostOptions = {}) {
    const { commits = [], at = startAt, deployment = "one" } = options;
    this.definition = typeof definition === "function" ? define(definition) : definition;
    this.journal = options.journal ?? new MemoryJournal(commits);
    this.clock = new ManualClock(at);
    const world = memoryWorld(this.clock, deployment);
    const { couriers = world.couriers, children = world.children } = options;
    this.run = new Run(this.journal, { ...world, couriers, children }, (_name, version) =>
      version === null || this.definition?.version === version ? this.definition : undefined,
    );
    this.#cold = options.cold ?? commits.length > 0;
    if (commits.length === 0) this.run.create(created(options.input));
  }

  /** Set to stop driving and writing, as the death of the process does. */
  get dead(): boolean {
    return this.journal.closed;
  }

  set dead(dead: boolean) {
    this.journal.closed = dead;
  }

  get snapshot(): RunSnapshot {
    return this.run.snapshot();
  }

  get status(): string {
    return this.snapshot.status;
  }

  /** What the run returned. */
  get output(): unknown {
    const { output } = this.snapshot;
    return output === null ? null : decode(output);
  }

  /** Entries of one kind. */
  entries<Kind extends Entry["kind"]>(kind: Kind): EntryOf<Kind>[] {
    return this.journal.entries.filter((entry): entry is EntryOf<Kind> => entry.kind === kind);
  }

  /** Plans a signal. */
  signalAt(at: number, name: string, payload: unknown, key?: string): this {
    return this.plan(at, (run) => signal(run, name, payload, key));
  }

  plan(at: number, act: (run: Run) => unknown): this {
    this.events = [...this.events, { at, act }].sort((one, other) => one.at - other.at);
    return this;
  }

  /** Drives the run until it ends, nothing can move it any more, or the clock would pass `until`. */
  async drive(until = Infinity): Promise<this> {
    while (!this.dead) {
      const next = this.run.advance(this.#cold);
      this.#cold = false;
      if (this.run.state.end !== null || !(await this.#wait(next, until))) break;
    }
    return this;
  }

  /** What a process that starts anew on this journal hosts; `commits` of it survived. */
  reopen(options: HostOptions & { readonly keep?: number; readonly definition?: Definition | Handler } = {}): Host {
    this.dead = true;
    const { keep = this.journal.commits.length, definition = this.definition } = options;
    const at = options.at ?? this.clock.at;
    const host = new Host(definition, { ...options, at, commits: this.journal.commits.slice(0, keep) });
    host.events = this.events;
    return host;
  }

  /** Waits until `advance` is to be called again; false when that is never, or not before `until`. */
  async #wait(next: Next, until: number): Promise<boolean> {
    let woken = false;
    void (next.busy ? this.run.rested() : this.run.stirred()).then(() => {
      woken = true;
    });
    for (;;) {
      await this.clock.idle();
      if (woken || this.dead) return true;
      const at = Math.min(next.wakeAt ?? Infinity, this.clock.nextAt, this.events[0]?.at ?? Infinity);
      // A run whose handler rests waits for the answers of its lanes.
      const isAsking = this.run.lanes.slots.isAsking;
      if (next.busy && !isAsking && this.run.execution?.busy === false)
        throw new Error("the run came to rest and told nobody");
      if (at === Infinity || at > until) return false;
      this.clock.set(Math.max(at, this.clock.at));
      if (this.#deliver() || (next.wakeAt ?? Infinity) <= this.clock.at) return true;
    }
  }

  #deliver(): boolean {
    const due = this.events.filter((event) => event.at <= this.clock.at);
    this.events = this.events.slice(due.length);
    for (const { act } of due) ignoreEnd(() => act(this.run));
    return due.length > 0;
  }
}

/** What comes after the run's end is refused, and that is all that may be wrong with it. */
function ignoreEnd(act: () => unknown): void {
  const unlessEnded = (error: unknown): void => {
    if (!(error instanceof HoldfastError && error.code === "run_ended")) throw error;
  };
  try {
    void Promise.resolve(act()).catch(unlessEnded);
  } catch (error) {
    unlessEnded(error);
  }
}

export function signal(run: Run, name: string, payload: unknown, key?: string): { duplicate: boolean } {
  const request = { name, payload: encode(payload, "a payload"), by: "test" };
  return run.signal(key === undefined ? request : { ...request, key });
}

export function act(
  run: Run,
  kind: "cancel" | "terminate" | "pause" | "resume" | "retry",
  key?: string,
): void | Promise<void> {
  return run.act({ kind, by: "test", reason: null, ...(key === undefined ? {} : { key }) });
}

export function created(input: unknown): Omit<EntryOf<"run.created">, "kind" | "seq" | "at"> {
  const { kind: _kind, ...fields } = createdFact;
  return { ...fields, input: encode(input, "the input") };
}

/** Drives a handler from its start to its end. */
export async function play(definition: Definition | Handler, options: HostOptions = {}): Promise<Host> {
  return await new Host(definition, options).drive();
}
