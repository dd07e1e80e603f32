/** A journal, a clock and a world in memory: what hosts a run in the tests of the engine. */
import { unsealed } from "../../src/core/cipher/cipher.ts";
import type { Vault } from "../../src/core/cipher/cipher.ts";
import type { Definition } from "../../src/core/definition/definition.ts";
import type { Entry } from "../../src/core/history/entry.ts";
import { HoldfastError } from "../../src/core/error.ts";
import type { ErrorCode } from "../../src/core/code.ts";
import type { Step } from "../../src/core/definition/step.ts";
import type { Clock } from "../../src/engine/clock.ts";
import type { World } from "../../src/engine/world.ts";
import { MemoryJournal as PlainJournal } from "../../src/rehearsal/journal.ts";

export { ManualClock } from "../../src/rehearsal/clock.ts";

/** The journal of a rehearsal, with what tests of the engine look at besides. */
export class MemoryJournal extends PlainJournal {
  /** Entries handed out by `read` and `page`, and calls of `append`: what work is counted by. */
  reads = 0;
  /** Called after each commit. */
  onAppend: ((entries: readonly Entry[]) => void) | null = null;
  /** Called before each commit; may throw. */
  beforeAppend: ((entries: readonly Entry[]) => void) | null = null;
  /** Seals every commit, as a journal with keys does; set for journals made from then on. */
  static vault: Vault = unsealed;
  readonly #vault = MemoryJournal.vault;

  get kinds(): string[] {
    return this.entries.map(({ kind }) => kind);
  }

  override *read(): Iterable<Entry> {
    for (const entry of super.read()) {
      this.reads++;
      yield entry;
    }
  }

  override append(entries: readonly Entry[]): void {
    if (entries.length === 0 || this.closed) return;
    this.beforeAppend?.(entries);
    super.append(entries);
    this.onAppend?.(entries);
  }

  override restart(entries: readonly Entry[]): void {
    if (this.closed) return;
    this.beforeAppend?.(entries);
    super.restart(entries);
    this.onAppend?.(entries);
  }

  copy(commits = this.commits.length): MemoryJournal {
    return new MemoryJournal(this.commits.slice(0, commits));
  }

  protected override seal(entries: readonly Entry[], at: number): string {
    return this.#vault.seal(super.seal(entries, at), `commit ${at}`);
  }

  protected override open(text: string, at: number): Entry[] {
    return super.open(this.#vault.open(text, `commit ${at}`), at);
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
      stop: () => Promise.resolve(true),
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
