/**
 * Owns: the messages of a run to its relatives: reporting its end to its parent, and stopping orphaned children, with retries.
 * Does not own: the effect on the parent (engine/news), calling the children (children).
 * Invariant 1: a message that failed is due again at a known time, also in a later life, because pending messages follow from
 * the journal. A message that an earlier life sent is sent once more, which has no effect.
 */
import { lookAgainAt, straysOf } from "../core/child.ts";
import type { Orphan } from "../core/state.ts";
import { childEnd } from "../engine/news.ts";
import type { ChildPolicy, ChildRun } from "../core/origin.ts";
import type { Run } from "../engine/run.ts";
import type { Children } from "../engine/world.ts";
import { runObject } from "./address.ts";
import { unwrap } from "./answer.ts";
import { describe, within } from "./patience.ts";

/** Allows for a parent that has to be loaded from its journal. */
const patienceMs = 60_000;
const longestPauseMs = 3_600_000;

/** `pay` answers when the message is due once more, epoch ms; null where it has been sent. */
type Debt = { readonly key: string; readonly pay: () => Promise<number | null> };
/** The host of the run. */
type Listener = {
  stopped(child: ChildRun, policy: ChildPolicy): void;
  /** Called when a message was sent, or failed. */
  changed(): void;
};
type Account = { failures: number; state: "open" | "busy" | "paid"; dueAt: number };

export class Relatives {
  readonly #run: Run;
  readonly #children: Pick<Children, "stop">;
  readonly #listener: Listener;
  readonly #accounts = new Map<string, Account>();
  #paying = 0;

  constructor(run: Run, children: Pick<Children, "stop">, listener: Listener) {
    this.#run = run;
    this.#children = children;
    this.#listener = listener;
  }

  /** Whether a message is being sent, for whose answer this memory has to stay. */
  get busy(): boolean {
    return this.#paying > 0;
  }

  /** Sends what is due. Returns when more will be due, epoch ms; null for never. */
  attend(): number | null {
    const now = Date.now();
    let dueAt = Infinity;
    for (const debt of this.#debts()) {
      const account = this.#accounts.get(debt.key) ?? { failures: 0, state: "open", dueAt: 0 };
      this.#accounts.set(debt.key, account);
      if (account.state !== "open") continue;
      if (account.dueAt <= now) void this.#pay(debt, account);
      else dueAt = Math.min(dueAt, account.dueAt);
    }
    return dueAt === Infinity ? null : dueAt;
  }

  async #pay(debt: Debt, account: Account): Promise<void> {
    account.state = "busy";
    this.#paying++;
    try {
      const againAt = await debt.pay();
      account.dueAt = againAt ?? 0;
      account.state = againAt === null ? "paid" : "open";
    } catch (error) {
      account.failures++;
      account.dueAt = Date.now() + Math.min(longestPauseMs, 250 * 2 ** account.failures);
      account.state = "open";
      const { created } = this.#run.state;
      console.warn(`run ${created?.id} owes ${debt.key}; it will try again: ${describe(error)}`);
    }
    this.#paying--;
    this.#listener.changed();
  }

  *#debts(): Iterable<Debt> {
    const { state } = this.#run;
    for (const stray of straysOf(state)) {
      // A child that has to be stopped again, after a retry of the run, needs another message.
      const key = `the end of child ${stray.child.id} (${state.retriedSeq})`;
      yield { key, pay: () => this.#stop(key, stray) };
    }
    const { created, end } = state;
    if (created?.reply === undefined || created.parent === null || end === null) return;
    const { parent, reply } = created;
    const key = `news of its end (${end.seq}) to parent ${parent.id}`;
    yield { key, pay: () => tell(parent.id, { ...reply, child: created.id, end: childEnd(end) }) };
  }

  async #stop(key: string, stray: Orphan): Promise<number | null> {
    const { child, policy } = stray;
    const ids = await this.#run.starts.madeOf(child.id);
    // The run may have been retried meanwhile, and wait for the child again.
    const isOwed = straysOf(this.#run.state).some((owed) => owed.child.id === child.id);
    if (isOwed) {
      const found = await Promise.all([...ids].map((id) => this.#children.stop(id, policy)));
      const againAt = found.includes(true) ? null : lookAgainAt(stray, Date.now());
      if (againAt !== null) return againAt;
      this.#listener.stopped(child, policy);
    }
    // It was recorded, or is not needed any more. If the child has to be stopped again, that is a new message.
    if (!isOwed || !this.#run.state.orphans.has(child.id)) this.#accounts.delete(key);
    return null;
  }
}

async function tell(parentId: string, news: Parameters<ReturnType<typeof runObject>["childEnded"]>[0]): Promise<null> {
  const told = await within(runObject(parentId).childEnded(news), patienceMs);
  if (told.ok || told.refusal.code === "run_ended" || told.refusal.code === "run_not_found") return null;
  unwrap(told);
  return null;
}
