/**
 * Owns: everything that a run owes to others: reports to the directory and the scheduler (reporter), word to its parent
 * and its children (relatives), spans for the collector (exporter), and word of its end to subscribers (notifier).
 * Does not own: what each debt is and how it is paid, which is theirs; the alarm, and what becomes of the run (host).
 *
 * Invariants
 * 1. What is owed is being paid, and `busy` says so, or is due at an instant that `attend` or `report` answers.
 * 2. A memory that was given up puts nothing on record: the next one owes the same.
 */
import { isOfBackfill } from "../core/schedule.ts";
import type { Run } from "../engine/run.ts";
import type { Children } from "../engine/world.ts";
import type { SqlJournal } from "../store/journal.ts";
import type { Receive } from "./broadcast.ts";
import { Exporter } from "./exporter.ts";
import { Relatives } from "./relatives.ts";
import type { Meter } from "./meter.ts";
import { Notifier } from "./notifier.ts";
import { Reporter } from "./reporter.ts";
import { earlier } from "./timer.ts";

/** Whoever hosts the run. */
type Debtor = {
  readonly run: Run;
  readonly journal: SqlJournal;
  readonly kv: SyncKvStorage;
  readonly children: Pick<Children, "stop">;
  readonly receive: Receive;
  meter(): Meter;
  /** This memory still speaks for the run. */
  isCurrent(): boolean;
  /** A debt was paid, or could not be. */
  changed(): void;
};

export class Debts {
  readonly run: Run;
  readonly #reporter: Reporter;
  readonly #relatives: Relatives;
  readonly #exporter: Exporter;
  readonly #notifier: Notifier;

  constructor(debtor: Debtor) {
    const { run, journal, kv, children, receive } = debtor;
    const changed = (): void => debtor.changed();
    const state = (): Run["state"] => run.state;
    this.run = run;
    this.#relatives = new Relatives(run, children, {
      stopped: (child, policy) => debtor.isCurrent() && run.noteStopped(child, policy),
      changed,
    });
    this.#exporter = new Exporter(journal, kv, { state, wrote: () => debtor.meter().wrote(1), changed });
    this.#notifier = new Notifier({
      state,
      note: (started) => debtor.isCurrent() && run.append({ kind: "notice.started", ...started }),
      changed,
    });
    const reported = (rows: number | undefined): void => debtor.meter().reported(rows);
    this.#reporter = new Reporter({ receive, safe: () => this.#safe(journal), changed, reported });
  }

  /** Something is under way: this memory has to stay for the answer. */
  get busy(): boolean {
    return this.#relatives.busy || this.#exporter.busy || this.#notifier.busy || this.#reporter.busy;
  }

  /**
   * Begins what is due, the report aside; answers when more will be, epoch ms; null where nothing is left to begin.
   * @param expired the run is not kept any longer
   */
  attend(expired: boolean): number | null {
    const told = earlier(this.#relatives.attend(), this.#exporter.attend(expired));
    return earlier(told, earlier(this.#notifier.attend(), this.#tellScheduler()));
  }

  /** A schedule that started it is of this deployment, unless the run came from elsewhere. */
  #tellScheduler(): number | null {
    const { created, end, imported } = this.run.state;
    if (end === null || imported !== null || created === null || created.schedule === null) return null;
    return this.#reporter.attendEnd(this.run.glance());
  }

  /** The run has ended and is about to go on again. @throws when its schedule could not be told, in whose way it is then */
  async revive(): Promise<void> {
    const { created, imported } = this.run.state;
    if (imported !== null || created === null || created.schedule === null) return;
    if (!isOfBackfill(created, created.schedule)) await this.#reporter.revive(this.run.glance());
  }

  /** Begins the report to the directory if it is due; answers as `attend` does. @param busy the run is at work */
  report(busy: boolean): number | null {
    const run = this.run;
    return this.#reporter.attend(run.glance(), () => run.snapshot(), run.state.created?.shards, busy);
  }

  /** Has the run listed as it is now, whatever was told before. @throws when the directory was not reached */
  async renew(): Promise<void> {
    const run = this.run;
    await this.#reporter.renew(() => run.snapshot(), run.state.created?.shards);
  }

  /** Whether nobody reads here any more what they tell of its ends. @throws where one of them was not reached */
  async settled(): Promise<boolean> {
    return await this.#notifier.settled();
  }

  /** Resolves once all that is on record is safe, what came meanwhile included. */
  async #safe(journal: SqlJournal): Promise<void> {
    for (let seq: number | null = null; seq !== this.run.state.seq;) {
      seq = this.run.state.seq;
      await journal.durable();
    }
  }

  /** The run is being removed. */
  stop(): void {
    this.#exporter.stop();
  }
}
