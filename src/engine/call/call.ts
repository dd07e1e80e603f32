/**
 * Owns: the shapes of a call of `step` in memory: what it asks for, and its promise while it is open.
 * Does not own: carrying it out (work), what is on record about it (core/state).
 */
import type { CallKind } from "../../core/history/entry.ts";
import type { OrderRequest } from "../../core/courier/order.ts";
import type { ChildPolicy } from "../../core/run/origin.ts";
import type { ResolvedRetry } from "../../core/definition/retry.ts";
import type { Schema } from "../../core/definition/schema.ts";
import type { AttemptContext } from "../../core/definition/options.ts";
import { callKey } from "../../core/state/state.ts";
import type { Call, RunState } from "../../core/state/state.ts";
import type { Stored } from "../../core/value/value.ts";
import type { WebhookOptions } from "../../core/webhook/webhook.ts";
import type { AsyncContext, Scope } from "./scope.ts";
import type { Validated } from "../wait/validation.ts";

/** A function that is attempted until it succeeds: a step, or the undoing of one. */
export type RunPlan = {
  readonly kind: "run" | "undo";
  readonly fn: (context: AttemptContext) => unknown;
  readonly retry: ResolvedRetry;
  readonly timeoutMs: number;
  readonly undo: ((result: never, context: AttemptContext) => unknown) | null;
  /** Retries and timeout of `undo`, if they are not the step's. */
  readonly undoing?: Pick<RunPlan, "retry" | "timeoutMs">;
  readonly onExhausted: "fail" | "pause";
  readonly atMostOnce: boolean;
  readonly sensitive: boolean;
  /** A courier makes this request instead of `fn`. */
  readonly request?: OrderRequest;
};

/** A child run; `detached` where nobody waits for its end. */
export type ChildPlan = {
  readonly kind: "child";
  readonly workflow: string;
  readonly input: Stored;
  readonly id: string | null;
  readonly timeoutMs: number | null;
  readonly policy: ChildPolicy;
  readonly detached: boolean;
  readonly labels: Readonly<Record<string, string>>;
};

/** What is to happen when the call begins; the arguments are checked. */
export type Plan =
  | RunPlan
  | { readonly kind: "sleep"; readonly wakeAt: (now: number) => number }
  | {
      readonly kind: "wait";
      readonly timeoutMs: number | null;
      readonly schema: Schema | null;
      /** Fields that are recorded with it. */
      readonly marks: { readonly label?: string };
    }
  | { readonly kind: "webhook"; readonly timeoutMs: number | null; readonly options: WebhookOptions }
  /** The second half of a webhook: its first accepted call. */
  | { readonly kind: "received"; readonly options: WebhookOptions }
  | ChildPlan;

export type Pending<Of extends Plan = Plan> = {
  readonly key: string;
  readonly id: string;
  readonly name: string;
  readonly plan: Of;
  /** The branch of a race in which the call was made. */
  readonly scope: Scope;
  /** The newest entry that the handler had seen when it made the call. */
  readonly seenSeq: number;
  /** The one in which a step was called, if the step may have to be called again, or undone; set once that is known. */
  asyncContext?: AsyncContext | undefined;
  readonly promise: Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** False while replay or a pause holds it back. */
  begun: boolean;
  /** Of a wait: what its schema made of the signal that is about to be delivered. */
  validated?: Validated;
};

/** The kind under which the call is on record. */
export function recordKind(plan: Plan): CallKind {
  return plan.kind === "received" ? "webhook" : plan.kind;
}

/** Its key there. */
export function recordKey({ plan, key, id }: Pick<Pending, "plan" | "key" | "id">): string {
  return plan.kind === "received" ? callKey("webhook", id) : key;
}

/** What is on record of the call; undefined for nothing. */
export function recordedCall({ calls }: Pick<RunState, "calls">, pending: Pending): Call | undefined {
  return calls.get(recordKey(pending));
}

/** A step, or the undoing of one. */
export function isAttempted(pending: Pending): pending is Pending<RunPlan> {
  return pending.plan.kind === "run" || pending.plan.kind === "undo";
}

export function isChild(pending: Pending): pending is Pending<ChildPlan> {
  return pending.plan.kind === "child";
}

/** How such a step ends must be known before its run does. */
export function canBeUndone({ plan }: Pick<Pending, "plan">): boolean {
  return plan.kind === "run" && plan.undo !== null;
}
