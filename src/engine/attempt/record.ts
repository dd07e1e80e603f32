/**
 * Owns: the facts that the attempts of a step and of its undoing make.
 * Does not own: when they are made (attempts).
 */
import type { Fact } from "../../core/history/entry.ts";
import type { StoredError } from "../../core/error.ts";
import type { RunState } from "../../core/state/state.ts";
import { encode, undefinedValue } from "../../core/value/value.ts";
import { formatTrace, spotTrace } from "../../core/trace/trace.ts";
import type { Spot } from "../../core/trace/trace.ts";
import type { Stored } from "../../core/value/value.ts";
import type { AttemptEnd } from "./attempt.ts";
import type { RunPlan } from "../call/call.ts";
import type { Ledger } from "../ledger.ts";
import type { World } from "../world.ts";

export type AttemptMade = { readonly step: string; readonly attempt: number; readonly startedAt: number };
export type AttemptFailed = AttemptMade & { readonly error: StoredError };

export function startMark({ kind }: RunPlan, step: string, attempt: number): Fact {
  return { kind: kind === "undo" ? "undo.attempt_started" : "step.attempt_started", step, attempt };
}

/** It was at work when its process died, which is held against it unless that came with a deployment. */
export function interruption(
  { ledger, world }: { readonly ledger: Ledger; readonly world: World },
  { kind }: RunPlan,
  step: string,
): Fact {
  const { deployment } = world;
  const held = ledger.openedUnder === deployment;
  return { kind: kind === "undo" ? "undo.interrupted" : "step.interrupted", step, held, deployment };
}

export function completion({ kind, undo, sensitive }: RunPlan, made: AttemptMade, result: Stored): Fact {
  if (kind === "undo") return { kind: "undo.completed", ...made };
  return {
    kind: "step.completed",
    ...made,
    result,
    ...(undo === null ? {} : { undo: true }),
    ...markOf({ sensitive }),
  };
}

/** That the step's result is never shown. */
export function markOf({ sensitive }: Pick<RunPlan, "sensitive">): { readonly sensitive?: true } {
  return sensitive ? { sensitive } : {};
}

type StoredEnd = { ok: true; value: Stored } | { ok: false; error: unknown };

/** How an attempt ended, as it goes on record. */
export function storedOf(end: AttemptEnd, plan: RunPlan, step: string): StoredEnd {
  if (!end.ok) return end;
  return "stored" in end ? { ok: true, value: end.stored } : kept(end.value, plan, step);
}

function kept(value: unknown, plan: RunPlan, step: string): StoredEnd {
  try {
    // What an undo returns is of no use to anybody.
    return { ok: true, value: plan.kind === "undo" ? undefinedValue : encode(value, `the result of step ${step}`) };
  } catch (error) {
    return { ok: false, error };
  }
}

/**
 * Returns a function that makes the step's idempotency key. What the key depends on is read now, so that an attempt keeps its
 * key whatever the run does later. The key is the same for every attempt of the step.
 * - It is printable ASCII, because it travels in HTTP headers.
 * - It has the instant of creation, because a run's id is free again once the run was deleted.
 * - It counts how often the step was undone: a step that is made again after that is another payment, for which a bank must
 *   not answer with the one that it gave back.
 * - `undo` stands before the step, so that no step's name makes the key of an undo. In runs of older code it stood behind: an
 *   undoing that began so goes on so, because an attempt that a death cut off is made again under its own key.
 */
export function idempotencyKeyOf(
  { creation, renewed, ending }: Pick<RunState, "creation" | "renewed" | "ending">,
  kind: "run" | "undo",
  step: string,
): () => string {
  const times = renewed.get(step);
  const before = ending !== null && ending.apart !== true;
  return () => {
    const plain = step.replace(/[^\x21-\x24\x26-\x7e]/gu, (char) => encodeURIComponent(char));
    const incarnation = `${creation.id}:${creation.at.toString(36)}${times === undefined ? "" : `.${times}`}`;
    if (kind === "run") return `${incarnation}:${plain}`;
    return before ? `${incarnation}:${plain}:undo` : `${incarnation}.undo:${plain}`;
  };
}

/** The W3C traceparent of one attempt, or of the call of a child run: requests that carry it are part of the run's trace. */
export function traceparent({ creation, episode }: RunState, call: Omit<Spot, "episode">): string {
  return formatTrace(spotTrace(creation, { ...call, episode }));
}
