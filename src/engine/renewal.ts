/**
 * Owns: `step.continueAsNew`: when the run goes on as new, and when it no longer may.
 * Does not own: what of the run is left (core/continuation), the handler's new start (run).
 * Invariant 1: the old journal is there, or the new one, and never both or neither: one write replaces it.
 * Invariant 2: a run that was cancelled before is not renewed; one that is paused, once it goes on.
 */
import { continuationOf } from "../core/continuation.ts";
import { reviveError } from "../core/error.ts";
import type { StoredError } from "../core/error.ts";
import type { Definition } from "../core/definition.ts";
import { validate } from "../core/schema.ts";
import { encode } from "../core/value.ts";
import type { Stored } from "../core/value.ts";
import type { Bell } from "./bell.ts";
import type { Ledger } from "./ledger.ts";
import type { World } from "./world.ts";

/** What a renewal needs of the execution it ends. */
export interface Renewable {
  readonly definition: Definition;
  readonly ledger: Ledger;
  readonly world: World;
  readonly live: boolean;
  readonly held: boolean;
  /** The handler has no more say. */
  readonly frozen: boolean;
  readonly stirred: Bell;
  finished: boolean;
  post(event: () => void): void;
  stop(reason: Error): void;
}

type Request = { readonly input: Stored; readonly reject: (error: unknown) => void };

export class Renewal {
  /** The journal is that of the run's next life. */
  done = false;
  readonly #execution: Renewable;
  #request: Request | null = null;
  #refusal: StoredError | null = null;

  constructor(execution: Renewable) {
    this.#execution = execution;
  }

  get requested(): boolean {
    return this.#request !== null;
  }

  /** Rejects with input_invalid, value_uncloneable, value_too_large; else as {@link Renewal.#ask}. */
  async request(input: unknown): Promise<never> {
    const fitted = validate(this.#execution.definition.input, input, "input_invalid", "the input");
    return await this.#ask(encode(fitted instanceof Promise ? await fitted : fitted, "the input"));
  }

  /** Rejects where the run is cancelled; else the handler hears nothing any more. */
  #ask(input: Stored): Promise<never> {
    return new Promise((_resolve, reject) => {
      if (this.#refusal !== null) throw reviveError(this.#refusal);
      // Of two, the first counts.
      if (this.#request !== null) return;
      this.#request = { input, reject };
      this.#execution.finished = true;
      this.#execution.stirred.ring();
      this.proceed();
    });
  }

  /** In its turn, once the replay is over and nothing holds the run back. */
  proceed(): void {
    if (this.#request !== null && this.#execution.live) this.#execution.post(() => this.#renew());
  }

  /** The run is cancelled: the handler is to clean up instead. */
  refuse(error: StoredError): void {
    this.#refusal = error;
    const request = this.#request;
    if (request === null) return;
    this.#request = null;
    this.#execution.finished = false;
    request.reject(reviveError(error));
  }

  #renew(): void {
    const { ledger, world, held, frozen } = this.#execution;
    if (this.#request === null || held || frozen) return;
    ledger.restart(...continuationOf(ledger.state, this.#request.input, world.deployment));
    this.done = true;
    this.#execution.stop(new Error("the run goes on as new"));
  }
}
