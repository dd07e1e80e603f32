/**
 * Owns: sleeps, waits for signals and webhooks: how they begin, and what ends them.
 * Does not own: buffering (core/state), delivering outcomes (course).
 * Invariant 1: a deadline is fixed when its wait begins; replay finds it on record and never sets
 * it anew (guarantee 4).
 * Invariant 2: signals go to the oldest open wait of their name, first in first out, each once
 * (guarantee 5); a wait that timed out takes none.
 * Invariant 3: a signal whose schema takes its time is on record as consumed once the schema has answered, together with
 * that answer: every life gives it to the handler in the same place, and none asks the schema again (guarantee 3).
 */
import { emptyMap, put } from "../../core/empty.ts";
import type { EntryOf, Fact } from "../../core/history/entry.ts";
import { storeError } from "../../core/error.ts";
import type { HoldfastError } from "../../core/error.ts";
import { wasRemoved } from "../../core/state/state.ts";
import { encode } from "../../core/value/value.ts";
import type { MessageHandlers } from "../ask/handlers.ts";
import { Bell } from "../turn/bell.ts";
import { recordedCall } from "../call/call.ts";
import type { Pending } from "../call/call.ts";
import type { Calls } from "../call/calls.ts";
import type { Course } from "../turn/course.ts";
import type { MissedEvent } from "../turn/missed.ts";
import { validatePayload, schemaTimeout, payloadOf } from "./validation.ts";
import type { Validated } from "./validation.ts";
import type { Withdrawals } from "./withdrawal.ts";

/** The schema of this wait takes its time over the signal; `drop` stops waiting for it. */
type SlowValidation = { readonly wait: Pending; readonly signal: Received; readonly drop: () => void };
type Received = EntryOf<"signal.received">;

export class Waits {
  /** Webhooks whose address is being made. */
  #creating = 0;
  readonly #course: Course;
  readonly #calls: Calls;
  /** Listeners take what they hear before any wait does. */
  readonly #messageHandlers: MessageHandlers;
  readonly #withdrawals: Withdrawals;
  /** Validations that take their time, by the name of the signal; one a name. */
  #validating: Map<string, SlowValidation> = emptyMap;
  /** Rings when one of them is over. */
  readonly #validated = new Bell();
  /** Open waits by name of signal, oldest first. */
  readonly #open = new Map<string, Pending[]>();

  constructor(course: Course, calls: Calls, messageHandlers: MessageHandlers, withdrawals: Withdrawals) {
    this.#course = course;
    this.#calls = calls;
    this.#messageHandlers = messageHandlers;
    this.#withdrawals = withdrawals;
  }

  /** How many addresses are being made and payloads validated: each will post. */
  get running(): number {
    return this.#creating + this.#validating.size;
  }

  /** If a signal that came by this instant is still being validated, a promise that resolves when the next validation is over; else null. */
  validationBy(at: number): Promise<void> | null {
    const isOpen = [...this.#validating.values()].some(({ signal }) => signal.at <= at);
    return isOpen ? this.#validated.rung() : null;
  }

  /** A signal that came in time is being validated for this wait. */
  isValidating(wait: Pending): boolean {
    return this.#validating.get(wait.name)?.wait === wait;
  }

  /** @param held it was held back: what came meanwhile is handed over in its order */
  begin(pending: Pending, held: boolean): void {
    const { plan } = pending;
    switch (plan.kind) {
      case "sleep":
        return this.#beginSleep(pending, plan.wakeAt);
      case "wait":
        return this.#beginWait(pending, held);
      case "webhook":
        return this.#beginWebhook(pending, plan.timeoutMs);
      case "received":
        return this.#course.wakeBy(this.#untilOf(pending));
      case "run":
      case "undo":
      case "child":
        throw new Error(`${plan.kind} is no wait`);
      default:
        return plan satisfies never;
    }
  }

  /** The deadline of this sleep or wait has come. */
  fire(pending: Pending): void {
    const { id, name, plan } = pending;
    if (plan.kind === "sleep") return this.#course.record({ kind: "timer.fired", name, call: id });
    if (plan.kind === "wait") {
      // A signal that came in time counts, also when nobody was there to hand it over.
      const signal = this.#course.state.inboxes.get(name)?.first;
      if (signal !== undefined && signal.at <= this.#untilOf(pending) && this.#oldest(name) === pending)
        return this.#consume(name);
    }
    const [wait, marks] = plan.kind === "wait" ? (["signal", plan.marks] as const) : (["webhook", {}] as const);
    this.#course.record({ kind: "wait.timed_out", name, call: id, wait, ...marks });
  }

  /** A signal is on record: hands it over in its turn. */
  match(name: string): void {
    if ((this.#open.get(name)?.length ?? 0) > 0) this.#course.post(() => this.#consume(name));
  }

  /** The buffered signals that open waits can take. */
  missed(): MissedEvent[] {
    return [...this.#open].flatMap(([name, open]) => {
      const signals = this.#course.state.inboxes.get(name)?.list(open.length) ?? [];
      const handle = (): void => this.match(name);
      const missed = signals.map(({ at, seq }): MissedEvent => ({ at, seq, handle }));
      // The last event puts waits on record that were begun just before a pause.
      return open.length > signals.length ? [...missed, { at: Infinity, seq: Infinity, handle }] : missed;
    });
  }

  /** A signal is buffered for this wait, which has not begun. */
  hasSignal({ name, plan }: Pending): boolean {
    return plan.kind === "wait" && this.#course.state.inboxes.get(name)?.first !== undefined;
  }

  /** A signal that came by this instant is about to be handed to a wait. */
  isDue(at: number): boolean {
    for (const [name, open] of this.#open) {
      if (open.length === 0 || this.#messageHandlers.listensTo(name)) continue;
      if ((this.#course.state.inboxes.get(name)?.first?.at ?? Infinity) <= at) return true;
    }
    return false;
  }

  closed(pending: Pending): void {
    const open = this.#open.get(pending.name);
    const index = open?.indexOf(pending) ?? -1;
    if (index >= 0) open?.splice(index, 1);
    // Its signal goes to the next wait. If there is none, the run may be at rest, which an event makes known.
    if (this.isValidating(pending)) {
      this.#endValidating(pending.name);
      this.#course.post(() => this.#consume(pending.name));
    }
  }

  #beginSleep(pending: Pending, wakeAt: (now: number) => number): void {
    const { id, name } = pending;
    const known = recordedCall(this.#course.state, pending)?.until ?? null;
    if (known !== null && !wasRemoved(this.#course.state, pending.key)) return this.#course.wakeBy(known);
    const now = this.#course.ledger.now();
    const until = known ?? wakeAt(now);
    if (until <= now) return this.#course.post(() => this.#fireOnce(pending));
    this.#course.record({ kind: "timer.set", name, call: id, wakeAt: until });
    this.#course.wakeBy(until);
  }

  /** With nothing on record that would be due after a pause, it begins again then. */
  #fireOnce(pending: Pending): void {
    if (this.#calls.pending.get(pending.key) !== pending) return;
    if (this.#course.held) pending.begun = false;
    else this.fire(pending);
  }

  #beginWait(pending: Pending, held: boolean): void {
    const open = this.#open.get(pending.name);
    if (open === undefined) this.#open.set(pending.name, [pending]);
    else open.push(pending);
    this.#course.wakeBy(this.#untilOf(pending));
    const buffered = this.#course.state.inboxes.get(pending.name)?.first !== undefined;
    if (!buffered || this.#oldest(pending.name) === undefined) this.#recordWait(pending);
    else if (!held) this.match(pending.name);
  }

  /** Puts the wait on record, unless it is there; one that was marked as removed keeps its deadline. */
  #recordWait(pending: Pending): void {
    const { ledger } = this.#course;
    const { id, name, plan } = pending;
    const known = recordedCall(this.#course.state, pending);
    if (plan.kind !== "wait" || (known !== undefined && !wasRemoved(this.#course.state, pending.key))) return;
    const until = known !== undefined ? known.until : plan.timeoutMs === null ? null : ledger.now() + plan.timeoutMs;
    this.#course.record({ kind: "wait.started", name, call: id, until, ...plan.marks });
    this.#course.rested.ring();
    if (until !== null) this.#course.wakeBy(until);
  }

  #consume(name: string): void {
    const { state } = this.#course;
    if (this.#course.held) return;
    const signal = state.inboxes.get(name)?.first;
    const wait = this.#oldest(name);
    if (wait !== undefined && signal !== undefined) {
      // The signal came after this wait's deadline: the wait times out, and the next may take the signal.
      if (signal.at > this.#untilOf(wait)) {
        this.fire(wait);
        this.match(name);
      } else this.#take(wait, signal);
      return;
    }
    for (const open of this.#open.get(name) ?? []) this.#recordWait(open);
  }

  /** Gives the signal to the wait once the wait's schema has validated the payload; one at a time is validated of each name. */
  #take(wait: Pending, signal: Received): void {
    const { name, plan } = wait;
    if (this.#validating.has(name)) return this.#recordWaiting(name);
    if (plan.kind === "wait" && plan.schema !== null) {
      const { seenAt } = this.#calls;
      // The schema sees the same time as in every replay, which calls it when the handler is given the signal.
      this.#calls.seenAt = this.#course.ledger.now();
      const validated = validatePayload(wait, plan.schema, signal.payload);
      this.#calls.seenAt = seenAt;
      if (validated instanceof Promise) return this.#validate(wait, signal, validated);
      wait.validated = validated;
    }
    this.#course.record(consumed(wait, signal));
  }

  /** While one is validated, the waits behind it for which no signal is buffered go on record. */
  #recordWaiting(name: string): void {
    const count = this.#course.state.inboxes.get(name)?.count ?? 0;
    for (const open of this.#open.get(name)?.slice(count) ?? []) this.#recordWait(open);
  }

  #validate(wait: Pending, signal: Received, validated: Promise<Validated>): void {
    const { name } = wait;
    const late = (): HoldfastError => schemaTimeout("signal_invalid", payloadOf(name));
    const { made, drop } = this.#course.validations.limited(validated, late);
    const validation: SlowValidation = { wait, signal, drop };
    this.#validating = put(this.#validating, name, validation);
    const conclude = (answer: Validated): void => this.#course.post(() => this.#conclude(validation, answer));
    made.then(conclude, (error: unknown) => conclude({ error }));
  }

  #conclude(validation: SlowValidation, validated: Validated): void {
    const { wait, signal } = validation;
    const { name } = wait;
    if (this.#validating.get(name) !== validation) return;
    this.#endValidating(name);
    const { state, held } = this.#course;
    const isNext = this.#oldest(name) === wait && state.inboxes.get(name)?.first === signal;
    if (isNext && !held) this.#course.record({ ...consumed(wait, signal), ...validationOf(validated, name) });
    // A listener has taken the signal, or a pause has come, after which it is validated anew: the wait's deadline counts again.
    else this.#course.wakeBy(-Infinity);
    this.match(name);
  }

  #endValidating(name: string): void {
    this.#validating.get(name)?.drop();
    this.#validating.delete(name);
    this.#validated.ring();
  }

  #beginWebhook(pending: Pending, timeoutMs: number | null): void {
    const { world, ledger } = this.#course;
    const { id, name } = pending;
    const until = timeoutMs === null ? null : ledger.now() + timeoutMs;
    this.#creating++;
    world.hookUrl(id).then(
      (url) => this.#created(() => this.#record({ kind: "webhook.created", name, call: id, url, until })),
      (error: unknown) => this.#created(() => this.#calls.refuse(pending, error)),
    );
  }

  /** Records a webhook, and right behind it that it was withdrawn, if its branch has lost a race meanwhile. */
  #record(created: Fact): void {
    this.#course.record(created);
    if (!this.#course.over) this.#withdrawals.record();
  }

  #created(event: () => void): void {
    this.#creating--;
    this.#course.post(event);
  }

  /** Its deadline on record; Infinity for none. */
  #untilOf(pending: Pending): number {
    return recordedCall(this.#course.state, pending)?.until ?? Infinity;
  }

  /** The one that is next to get a signal; none where a listener takes them. */
  #oldest(name: string): Pending | undefined {
    if (this.#messageHandlers.listensTo(name)) return undefined;
    return this.#open.get(name)?.[0];
  }
}

/** The fact that the wait consumed this signal. */
function consumed({ name, id: call, plan }: Pending, { seq: signal }: Received) {
  return { kind: "signal.consumed", name, call, signal, ...(plan.kind === "wait" ? plan.marks : {}) } as const;
}

/** The answer of a schema that took its time, as it goes on record. */
function validationOf(validated: Validated, name: string): Pick<EntryOf<"signal.consumed">, "value" | "error"> {
  try {
    if ("value" in validated) return { value: encode(validated.value, payloadOf(name)) };
    return { error: storeError(validated.error) };
  } catch (error) {
    return { error: storeError(error) };
  }
}
