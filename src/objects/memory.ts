/**
 * Owns: the run of one object as it is stored and as it is known: its journal, the run that is made of it, and who
 * hears of every commit (the meter, the log, those who follow).
 * Does not own: when the run is looked at, its alarm, its removal (host), the journal's format (store/journal).
 * Invariant 1: of one journal there is one run at a time; one that could not be written is forgotten, and the next
 * is made of what is stored.
 */
import type { Vault } from "../core/cipher.ts";
import type { Entry, EntryOf } from "../core/entry.ts";
import { HoldfastError } from "../core/error.ts";
import type { Find } from "../engine/drive.ts";
import { Run } from "../engine/run.ts";
import type { Children } from "../engine/world.ts";
import { SqlJournal } from "../store/journal.ts";
import { commitsOf } from "./arrival.ts";
import type { Arrived } from "./arrival.ts";
import { noRun } from "./callee.ts";
import type { StartRun } from "./children.ts";
import { firstId, isDamage } from "./damage.ts";
import { markExported } from "./exporter.ts";
import { Followers } from "./followers.ts";
import { vaultOf } from "./keys.ts";
import { Log } from "./logline.ts";
import { Meter } from "./meter.ts";
import { ObservedJournal } from "./journal.ts";
import { createWorld } from "./world.ts";
import { bornAt } from "../core/origin.ts";

type Opened = {
  readonly run: Run;
  readonly journal: SqlJournal;
  readonly children: Children;
  /** The first look at it is still to come. */
  isCold: boolean;
};

export class Memory {
  readonly followers: Followers;
  readonly log = new Log();
  /** Of the run that is in this object. */
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

  /** The run, where there is one. @throws HoldfastError run_not_found */
  existing(): Run {
    this.life();
    return this.run;
  }

  /** Its creation; of one that has gone on as new, that of its newest life. @throws HoldfastError run_not_found */
  life(): EntryOf<"run.created"> {
    const { created } = this.run.state;
    if (created === null) throw noRun();
    return created;
  }

  /** The id of the run, also of one whose journal is damaged, if it can be read; undefined where there is none. */
  get id(): string | undefined {
    try {
      return this.run.state.created?.id;
    } catch {
      return firstId(() => this.openJournal().page(0, 1));
    }
  }

  get journal(): SqlJournal {
    return this.#open().journal;
  }

  get children(): Children {
    return this.#open().children;
  }

  /** When the first life of the run began; undefined where there is none. */
  get bornAt(): number | undefined {
    return bornOf(this.run);
  }

  /** The run was not looked at yet since it was opened from its journal, if it was. */
  get isCold(): boolean {
    return this.#opened?.isCold ?? true;
  }

  /** The run is looked at. */
  warm(): void {
    this.#open().isCold = false;
  }

  isCurrent(run: Run): boolean {
    return this.#opened?.run === run;
  }

  /**
   * Begins a run without looking whether there is one: its first row makes the journal, or the storage refuses it.
   * False where it did: nothing has happened, and the caller has to look.
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

  /** Gives up a run that could not be written. */
  forget(): void {
    this.#opened = null;
  }

  /** Removes all that is stored, and what is known of it. */
  async clear(): Promise<void> {
    await this.#ctx.storage.deleteAll();
    this.followers.tell("gone");
    this.meter = this.#newMeter();
    this.forget();
  }

  /** Writes a run that has come from elsewhere, all of it or nothing. @throws what the storage throws */
  install(arrived: Arrived): void {
    const { end } = arrived.state;
    const journal = this.openJournal();
    this.#ctx.storage.transactionSync(() => {
      for (const commit of commitsOf(arrived)) journal.append(commit);
      if (end !== null) markExported(this.#ctx.storage.kv, end);
    });
    this.forget();
    // It goes on from what the run took before.
    this.meter = this.#newMeter();
    const { created, imported } = this.run.state;
    if (imported !== null) this.log.note([imported], created);
  }

  /** Why the journal cannot be read, where its content is at fault; null where it can. @throws key_missing, config_invalid */
  damage(): HoldfastError | null {
    try {
      void this.run;
      return null;
    } catch (error) {
      if (isDamage(error)) return error;
      throw error;
    }
  }

  /** The journal as it is stored, whether or not it can be read. @param expected there may be one */
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
    const world = createWorld(() => this.life(), this.#startRun);
    const observed = new ObservedJournal(journal, {
      admit: () => this.#refuseFormer(run),
      measure: (entries) => this.meter.record(entries),
      heard: (entries) => this.#recorded(entries),
    });
    const run = new Run(observed, world, this.#find);
    run.measure = () => this.meter.usage;
    return { run, journal, children: world.children, isCold: true };
  }

  /** Keeps a run that was given up from writing. @throws HoldfastError run_not_found where it was removed; else another error */
  #refuseFormer(run: Run): void {
    if (this.isCurrent(run)) return;
    throw this.bornAt === bornOf(run) ? new Error("this memory of the run was given up") : gone();
  }

  /** Every commit of the run passes here once it is written. */
  #recorded(entries: readonly Entry[]): void {
    this.followers.tellCommit(entries);
    this.log.note(entries, this.#opened?.run.state.created ?? null);
  }

  #newMeter(): Meter {
    return new Meter(() => this.#ctx.storage.sql.databaseSize);
  }
}

function bornOf({ state: { created } }: Run): number | undefined {
  return created === null ? undefined : bornAt(created);
}

/** The run was removed while a call of it was under way. */
export function gone(): HoldfastError {
  return new HoldfastError("run_not_found", "the run was removed meanwhile");
}
