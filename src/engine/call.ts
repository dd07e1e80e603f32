/**
 * Owns: what a call of `step` asks for, until it is settled.
 * Does not own: how it is carried out (execution), or what is on record about it (core/state).
 */
import type { CallKind } from "../core/entry.ts";
import type { ResolvedRetry } from "../core/retry.ts";
import type { AttemptContext, WebhookOptions } from "../core/step.ts";

/** What is to happen when the call begins; everything in it is checked. */
export type Plan =
  | {
      readonly kind: "run";
      readonly fn: (context: AttemptContext) => unknown;
      readonly retry: ResolvedRetry;
      readonly timeoutMs: number;
    }
  | { readonly kind: "sleep"; readonly wakeAt: (now: number) => number }
  | { readonly kind: "wait"; readonly timeoutMs: number | null }
  | { readonly kind: "webhook"; readonly timeoutMs: number | null; readonly options: WebhookOptions }
  /** The second half of a webhook: its first accepted call. */
  | { readonly kind: "received"; readonly options: WebhookOptions };

export type Pending = {
  readonly key: string;
  readonly id: string;
  readonly name: string;
  readonly plan: Plan;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** False while replay or a pause holds it back. */
  begun: boolean;
};

/** The kind under which the call is on record. */
export function recordKind(plan: Plan): CallKind {
  return plan.kind === "received" ? "webhook" : plan.kind;
}
