/**
 * Owns: sleeps, waits for signals and webhooks: how they begin, and what ends them.
 * Does not own: buffering (core/state), delivering outcomes (execution).
 * Invariant 1: a deadline is fixed when its wait begins; replay finds it on record and never sets
 * it anew (guarantee 4).
 * Invariant 2: signals go to the oldest open wait of their name, first in first out, each once
 * (guarantee 5); a wait that timed out takes none.
 */
import type { Fact } from "../core/entry.ts";
import type { Call, RunState } from "../core/state.ts";
import { callKey, firstSignal } from "../core/state.ts";
import type { ChildPlan, Pending, Plan, RunPlan } from "./call.ts";
import type { Ledger } from "./ledger.ts";
import type { World } from "./world.ts";

type WaitPlan = Exclude<Plan, RunPlan | ChildPlan>;

/** What waits need of the execution they are part of. */
export interface Waiter {
  readonly state: RunState;
  readonly ledger: Ledger;
  readonly world: World;
  readonly pending: ReadonlyMap<string, Pending>;
  /** Nothing may begin or fire now. */
  readonly held: boolean;
  /** Listeners take what they hear before any wait does. */
  readonly asks: { hears(name: string): boolean };
  record(fact: Fact): void;
  expect(at: number): void;
  post(event: () => void): void;
  refuse(pending: Pending, error: unknown): void;
}

export class Waits {
  /** Webhooks whose address is being made. */
  creating = 0;
  readonly #execution: Waiter;
  /** Open waits by name of signal, oldest first. */
  readonly #open = new Map<string, Pending[]>();

  constructor(execution: Waiter) {
    this.#execution = execution;
  }

  begin(pending: Pending, plan: WaitPlan): void {
    switch (plan.kind) {
      case "sleep":
        return this.#beginSleep(pending, plan.wakeAt);
      case "wait":
        return this.#beginWait(pending);
      case "webhook":
        return this.#beginWebhook(pending, plan.timeoutMs);
      case "received": {
        const until = this.#recordOf(pending)?.until ?? null;
        if (until !== null) this.#execution.expect(until);
        return;
      }
      default:
        return plan satisfies never;
    }
  }

  /** The deadline of this sleep or wait has come. */
  fire(pending: Pending): void {
    const { id, name, plan } = pending;
    if (plan.kind === "sleep") return this.#execution.record({ kind: "timer.fired", name, call: id });
    if (plan.kind === "wait") {
      // A signal that came in time counts, also when nobody was there to hand it over.
      const signal = firstSignal(this.#execution.state, name);
      const until = this.#recordOf(pending)?.until ?? Infinity;
      if (signal !== undefined && signal.at <= until && this.#oldest(name) === pending) return this.#consume(name);
    }
    const wait = plan.kind === "wait" ? "signal" : "webhook";
    this.#execution.record({ kind: "wait.timed_out", name, call: id, wait });
  }

  /** A signal is on record: hands it over in its turn. */
  match(name: string): void {
    if ((this.#open.get(name)?.length ?? 0) > 0) this.#execution.post(() => this.#consume(name));
  }

  matchAll(): void {
    for (const [name, open] of this.#open) {
      const inbox = this.#execution.state.inboxes.get(name);
      const buffered = inbox === undefined ? 0 : inbox.items.length - inbox.head;
      // Once more than there are signals: waits that were begun just before a pause are put on record.
      for (let count = Math.min(buffered + 1, open.length); count > 0; count--) this.match(name);
    }
  }

  closed(pending: Pending): void {
    const open = this.#open.get(pending.name);
    const index = open?.indexOf(pending) ?? -1;
    if (index >= 0) open?.splice(index, 1);
  }

  #beginSleep(pending: Pending, wakeAt: (now: number) => number): void {
    const { id, name } = pending;
    const known = this.#recordOf(pending)?.until ?? null;
    if (known !== null && !this.#wasRemoved(pending)) return this.#execution.expect(known);
    const now = this.#execution.ledger.now();
    const until = known ?? wakeAt(now);
    if (until <= now) return this.#execution.post(() => this.#fireOnce(pending));
    this.#execution.record({ kind: "timer.set", name, call: id, wakeAt: until });
    this.#execution.expect(until);
  }

  #fireOnce(pending: Pending): void {
    if (this.#execution.pending.get(pending.key) === pending) this.fire(pending);
  }

  #beginWait(pending: Pending): void {
    const open = this.#open.get(pending.name);
    if (open === undefined) this.#open.set(pending.name, [pending]);
    else open.push(pending);
    const known = this.#recordOf(pending)?.until ?? null;
    if (known !== null) this.#execution.expect(known);
    const buffered = firstSignal(this.#execution.state, pending.name) !== undefined;
    if (buffered && this.#oldest(pending.name) !== undefined) this.match(pending.name);
    else this.#recordWait(pending);
  }

  /** Puts the wait on record, unless it is already; one that was taken for removed keeps its deadline. */
  #recordWait(pending: Pending): void {
    const { ledger } = this.#execution;
    const { id, name, plan } = pending;
    const known = this.#recordOf(pending);
    if (plan.kind !== "wait" || (known !== undefined && !this.#wasRemoved(pending))) return;
    const until = known !== undefined ? known.until : plan.timeoutMs === null ? null : ledger.now() + plan.timeoutMs;
    this.#execution.record({ kind: "wait.started", name, call: id, until });
    if (until !== null) this.#execution.expect(until);
  }

  #consume(name: string): void {
    const { state } = this.#execution;
    if (this.#execution.held) return;
    const signal = firstSignal(state, name);
    const wait = this.#oldest(name);
    if (wait !== undefined && signal !== undefined) {
      const until = this.#recordOf(wait)?.until ?? Infinity;
      // It came after this wait's time: the wait ends without it, and the next may have it.
      if (signal.at > until) {
        this.fire(wait);
        this.match(name);
      } else this.#execution.record({ kind: "signal.consumed", name, call: wait.id, signal: signal.seq });
      return;
    }
    for (const open of this.#open.get(name) ?? []) this.#recordWait(open);
  }

  #beginWebhook(pending: Pending, timeoutMs: number | null): void {
    const { world, ledger } = this.#execution;
    const { id, name } = pending;
    const until = timeoutMs === null ? null : ledger.now() + timeoutMs;
    this.creating++;
    world.hookUrl(id).then(
      (url) => this.#created(() => this.#execution.record({ kind: "webhook.created", name, call: id, url, until })),
      (error: unknown) => this.#created(() => this.#execution.refuse(pending, error)),
    );
  }

  #created(event: () => void): void {
    this.creating--;
    this.#execution.post(event);
  }

  /** The one that is next to get a signal; none where a listener takes them. */
  #oldest(name: string): Pending | undefined {
    if (this.#execution.asks.hears(name)) return undefined;
    return this.#open.get(name)?.[0];
  }

  #wasRemoved({ key }: Pending): boolean {
    return this.#execution.state.marked.has(`step.removed:${key}`);
  }

  #recordOf(pending: Pending): Call | undefined {
    const kind = pending.plan.kind === "received" ? "webhook" : pending.plan.kind;
    return this.#execution.state.calls.get(callKey(kind, pending.id));
  }
}
