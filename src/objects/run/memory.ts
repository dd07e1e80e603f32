/**
 * Owns: the run of one object, in storage and in memory: its journal, the run made from it, and the listeners of commits (the
 * meter, the log, the followers).
 * Does not own: when the run is advanced, its alarm, its removal (host), the journal's format (store/journal).
 * Invariant 1: at any time there is one run in memory for the journal. A run that could not be written is given up, and the
 * next one is made from the storage.
 */
import type { Vault } from "../../core/cipher/cipher.ts";
import type { Entry, EntryOf } from "../../core/history/entry.ts";
import { HoldfastError } from "../../core/error.ts";
import type { Find } from "../../engine/drive.ts";
import { Run } from "../../engine/run.ts";
import type { Children } from "../../engine/world.ts";
import { SqlJournal } from "../../store/journal.ts";
import { commitsOf } from "../transfer/arrival.ts";
import type { Arrived } from "../transfer/arrival.ts";
import { noRun } from "../callee.ts";
import type { StartRun } from "../start/preparation.ts";
import { firstCreation, isDamage } from "./damage.ts";
import { markExported } from "../outbox/exporter.ts";
import { Followers } from "../follow/followers.ts";
import { vaultOf } from "../deployment/keys.ts";
import { Log } from "../deployment/logline.ts";
import { Meter } from "../meter.ts";
import { ObservedJournal } from "./journal.ts";
import { createWorld } from "./world.ts";
import { firstCreatedAt } from "../../core/run/origin.ts";

type Opened = {
  readonly run: Run;
  readonly journal: SqlJournal;
  readonly children: Children;
  /** Whether the run was not advanced yet. */
  isCold: boolean;
};

export class Memory {
  readonly followers: Followers;
  readonly log = new Log();
  /** The meter of the run in this object. */
  meter: Meter;
  readonly #ctx: DurableObjectState;
  readonly #vault: Vault;
  readonly #find: Find;
  readonly #startRun: StartRun;
  #opened: Opened | null = null;

  constructor(ctx: DurableObjectState, find: Find, startRun: StartRun) {
    this.#ctx = ctx;
    this.#vault = vaultOf(ctx);
    this.followers = new Followers(ctx);
    this.meter = this.#newMeter();
    this.#find = find;
    this.#startRun = startRun;
  }

  get run(): Run {
    return this.#open().run;
  }

  /** The run. @throws HoldfastError run_not_found */
  existing(): Run {
    this.creation();
    return this.run;
  }

  /** The creation of the run's newest incarnation. @throws HoldfastError run_not_found */
  creation(): EntryOf<"run.created"> {
    const { created } = this.run.state;
    if (created === null) throw noRun(this.#ctx.id.name);
    return created;
  }

  /** The id of the run, if possible also of one whose journal is damaged; undefined if there is none. */
  get id(): string | undefined {
    return this.#created?.id;
  }

  /** The same: when its first incarnation was created. */
  get firstCreatedAt(): number | undefined {
    return firstCreatedAtOf(this.#created);
  }

  get #created(): EntryOf<"run.created"> | null {
    try {
      return this.run.state.created;
    } catch {
      return firstCreation(() => this.openJournal().page(0, 1));
    }
  }

  get journal(): SqlJournal {
    return this.#open().journal;
  }

  get children(): Children {
    return this.#open().children;
  }

  /** Whether the run was not opened from its journal yet, or not advanced since. */
  get isCold(): boolean {
    return this.#opened?.isCold ?? true;
  }

  /** Called when the run is advanced. */
  warm(): void {
    this.#open().isCold = false;
  }

  isCurrent(run: Run): boolean {
    return this.#opened?.run === run;
  }

  /**
   * Creates a run without checking whether there is one: its first row creates the journal, or the storage refuses it.
   * Returns false if it did: then nothing has happened, and the caller has to check.
   */
  begin(create: (run: Run) => void): boolean {
    if (this.#opened !== null) return false;
    this.#opened = this.#make(this.openJournal(false));
    try {
      create(this.#opened.run);
    } catch {
      this.forget();
      return false;
    }
    this.meter.begin();
    return true;
  }

  /** Gives up the run in memory after it could not be written. */
  forget(): void {
    this.#opened = null;
  }

  /** Deletes everything from storage and memory. @param note called in the same turn: no death is in between */
  async clear(note: () => Promise<void>): Promise<void> {
    await Promise.all([this.#ctx.storage.deleteAll(), note()]);
    this.followers.send("gone");
    this.meter = this.#newMeter();
    this.forget();
  }

  /** Writes an imported run in one transaction. @throws errors of the storage */
  install(arrived: Arrived): void {
    const { end } = arrived.state;
    const journal = this.openJournal();
    this.#ctx.storage.transactionSync(() => {
      for (const commit of commitsOf(arrived)) journal.append(commit);
      if (end !== null) markExported(this.#ctx.storage.kv, end);
    });
    this.forget();
    // The new meter continues from the recorded usage.
    this.meter = this.#newMeter();
    const { created, imported } = this.run.state;
    if (imported !== null) this.log.note([imported], created);
  }

  /** The damage of the journal; null if it can be read. @throws key_missing, config_invalid */
  damage(): HoldfastError | null {
    try {
      void this.run;
      return null;
    } catch (error) {
      if (isDamage(error)) return error;
      throw error;
    }
  }

  /** The stored journal, whether or not it can be read. @param expected whether there may be one */
  openJournal(expected = true): SqlJournal {
    return new SqlJournal(this.#ctx.storage, (rows, size) => this.meter.wrote(rows, size), this.#vault, expected);
  }

  #open(): Opened {
    if (this.#opened === null) {
      this.#opened = this.#make(this.openJournal());
      this.meter.open(this.#opened.run.state.used);
    }
    return this.#opened;
  }

  #make(journal: SqlJournal): Opened {
    const world = createWorld(() => this.creation(), this.#startRun);
    const observed = new ObservedJournal(journal, {
      admit: () => this.#refuseFormer(run),
      measure: (entries) => this.meter.record(entries),
      committed: (entries) => this.#recorded(entries),
    });
    const run = new Run(observed, world, this.#find);
    run.measure = () => this.meter.usage;
    return { run, journal, children: world.children, isCold: true };
  }

  /** Refuses writes of a run that was given up. @throws HoldfastError run_not_found if it was removed, else another error */
  #refuseFormer(run: Run): void {
    if (this.isCurrent(run)) return;
    throw this.firstCreatedAt === firstCreatedAtOf(run.state.created)
      ? new Error("this memory of the run was given up")
      : gone();
  }

  /** Called after every commit of the run. */
  #recorded(entries: readonly Entry[]): void {
    this.followers.sendCommit(entries);
    this.log.note(entries, this.#opened?.run.state.created ?? null);
  }

  #newMeter(): Meter {
    return new Meter(() => this.#ctx.storage.sql.databaseSize);
  }
}

function firstCreatedAtOf(created: EntryOf<"run.created"> | null): number | undefined {
  return created === null ? undefined : firstCreatedAt(created);
}

/** The error of a call during which the run was removed. */
export function gone(): HoldfastError {
  return new HoldfastError("run_not_found", "the run was removed meanwhile");
}
