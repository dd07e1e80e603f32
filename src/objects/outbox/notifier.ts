/**
 * Owns: notifying the subscribers of an ended run: starting a run of the workflow `notice` for each.
 * Does not own: the delivery (notice), keeping the object in memory meanwhile (host).
 *
 * Invariants
 * 1. It delays nothing: a run is answered, retried and listed without waiting for it.
 * 2. The journal is the outbox: ends without a `notice.started` are pending, also if the run was retried since. A notice that
 *    an earlier life started without recording it is found by its id, and recorded.
 * 3. A run is kept after its retention while its notices are being delivered, but a deletion does not wait for them.
 * 4. The deployment that recorded an end delivers its notices.
 */
import type { ErrorCode } from "../../core/code.ts";
import type { EntryOf } from "../../core/history/entry.ts";
import { isEnded } from "../../core/run/run.ts";
import type { RunState } from "../../core/state/state.ts";
import { runObject } from "../address.ts";
import { unwrap } from "../answer.ts";
import { notice, noticeStart } from "../builtin/notice.ts";
import { backoff, describe, within } from "../patience.ts";
import { startRun } from "../service.ts";
import { turn } from "../run/turn.ts";

const callLimitMs = 30_000;
const longestPauseMs = 3_600_000;

/** Codes of a notice's run that delivers nothing any more: it was removed, or is damaged. */
const endedCodes: ReadonlySet<ErrorCode> = new Set(["run_not_found", "journal_corrupt"]);

/** The host of the run. */
type Owner = {
  readonly state: RunState;
  /** Records that the run `run` notifies the address of the end `of`; not if the object has another run by now. */
  note(notice: { readonly url: string; readonly of: number; readonly run: string }): void;
  /** Called when a notice was started, or that failed. */
  changed(): void;
};

export class Notifier {
  readonly #owner: Owner;
  #failures = 0;
  #dueAt = 0;
  busy = false;

  constructor(owner: Owner) {
    this.#owner = owner;
  }

  /** Starts the notices that are due. Returns when more will be due, epoch ms; null for never. */
  attend(): number | null {
    const { created, pendingNotices: untold } = this.#owner.state;
    if (created === null || untold.size === 0 || this.busy) return null;
    if (this.#dueAt > Date.now()) return this.#dueAt;
    this.busy = true;
    void this.#startNotices(created);
    return null;
  }

  /** Whether all runs that deliver its notices have ended: until then they read the end from this run. @throws */
  async settled(): Promise<boolean> {
    for (const id of this.#owner.state.notices) {
      const found = await within(runObject(id).read(0), callLimitMs);
      if (!found.ok && endedCodes.has(found.refusal.code)) continue;
      if (!isEnded(unwrap(found).status)) return false;
    }
    return true;
  }

  async #startNotices(created: EntryOf<"run.created">): Promise<void> {
    try {
      // Callers that wait for the end are answered first.
      await turn();
      const pending = [...this.#owner.state.pendingNotices].flatMap(([of, urls]) =>
        [...urls].map((url) => ({ of, url })),
      );
      for (const each of pending) {
        const { run } = await within(startRun(notice, await noticeStart(created, each.of, each.url)), callLimitMs);
        // A run that was restarted meanwhile does not have that end any more.
        if (this.#owner.state.pendingNotices.get(each.of)?.has(each.url) === true)
          this.#owner.note({ ...each, run: run.id });
      }
      this.#failures = 0;
    } catch (error) {
      this.#failures++;
      this.#dueAt = Date.now() + backoff(this.#failures, longestPauseMs);
      console.warn(`run ${created.id} owes word of its end; it will try again: ${describe(error)}`);
    }
    this.busy = false;
    this.#owner.changed();
  }
}
