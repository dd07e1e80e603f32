/**
 * Owns: what a run that has ended owes to those who are to be told: starting, for each, the run that tells them.
 * Does not own: telling them (notice), keeping the memory meanwhile (host).
 *
 * Invariants
 * 1. It holds nothing up: a run is answered, retried and listed without waiting for it.
 * 2. The journal is the outbox: what is owed are ends without a `notice.started`, also of a run that was tried again
 * since. What an earlier life started and did not note is found by its id, and noted.
 * 3. A run whose retention is over stays for as long as its end is still being told; one that somebody deletes does not.
 * 4. An end that another deployment recorded is told there.
 */
import type { ErrorCode } from "../core/code.ts";
import type { EntryOf } from "../core/entry.ts";
import { isEnded } from "../core/run.ts";
import type { RunState } from "../core/state.ts";
import { runObject } from "./address.ts";
import { unwrap } from "./answer.ts";
import { notice, noticeStart } from "./notice.ts";
import { backoff, describe, within } from "./patience.ts";
import { startRun } from "./service.ts";
import { turn } from "./turn.ts";

const callLimitMs = 30_000;
const longestPauseMs = 3_600_000;

/** Of a run that tells nobody anything any more: it is gone, or nobody can make one of its journal. */
const mute: ReadonlySet<ErrorCode> = new Set(["run_not_found", "journal_corrupt", "journal_newer"]);

/** Whoever hosts the run. */
type Owner = {
  state(): RunState;
  /** Puts on record that the run `run` tells the address of the end `of`; not where the run is another by now. */
  note(notice: { readonly url: string; readonly of: number; readonly run: string }): void;
  /** A debt was paid, or could not be. */
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

  /** Begins what is due; answers when more will be, epoch ms; null where nothing is left to begin. */
  attend(): number | null {
    const { created, untold } = this.#owner.state();
    if (created === null || untold.size === 0 || this.busy) return null;
    if (this.#dueAt > Date.now()) return this.#dueAt;
    this.busy = true;
    void this.#pay(created);
    return null;
  }

  /** Whether all that tell its ends have come to their own: while they have not, they read them here. @throws */
  async settled(): Promise<boolean> {
    for (const id of this.#owner.state().notices) {
      const found = await within(runObject(id).read(0), callLimitMs);
      if (!found.ok && mute.has(found.refusal.code)) continue;
      if (!isEnded(unwrap(found).status)) return false;
    }
    return true;
  }

  async #pay(created: EntryOf<"run.created">): Promise<void> {
    try {
      // Whoever waits for the end hears of it first.
      await turn();
      const owed = [...this.#owner.state().untold].flatMap(([of, urls]) => [...urls].map((url) => ({ of, url })));
      for (const debt of owed) {
        const { run } = await within(startRun(notice, await noticeStart(created, debt.of, debt.url)), callLimitMs);
        // An instance that was restarted meanwhile has that end no more.
        if (this.#owner.state().untold.get(debt.of)?.has(debt.url) === true) this.#owner.note({ ...debt, run: run.id });
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
