/**
 * Owns: all pending messages of a run to others: reports to the directory and the scheduler (reporter), messages to its parent
 * and its children (relatives), spans for the collector (exporter), and notices of its end to subscribers (notifier).
 * Does not own: the content and delivery of each, which these modules own; the alarm and the run's life cycle (host).
 *
 * Invariants
 * 1. A pending message is either being sent, which `busy` shows, or due at an instant that `attend` or `report` returns.
 * 2. A memory that was given up records nothing: the next one has the same pending messages.
 */
import type { FactOf } from "../../core/history/entry.ts";
import type { ChildPolicy, ChildRun } from "../../core/run/origin.ts";
import type { RunState } from "../../core/state/state.ts";
import type { Run } from "../../engine/run.ts";
import type { Children } from "../../engine/world.ts";
import type { SqlJournal } from "../../store/journal.ts";
import type { Receive } from "../directory/broadcast.ts";
import { Exporter } from "./exporter.ts";
import { Relatives } from "./relatives.ts";
import type { Meter } from "../meter.ts";
import { Notifier } from "./notifier.ts";
import { Reporter } from "./reporter.ts";
import { earliest } from "../run/timer.ts";

/** The host of the run. */
type OutboxHost = {
  readonly run: Run;
  readonly journal: SqlJournal;
  readonly storage: Pick<DurableObjectStorage, "kv">;
  readonly children: Pick<Children, "stop">;
  readonly receive: Receive;
  meter(): Meter;
  /** Whether this memory is still the current one of the run. */
  isCurrent(): boolean;
  /** Called when a message was sent, or failed. */
  changed(): void;
};

/** The host of all its parts, which is what its methods are for that send nothing. */
export class Outbox {
  readonly run: Run;
  readonly receive: Receive;
  readonly #host: OutboxHost;
  readonly #reporter: Reporter;
  readonly #relatives: Relatives;
  readonly #exporter: Exporter;
  readonly #notifier: Notifier;

  constructor(host: OutboxHost) {
    const { run, journal, storage, children, receive } = host;
    this.run = run;
    this.receive = receive;
    this.#host = host;
    this.#relatives = new Relatives(run, children, this);
    this.#exporter = new Exporter(journal, storage, this);
    this.#notifier = new Notifier(this);
    this.#reporter = new Reporter(this);
  }

  get state(): RunState {
    return this.run.state;
  }

  stopped(child: ChildRun, policy: ChildPolicy): void {
    if (this.#host.isCurrent()) this.run.noteStopped(child, policy);
  }

  note(started: Omit<FactOf<"notice.started">, "kind">): void {
    if (this.#host.isCurrent()) this.run.append({ kind: "notice.started", ...started });
  }

  wrote(): void {
    this.#host.meter().wrote(1);
  }

  reported(rows: number | undefined): void {
    this.#host.meter().reported(rows);
  }

  changed(): void {
    this.#host.changed();
  }

  /** Resolves when all entries are durable, including those recorded meanwhile. */
  async safe(): Promise<void> {
    for (let seq: number | null = null; seq !== this.state.seq;) {
      seq = this.state.seq;
      await this.#host.journal.durable();
    }
  }

  /** Whether a message is being sent, for whose answer this memory has to stay. */
  get busy(): boolean {
    return this.#relatives.busy || this.#exporter.busy || this.#notifier.busy || this.#reporter.busy;
  }

  /**
   * Sends what is due, except for the report. Returns when more will be due, epoch ms; null for never.
   * @param expired whether the retention of the run is over
   */
  attend(expired: boolean): number | null {
    return earliest(
      this.#relatives.attend(),
      this.#exporter.attend(expired),
      this.#notifier.attend(),
      this.#reporter.attendEnd(),
    );
  }

  /** Called before an ended run is reopened. @throws if its schedule, whose overlap rule counts the run, was not reached */
  async revive(): Promise<void> {
    await this.#reporter.revive();
  }

  /** Sends the report to the directory if it is due; returns as `attend` does. @param busy whether the run is executing */
  report(busy: boolean): number | null {
    return this.#reporter.attend(busy);
  }

  /** Reports the run again, even if nothing changed. @throws if the directory was not reached */
  async renew(): Promise<void> {
    await this.#reporter.renew();
  }

  /** Whether all notices of its ends are over, so that none needs this run. @throws if the run of one was not reached */
  async settled(): Promise<boolean> {
    return await this.#notifier.settled();
  }

  /** Called when the run is being removed. */
  stop(): void {
    this.#exporter.stop();
  }

  /** Sends what nobody could send after the removal of the run. @throws if that failed */
  async settle(): Promise<void> {
    await this.#relatives.settle();
  }
}
