/**
 * Owns: the open calls of a handler: the promise of each, from the call to its outcome.
 * Does not own: carrying them out (execution, attempts, waits).
 * Invariant 1: a call is settled by an outcome on record, by nothing else but a call that could not
 * be made; suspension is a promise that stays pending.
 */
import type { Definition } from "../core/definition.ts";
import { reviveError } from "../core/error.ts";
import { toCallId } from "../core/name.ts";
import { callKey } from "../core/state.ts";
import type { Outcome, RunState } from "../core/state.ts";
import type { Webhook, WebhookCall, WebhookOptions } from "../core/step.ts";
import { decode } from "../core/value.ts";
import { recordKind } from "./call.ts";
import type { Pending, Plan } from "./call.ts";
import type { Errors } from "./errors.ts";
import type { Replay } from "./replay.ts";
import { Tally } from "./tally.ts";

/** What calls need of the execution they are part of. */
export interface Opener {
  readonly state: RunState;
  readonly over: boolean;
  readonly live: boolean;
  /** A call was made; `fresh` unless its outcome is known already. */
  opened(pending: Pending, fresh: boolean): void;
  closed(pending: Pending): void;
  post(event: () => void): void;
}

export class Calls {
  readonly pending = new Map<string, Pending>();
  /** The instant of the newest outcome the handler has seen. */
  seenAt: number;
  readonly #opener: Opener;
  readonly #replay: Replay;
  readonly #errors: Errors;
  readonly #tally: Tally;

  constructor(opener: Opener, replay: Replay, errors: Errors, limits: Definition["limits"]) {
    this.#opener = opener;
    this.#replay = replay;
    this.#errors = errors;
    this.#tally = new Tally(limits);
    this.seenAt = opener.state.startedAt ?? opener.state.at;
  }

  get made(): number {
    return this.#tally.made;
  }

  /** Rejects with limit_exceeded; stays pending for ever once the run has ended. */
  make(name: string, plan: Plan): Promise<unknown> {
    if (this.#opener.over) return new Promise(() => {});
    try {
      const id = toCallId(name, this.#tally.count(plan.kind, name));
      return this.#open(callKey(recordKind(plan), id), id, name, plan);
    } catch (error) {
      return Promise.reject(this.#errors.give(error));
    }
  }

  deliver(outcome: Outcome): void {
    const pending = this.pending.get(outcome.key);
    if (pending === undefined) return;
    this.pending.delete(outcome.key);
    this.#opener.closed(pending);
    // What new code asks for late is older than what the handler has seen; its time does not run back.
    this.seenAt = Math.max(this.seenAt, outcome.at);
    const { plan } = pending;
    const { settle } = outcome;
    switch (settle.kind) {
      case "value":
        return pending.resolve(decode(settle.value));
      case "error":
        return pending.reject(this.#errors.give(reviveError(settle.error)));
      case "elapsed":
        return pending.resolve(plan.kind === "webhook" ? this.#webhook(pending, plan.options) : undefined);
      case "timed_out":
        return pending.resolve(null);
      default:
        return settle satisfies never;
    }
  }

  /** The call could not be made and leaves nothing on record: its caller hears why. */
  refuse(pending: Pending, error: unknown): void {
    this.pending.delete(pending.key);
    pending.reject(this.#errors.give(error));
  }

  #open(key: string, id: string, name: string, plan: Plan): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const pending: Pending = { key, id, name, plan, resolve, reject, begun: false };
      this.pending.set(key, pending);
      const passedOver = this.#replay.claim(key);
      if (passedOver !== undefined) this.#claim(passedOver);
      this.#opener.opened(pending, passedOver === undefined);
    });
  }

  #claim(outcome: Outcome): void {
    if (this.#opener.live) this.#opener.post(() => this.deliver(outcome));
    else this.#replay.defer(outcome);
  }

  #webhook({ key, id, name }: Pending, options: WebhookOptions): Webhook {
    const received = this.#open(callKey("received", id), id, name, { kind: "received", options });
    const url = this.#opener.state.calls.get(key)?.url ?? "";
    return { url, received: () => received as Promise<WebhookCall | null> };
  }
}
