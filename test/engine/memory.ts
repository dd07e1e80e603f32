/** A journal, a clock and a world in memory: what hosts a run in the tests of the engine. */
import { unsealed } from "../../src/core/cipher.ts";
import type { Vault } from "../../src/core/cipher.ts";
import type { Definition } from "../../src/core/definition.ts";
import type { Entry } from "../../src/core/entry.ts";
import { HoldfastError } from "../../src/core/error.ts";
import type { ErrorCode } from "../../src/core/code.ts";
import type { Journal } from "../../src/core/journal.ts";
import type { Step } from "../../src/core/step.ts";
import type { Clock } from "../../src/engine/clock.ts";
import type { World } from "../../src/engine/world.ts";

/** Commits as they were made; a prefix of them is what a crash leaves. */
export class MemoryJournal implements Journal {
  commits: string[];
  /** Entries handed out by `read` and `page`, and calls of `append`: what work is counted by. */
  reads = 0;
  /** The process that writes here is dead: nothing more is kept. */
  closed = false;
  /** Called after each commit. */
  onAppend: ((entries: readonly Entry[]) => void) | null = null;
  /** Called before each commit; may throw. */
  beforeAppend: ((entries: readonly Entry[]) => void) | null = null;
  /** Seals every commit, as a journal with keys does; set for journals made from then on. */
  static vault: Vault = unsealed;
  readonly #vault = MemoryJournal.vault;
  #entries: Entry[] | null = null;

  constructor(commits: readonly string[] = []) {
    this.commits = [...commits];
  }

  /** The commit as it was before it was sealed. */
  #open(text: string, at: number): Entry[] {
    return JSON.parse(this.#vault.open(text, `commit ${at}`)) as Entry[];
  }

  /** The entries as they were stored: a new copy for every reader. */
  get entries(): readonly Entry[] {
    this.#entries ??= this.commits.flatMap((text, at) => this.#open(text, at));
    return this.#entries;
  }

  get kinds(): string[] {
    return this.entries.map(({ kind }) => kind);
  }

  *read(): Iterable<Entry> {
    for (const [at, text] of this.commits.entries()) {
      for (const entry of this.#open(text, at)) {
        this.reads++;
        yield entry;
      }
    }
  }

  append(entries: readonly Entry[]): void {
    if (entries.length === 0 || this.closed) return;
    this.beforeAppend?.(entries);
    this.commits.push(this.#vault.seal(JSON.stringify(entries), `commit ${this.commits.length}`));
    this.#entries = null;
    this.onAppend?.(entries);
  }

  restart(entries: readonly Entry[]): void {
    if (this.closed) return;
    this.beforeAppend?.(entries);
    this.commits = entries.map((entry, at) => this.#vault.seal(JSON.stringify([entry]), `commit ${at}`));
    this.#entries = null;
    this.onAppend?.(entries);
  }

  page(after: number, limit: number): Entry[] {
    return [...this.read()].filter(({ seq }) => seq > after).slice(0, limit);
  }

  durable(): Promise<void> {
    return Promise.resolve();
  }

  copy(commits = this.commits.length): MemoryJournal {
    return new MemoryJournal(this.commits.slice(0, commits));
  }
}

/** A clock that stands still until it is set. Its turns are real turns of the event loop. */
export class ManualClock implements Clock {
  at: number;
  /** How many turns were asked for. */
  turns = 0;
  #asked = 0;
  #timers: { readonly at: number; readonly ring: () => void }[] = [];

  constructor(at: number) {
    this.at = at;
  }

  now(): number {
    return this.at;
  }

  turn(): Promise<void> {
    this.turns++;
    this.#asked++;
    return new Promise((resolve) => {
      setImmediate(() => {
        this.#asked--;
        resolve();
      });
    });
  }

  /** Resolves once the clock has been set that much later; immediate where `ms` is 0. */
  after(ms: number): Promise<void> {
    if (ms <= 0) return Promise.resolve();
    return new Promise((ring) => {
      this.#timers.push({ at: this.at + ms, ring });
    });
  }

  get nextAt(): number {
    return this.#timers.reduce((first, { at }) => Math.min(first, at), Infinity);
  }

  /** Sets the clock; rings what is due. */
  set(at: number): void {
    this.at = at;
    const due = this.#timers.filter((timer) => timer.at <= at).sort((one, other) => one.at - other.at);
    this.#timers = this.#timers.filter((timer) => timer.at > at);
    for (const timer of due) timer.ring();
  }

  /** Resolves when nothing goes on: every microtask has run, and nobody waits for a turn. */
  async idle(): Promise<void> {
    do await new Promise((resolve) => setImmediate(resolve));
    while (this.#asked > 0);
  }
}

export function memoryWorld(clock: Clock, deployment = "one"): World {
  return {
    clock,
    deployment,
    hookUrl: (call) => Promise.resolve(`http://example.com/hooks/${encodeURIComponent(call)}`),
    // A run that is alone in the world.
    children: {
      start: ({ workflow }) => refuse("workflow_not_found", `no workflow is called ${workflow}`),
      end: (id) => refuse("run_not_found", `no run has the id ${id}`),
      stop: () => Promise.resolve(),
      signal: (id) => refuse("run_not_found", `no run has the id ${id}`),
    },
    couriers: {
      reserve: () => Promise.reject(new Error("there is no courier here")),
      send: () => Promise.reject(new Error("there is no courier here")),
      drop: () => Promise.resolve(),
    },
  };
}

function refuse(code: ErrorCode, message: string): Promise<never> {
  return Promise.reject(new HoldfastError(code, message));
}

export type Handler = (input: never, step: Step) => unknown;

/** A definition that has every option it needs. */
export function define(handler: Handler, options: Partial<Definition> = {}): Definition {
  return {
    name: "flow",
    version: "1",
    handler,
    input: undefined,
    output: undefined,
    signals: {},
    retry: undefined,
    timeoutMs: null,
    schedules: [],
    retentionMs: 30 * 86_400_000,
    labels: undefined,
    flow: {},
    limits: { steps: 100_000, perStep: {} },
    ...options,
  };
}
