/**
 * Owns: telling the directory, and the scheduler where it started the run, what became of a run:
 * merged, in order, and again until it was heard.
 * Does not own: what is told (core/snapshot), or when the run is looked at.
 */
import type { RunSnapshot, RunSummary } from "../core/run.ts";
import { isEnded } from "../core/run.ts";
import { directoryOf, schedulerObject } from "./address.ts";
import { claimOffers } from "./broadcast.ts";
import type { Receive } from "./broadcast.ts";

/** A change of a run that goes on is told this long after the one before, at the earliest. */
const intervalMs = 500;
/** A run that is at work is listed after this long, and so is a signal it waits for, should it not rest by then. */
const patienceMs = 250;
const longestBackoffMs = 60_000;

export class Reporter {
  #told = "";
  #toldNames: ReadonlySet<string> = new Set();
  #toldAt = 0;
  #failures = 0;
  #retryAt = 0;

  /** When the run as it is should be told; null when nobody needs to hear it. */
  dueAt(run: RunSnapshot, busy: boolean): number | null {
    if (digest(run) === this.#told) return null;
    if (this.#failures > 0) return this.#retryAt;
    if (isEnded(run.status)) return 0;
    // A broadcast reaches the runs that are known to wait, so a new name is told soon, at rest at once.
    const unheard = run.waitingFor.find(({ kind, name }) => kind === "signal" && !this.#toldNames.has(name));
    if (busy) {
      const from = this.#told === "" ? run.createdAt : unheard?.since;
      return from === undefined ? null : from + patienceMs;
    }
    return unheard !== undefined || this.#told === "" ? 0 : this.#toldAt + intervalMs;
  }

  /** Tells; hands the signals that waited for this run to `receive`. A failure is noted and told again later. */
  async tell(run: RunSnapshot, receive: Receive): Promise<void> {
    const told = digest(run);
    try {
      const { offers } = await directoryOf(run.id).report(summary(run));
      // A fork has the firing of the run it comes from, and is no run of the schedule.
      if (run.schedule !== null && run.fork === null && isEnded(run.status)) {
        const end = { status: run.status, at: run.finishedAt ?? run.updatedAt };
        await schedulerObject().ended(run.schedule, run.id, end);
      }
      if (offers.length > 0) await claimOffers(run.id, offers, receive);
      this.#told = told;
      this.#toldNames = new Set(signalNames(run));
      this.#toldAt = Date.now();
      this.#failures = 0;
    } catch (error) {
      this.#failures++;
      this.#retryAt = Date.now() + Math.min(longestBackoffMs, 500 * 2 ** this.#failures);
      console.error(`run ${run.id} could not be reported; it will be again`, error);
    }
  }
}

/** What the directory shows of the run, as text: when it is the same, there is nothing to tell. */
function digest({ status, waitingFor }: RunSnapshot): string {
  return JSON.stringify([status, waitingFor]);
}

function signalNames({ waitingFor }: RunSnapshot): string[] {
  return waitingFor.filter(({ kind }) => kind === "signal").map(({ name }) => name);
}

function summary(run: RunSnapshot): RunSummary {
  const { input: _input, output: _output, progress: _progress, active: _active, ...rest } = run;
  return rest;
}
