/**
 * Owns: what a run needs of the world outside its journal.
 * Does not own: any of it; the object that hosts the run provides it.
 */
import type { Order, OrderId } from "../core/courier/order.ts";
import type { ChildPolicy, ChildRun, Reply } from "../core/run/origin.ts";
import type { StoredError } from "../core/error.ts";
import type { SignalRequest } from "../core/service/service.ts";
import type { Stored } from "../core/value/value.ts";
import type { Clock } from "./clock.ts";

/** The deployment id of a rehearsal, whose runs no other code ever drives. */
export const onlyDeployment = "rehearsal";

export interface World {
  readonly clock: Clock;
  /** Which deployment of the code this is; two lives with the same one ran the same code. */
  readonly deployment: string;
  /** The address of a webhook wait of this run. @throws HoldfastError webhook_unavailable */
  hookUrl(call: string): Promise<string>;
  readonly children: Children;
  readonly couriers: Couriers;
}

/**
 * Makes requests for a run while it is parked, and reports the answers to it. Whatever a method throws is temporary: the
 * run calls it again later.
 */
export interface Couriers {
  /** Finds a courier with room for a request whose body has so many bytes; the courier keeps the room for a moment. */
  reserve(bytes: number): Promise<number>;
  /** Has this courier make the request; if it is making it already, nothing changes. */
  send(courier: number, order: Order): Promise<void>;
  /** Nobody waits for the answer any more. */
  drop(courier: number, id: OrderId): Promise<void>;
}

/**
 * The runs that a run starts, or sends signals to. A HoldfastError that a method throws is a refusal, and final; any other
 * error is temporary, and the run calls the method again later.
 */
export interface Children {
  /** Starts the child, or finds it started. @throws HoldfastError workflow_not_found, input_invalid, run_exists … */
  start(request: ChildStart): Promise<ChildStarted>;
  /** How the child has ended; null while it goes on. One that was removed has failed with run_not_found. */
  end(id: string): Promise<ChildEnd | null>;
  /** Stops a child that nobody waits for any more, unless it has ended; false where it is not there. */
  stop(id: string, policy: ChildPolicy): Promise<boolean>;
  /** Sends a signal to any run: exactly once, because of its key. @throws HoldfastError run_not_found, run_ended, signal_invalid */
  signal(runId: string, signal: SignalRequest): Promise<void>;
}

export type ChildStart = {
  readonly workflow: string;
  readonly input: Stored;
  /** Given by the handler, or made of the parent and the step. */
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Null where nobody waits for the end. */
  readonly reply: Reply | null;
  readonly former: FormerChild | null;
  /** W3C traceparent of the call. */
  readonly trace: string;
};

/**
 * A child whose failure a retry of the parent set free: it goes on from what failed where it can. The
 * `key` makes that happen once; `kept` where it is not to be stopped: if it goes on already, because it was tried again by
 * itself, it is waited for.
 */
export type FormerChild = { readonly child: ChildRun; readonly key: string; readonly kept: boolean };

/**
 * `existed` where this start did not create it: it may have ended already; `own` unless somebody else did, whose
 * run it is to stop. `createdAt` is epoch ms; null for one that was tried again.
 */
export type ChildStarted = {
  readonly child: ChildRun;
  readonly existed: boolean;
  readonly own: boolean;
  readonly createdAt: number | null;
};

export type ChildEnd =
  | { readonly kind: "completed"; readonly output: Stored }
  | { readonly kind: "failed" | "cancelled"; readonly error: StoredError };
