/**
 * Owns: the messages of a run to its relatives: reporting its end to its parent, and stopping orphaned children, with retries.
 * Does not own: the effect on the parent (engine/child/news), calling the children (children).
 * Invariant 1: a message that failed is due again at a known time, also in a later life, because pending messages follow from
 * the journal. A message that an earlier life sent is sent once more, which has no effect.
 */
import { emptyMap, put } from "../../core/empty.ts";
import { backoffMs } from "../../core/backoff.ts";
import type { Orphan } from "../../core/state/state.ts";
import { childEnd } from "../../engine/child/news.ts";
import { orphansOf, stopOrphan } from "../../engine/child/orphans.ts";
import type { ChildPolicy, ChildRun } from "../../core/run/origin.ts";
import type { Run } from "../../engine/run.ts";
import type { Children } from "../../engine/world.ts";
import { runObject } from "../address.ts";
import { unwrap } from "../answer.ts";
import { describe, within } from "../patience.ts";

/** Allows for a parent that has to be loaded from its journal. */
const patienceMs = 60_000;
const firstPauseMs = 500;
const longestPauseMs = 3_600_000;

/** `send` returns when the message is due again, epoch ms; null if it is done. */
type Message = { readonly key: string; readonly send: () => Promise<number | null> };
/** The host of the run. */
type Listener = {
  stopped(child: ChildRun, policy: ChildPolicy): void;
  /** Called when a message was sent, or failed. */
  changed(): void;
};
type Delivery = { failures: number; state: "open" | "busy" | "sent"; dueAt: number };

export class Relatives {
  readonly #run: Run;
  readonly #children: Pick<Children, "stop">;
  readonly #listener: Listener;
  #deliveries: Map<string, Delivery> = emptyMap;
  #sending = 0;
  /** When the first message is due of those that follow from the entries up to this `seq`, epoch ms; Infinity for never. */
  #first = { seq: -1, dueAt: Infinity };

  constructor(run: Run, children: Pick<Children, "stop">, listener: Listener) {
    this.#run = run;
    this.#children = children;
    this.#listener = listener;
  }

  /** Whether a message is being sent, for whose answer this memory has to stay. */
  get busy(): boolean {
    return this.#sending > 0;
  }

  /** Sends what is due. Returns when more will be due, epoch ms; null for never. */
  attend(): number | null {
    const now = Date.now();
    const { seq } = this.#run.state;
    // There may be thousands of messages, and this is called after each.
    if (seq !== this.#first.seq || this.#first.dueAt <= now) this.#sendDue(seq, now);
    return this.#first.dueAt === Infinity ? null : this.#first.dueAt;
  }

  #sendDue(seq: number, now: number): void {
    this.#first = { seq, dueAt: Infinity };
    for (const message of this.#messages()) {
      const delivery = this.#deliveries.get(message.key) ?? { failures: 0, state: "open", dueAt: 0 };
      this.#deliveries = put(this.#deliveries, message.key, delivery);
      if (delivery.state !== "open") continue;
      if (delivery.dueAt <= now) void this.#deliver(message, delivery);
      else this.#awaitAgain(delivery);
    }
  }

  #awaitAgain({ dueAt }: Delivery): void {
    this.#first.dueAt = Math.min(this.#first.dueAt, dueAt);
  }

  /** Stops the children that still have to be stopped, because the run is about to be removed. @throws if one was not reached */
  async settle(): Promise<void> {
    const pending = this.#stops().filter(({ key }) => this.#deliveries.get(key)?.state !== "sent");
    await Promise.all(pending.map(({ orphan: { child, policy } }) => this.#children.stop(child.id, policy))).catch(
      (error: unknown) => {
        const why = `a child of the run could not be stopped: ${describe(error)}`;
        throw Object.assign(new Error(why, { cause: error }), { retryable: true });
      },
    );
  }

  async #deliver(message: Message, delivery: Delivery): Promise<void> {
    delivery.state = "busy";
    this.#sending++;
    try {
      const againAt = await message.send();
      delivery.dueAt = againAt ?? 0;
      delivery.state = againAt === null ? "sent" : "open";
    } catch (error) {
      delivery.failures++;
      delivery.dueAt = Date.now() + backoffMs(delivery.failures, firstPauseMs, longestPauseMs);
      delivery.state = "open";
      const { created } = this.#run.state;
      console.warn(`run ${created?.id} owes ${message.key}; it will try again: ${describe(error)}`);
    }
    if (delivery.state === "open") this.#awaitAgain(delivery);
    this.#sending--;
    this.#listener.changed();
  }

  #messages(): Message[] {
    const stops = this.#stops().map(({ key, orphan }): Message => ({ key, send: () => this.#stop(key, orphan) }));
    const { created, end } = this.#run.state;
    if (created?.reply === undefined || created.parent === null || end === null) return stops;
    const { parent, reply } = created;
    const key = `news of its end (${end.seq}) to parent ${parent.id}`;
    const send = () => reportEnd(parent.id, { ...reply, child: created.id, end: childEnd(end) });
    return [...stops, { key, send }];
  }

  /** A child that has to be stopped again, after a retry of the run, needs another message. */
  #stops(): { readonly key: string; readonly orphan: Orphan }[] {
    const { retriedSeq } = this.#run.state;
    return orphansOf(this.#run).map((orphan) => ({
      key: `the end of child ${orphan.child.id} (${retriedSeq})`,
      orphan,
    }));
  }

  async #stop(key: string, orphan: Orphan): Promise<number | null> {
    const againAt = await stopOrphan(this.#run, orphan, this.#children, (child, policy) => this.#note(child, policy));
    // While the run goes on, that is on record or no longer needed: to stop the child again is a new message.
    if (againAt === null && this.#run.state.end === null) this.#deliveries.delete(key);
    return againAt;
  }

  /** That a child was stopped makes no message due: else all would be gone through again for each of thousands. */
  #note(child: ChildRun, policy: ChildPolicy): void {
    const { state } = this.#run;
    const isCurrent = state.seq === this.#first.seq;
    this.#listener.stopped(child, policy);
    if (isCurrent) this.#first.seq = state.seq;
  }
}

async function reportEnd(
  parentId: string,
  news: Parameters<ReturnType<typeof runObject>["childEnded"]>[0],
): Promise<null> {
  const told = await within(runObject(parentId).childEnded(news), patienceMs);
  if (told.ok || told.refusal.code === "run_not_found") return null;
  unwrap(told);
  return null;
}
