/**
 * Owns: what a run owes to the runs it is related to: telling its parent of its end, and stopping the
 * children that nobody waits for any more; again and again until it is done.
 * Does not own: what the parent makes of it (engine/news), reaching the children (children).
 * Invariant 1: a debt that was not paid is due again at a time it names, also in a later life: what it
 * owes, a run's journal tells. One that was paid by an earlier life is paid once more, which does no harm.
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

/** The parent may have to be read from its journal first. */
const patienceMs = 60_000;
const longestPauseMs = 3_600_000;

/** `pay` answers when it is to be paid once more, epoch ms; null where it is paid. */
type Debt = { readonly key: string; readonly pay: () => Promise<number | null> };
/** Whoever hosts the run. */
type Listener = {
  stopped(child: ChildRun, policy: ChildPolicy): void;
  /** A debt was paid, or could not be. */
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

  /** Something is being told: this memory has to stay for the answers. */
  get busy(): boolean {
    return this.#paying > 0;
  }

  /** Begins what is due; answers when more will be, null where nothing is left to begin. Epoch ms. */
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
      // One that is to be stopped once more, after the run was tried again, is another debt.
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
    // The run, tried again meanwhile, may have it go on.
    const isOwed = straysOf(this.#run.state).some((owed) => owed.child.id === child.id);
    if (isOwed) {
      const found = await Promise.all([...ids].map((id) => this.#children.stop(id, policy)));
      const againAt = found.includes(true) ? null : lookAgainAt(stray, Date.now());
      if (againAt !== null) return againAt;
      this.#listener.stopped(child, policy);
    }
    // It is no longer owed, being on record or no stray; should it ever be again, it is a new debt.
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
