/**
 * Owns: the open calls of a handler: the promise of each, from the moment it is made to its outcome.
 * Does not own: carrying them out (work).
 * Invariant 1: a call is settled by an outcome on record, or rejected because it cannot be made, and by nothing else;
 * suspension is a promise that stays pending.
 */
import { added, emptySet } from "../../core/empty.ts";
import type { Definition } from "../../core/definition/definition.ts";
import { HoldfastError, reviveError } from "../../core/error.ts";
import { toCallId } from "../../core/name.ts";
import type { ResolvedRetry } from "../../core/definition/retry.ts";
import { callKey } from "../../core/state/state.ts";
import type { Outcome } from "../../core/state/state.ts";
import { decode } from "../../core/value/value.ts";
import type { Stored } from "../../core/value/value.ts";
import type { Webhook, WebhookCall, WebhookOptions } from "../../core/webhook/webhook.ts";
import { recordKind } from "./call.ts";
import type { Pending, Plan, RunPlan } from "./call.ts";
import type { Course } from "../turn/course.ts";
import type { Errors } from "../errors.ts";
import { Occurrences } from "./occurrences.ts";
import { checkPlace, currentScope, isWithdrawn, rootOf, rootScope, insideOf } from "./scope.ts";
import type { Scope } from "./scope.ts";
import { validatePayload, schemaTimeout, payloadOf } from "../wait/validation.ts";
import type { Validated } from "../wait/validation.ts";

/** How many waits of a cancelled handler are rejected before they stay pending: it might wait again in an endless loop. */
const patience = 100;
/** How many calls in a row may be refused: more than any fan-out makes. */
const mostRefusals = 100_000;

/** The execution whose calls they are. */
export interface CallsOwner {
  /** The policy of steps that set none of their own. */
  readonly retry: ResolvedRetry;
  /** A call was made. @param fresh false where its outcome is on record already */
  opened(pending: Pending, fresh: boolean): void;
  closed(pending: Pending): void;
  /** Nothing waits for the call: its branch lost a race. @param inVain the call was made after that */
  withdrawn(pending: Pick<Pending, "id" | "plan" | "begun">, inVain: boolean): void;
}

type Cancellation = Extract<Outcome["settle"], { kind: "cancelled" }>;
type Undoable = Pick<Pending, "asyncContext"> & { readonly plan: RunPlan; readonly result: Stored };

export class Calls {
  readonly pending = new Map<string, Pending>();
  /** The handler has had several calls open at once, other than those of one map. */
  concurrent = false;
  /** The map that made the open calls; null where the handler itself made the first of them. */
  #sole: object | null = null;
  /** Keys of calls that nobody awaits: open when the handler ended or, in replay, a branch lost or a cancel came. */
  left: Set<string> = emptySet;
  /** The scope of what is in no branch of a race. */
  readonly root: Scope;
  /** What the completed steps that can be undone need for it, by step. */
  readonly #undoable = new Map<string, Undoable>();
  /** Set once the run is cancelled: from then on the handler may clean up, but its waits are rejected. */
  #cancelled: Cancellation | null = null;
  /** How many waits it made since. */
  #refusedWaits = 0;
  /** Calls that could not be made since the handler was last given an outcome. */
  #refusals = 0;
  /** The handler can do nothing more: what it calls stays pending. */
  frozen = false;
  /** A schema is called again in replay: what it publishes is already on record, ahead of the outcome. */
  repeating = false;
  /** The instant of the newest outcome the handler has seen. */
  seenAt: number;
  /** The newest entry that it was given. */
  seenSeq: number;
  readonly #course: Course;
  readonly #owner: CallsOwner;
  readonly #errors: Errors;
  readonly #occurrences: Occurrences;

  constructor(course: Course, owner: CallsOwner, errors: Errors, limits: Definition["limits"]) {
    this.#course = course;
    this.#owner = owner;
    this.#errors = errors;
    this.#occurrences = new Occurrences(limits);
    this.root = rootScope(course.state.created?.id ?? null);
    this.seenAt = course.state.startedAt ?? course.state.at;
    this.seenSeq = course.state.created?.seq ?? 0;
  }

  /** Where the handler is: in a branch of a race, inside of a step. */
  get scope(): Scope {
    const scope = currentScope();
    // Code of another run may have called back into this one.
    return scope === undefined || rootOf(scope) !== this.root ? this.root : scope;
  }

  /** The step, undo or schema inside of which the code runs, in words; null outside of all. */
  get inside(): string | null {
    return insideOf(this.scope);
  }

  /** The code runs in a branch that lost its race: nothing waits for what it calls. */
  get isInVain(): boolean {
    return isWithdrawn(this.scope);
  }

  get made(): number {
    return this.#occurrences.made;
  }

  /**
   * Stays pending for ever once the run has ended.
   * @param of the map that makes the call: the handler reacts only to the map's last outcome
   * @throws HoldfastError limit_exceeded, step_nested
   */
  make(name: string, plan: Plan, of: object | null = null): Promise<unknown> {
    const { scope } = this;
    checkPlace(scope, name);
    if (this.#course.over || this.frozen) return new Promise(() => {});
    const id = toCallId(name, this.#occurrences.count(plan.kind, name));
    if (this.#cancelled !== null && isWait(plan)) return this.#refuseWait(this.#cancelled);
    if (isWithdrawn(scope)) return this.#callInVain(id, plan);
    return this.#open({ key: callKey(recordKind(plan), id), id, name, plan, scope }, of);
  }

  /** A call cannot be made. False where that were too many in a row. */
  refuses(): boolean {
    return ++this.#refusals <= mostRefusals;
  }

  /** Undoes a completed step: a call like any other, which rejects when it fails for good. */
  undo(step: string): Promise<unknown> {
    const { plan, result, asyncContext } = this.#undoable.get(step) ?? { plan: null, result: null };
    const fn: RunPlan["fn"] = (context) => {
      if (plan !== null && plan.undo !== null) return plan.undo(decode(result) as never, context);
      throw new HoldfastError("undo_missing", `the code no longer says how step ${step} is undone`);
    };
    const { retry, timeoutMs } = plan?.undoing ?? plan ?? { retry: this.#owner.retry, timeoutMs: 0 };
    const undoing = { undo: null, onExhausted: "fail", atMostOnce: false, sensitive: false } as const;
    const work = { kind: "undo", fn, retry, timeoutMs, ...undoing } as const;
    return this.#open({ key: callKey("undo", step), id: step, name: step, plan: work, scope: this.root, asyncContext });
  }

  /** Lets go of the waits of branches that lost their race: they stay pending for ever. */
  withdraw(): void {
    for (const pending of [...this.pending.values()]) {
      if (!isWait(pending.plan) || !isWithdrawn(pending.scope)) continue;
      if (!this.#course.live) this.left = added(this.left, pending.key);
      this.#drop(pending);
      this.#owner.withdrawn(pending, false);
    }
  }

  /** A branch that lost its race gets no further than what is at work. */
  #callInVain(id: string, plan: Plan): Promise<never> {
    this.#owner.withdrawn({ id, plan, begun: false }, true);
    return new Promise(() => {});
  }

  /** The handler can do nothing more: its open calls stay pending, but for those that are `kept`. */
  freeze(kept: (pending: Pending) => boolean): void {
    this.frozen = true;
    for (const pending of [...this.pending.values()]) {
      if (kept(pending)) continue;
      this.left = added(this.left, pending.key);
      this.#drop(pending);
    }
  }

  /** The handler is given an outcome, of a call or of a message: its time moves forward. */
  heed({ at }: Outcome): void {
    this.#refusals = 0;
    // A call that new code makes may get an outcome older than what the handler has seen: its time never goes backwards.
    this.seenAt = Math.max(this.seenAt, at);
  }

  deliver(outcome: Outcome): void {
    const { settle } = outcome;
    this.heed(outcome);
    if (settle.kind === "cancelled") return this.#cancelAll(settle);
    const pending = this.pending.get(outcome.key);
    if (pending === undefined) return;
    this.#drop(pending);
    this.#settle(pending, settle);
  }

  #settle(pending: Pending, settle: Outcome["settle"]): void {
    const { plan } = pending;
    switch (settle.kind) {
      case "value":
        if (plan.kind === "run" && plan.undo !== null)
          this.#undoable.set(pending.id, { plan, result: settle.value, asyncContext: pending.asyncContext });
        // Given its result, the handler would go on as if nothing had happened.
        if (this.#cancelled?.told === true && plan.kind === "run" && this.#cancelled.awaited.includes(pending.id))
          return this.#reject(pending, reviveError(this.#cancelled.error));
        return pending.resolve(decode(settle.value));
      case "error":
        return this.#reject(pending, reviveError(settle.error));
      case "payload":
        return this.#take(pending, settle.payload);
      case "elapsed":
        return pending.resolve(plan.kind === "webhook" ? this.#webhook(pending, plan.options) : undefined);
      case "timed_out":
        return pending.resolve(null);
      case "child":
        return pending.resolve({ id: settle.child.id });
      case "cancelled":
      case "undo":
      case "update":
      case "signal":
        throw new Error(`${settle.kind} settles no call`);
      default:
        return settle satisfies never;
    }
  }

  /** The schema answered when the signal went on record; in replay it is asked now. */
  #take(pending: Pending, payload: Stored): void {
    const { name, plan, validated } = pending;
    if (plan.kind !== "wait" || plan.schema === null) return pending.resolve(decode(payload));
    this.repeating = validated === undefined;
    const answer = validated ?? validatePayload(pending, plan.schema, payload);
    this.repeating = false;
    if (!(answer instanceof Promise)) return this.#tell(pending, answer);
    // In an earlier life, or older code, the schema was synchronous: its answer is not on record.
    const late = (): HoldfastError => schemaTimeout("signal_invalid", payloadOf(name));
    this.#course.validations.exclusive(answer, late).then(
      (answered) => this.#tell(pending, answered),
      (error: HoldfastError) => this.#course.guard(() => this.#course.halt(error)),
    );
  }

  #tell(pending: Pending, validated: Validated): void {
    if ("value" in validated) pending.resolve(validated.value);
    else this.#reject(pending, validated.error);
  }

  /** The error is on record: if the handler does not await the call, or not yet, that is no unhandled rejection of the process. */
  #reject({ promise, reject }: Pending, error: unknown): void {
    promise.catch(() => {});
    reject(this.#errors.give(error));
  }

  #cancelAll(cancelled: Cancellation): void {
    this.#cancelled = cancelled;
    for (const pending of [...this.pending.values()]) {
      if (pending.plan.kind === "run" && cancelled.awaited.includes(pending.id)) continue;
      // The address of a webhook may be on record behind it.
      if (!this.#course.live) this.left = added(this.left, pending.key);
      this.#drop(pending);
      this.#reject(pending, reviveError(cancelled.error));
    }
  }

  #refuseWait({ error }: Cancellation): Promise<unknown> {
    if (++this.#refusedWaits > patience) return new Promise(() => {});
    const refused = Promise.reject(this.#errors.give(reviveError(error)));
    refused.catch(() => {});
    return refused;
  }

  #drop(pending: Pending): void {
    this.pending.delete(pending.key);
    this.#owner.closed(pending);
  }

  /** Rejects a call that could not be made; nothing of it goes on record. */
  refuse(pending: Pending, error: unknown): void {
    if (this.pending.get(pending.key) !== pending) return;
    this.#drop(pending);
    pending.reject(this.#errors.give(error));
  }

  #open(
    call: Pick<Pending, "key" | "id" | "name" | "plan" | "scope" | "asyncContext">,
    of: object | null = null,
  ): Promise<unknown> {
    const passedOver = this.#course.replay.claim(call.key);
    const begun = passedOver !== undefined;
    const pending: Pending = { ...call, seenSeq: this.seenSeq, ...Promise.withResolvers<unknown>(), begun };
    if (this.pending.size === 0) this.#sole = of;
    else if (of === null || of !== this.#sole) this.concurrent = true;
    this.pending.set(pending.key, pending);
    if (passedOver !== undefined) this.#course.redeliver(passedOver);
    this.#owner.opened(pending, passedOver === undefined);
    return pending.promise;
  }

  #webhook({ key, id, name, scope }: Pending, options: WebhookOptions): Webhook {
    const plan = { kind: "received", options } as const;
    const received = this.#open({ key: callKey("received", id), id, name, plan, scope });
    const url = this.#course.state.calls.get(key)?.url ?? "";
    return { url, received: () => received as Promise<WebhookCall | null> };
  }
}

/** Calls that wait for something: a cancelled handler may not make them, and a lost race withdraws them. */
function isWait(plan: Plan): boolean {
  return plan.kind !== "run" && plan.kind !== "undo" && !(plan.kind === "child" && plan.detached);
}
