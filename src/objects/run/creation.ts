/**
 * Owns: making the first entries of a run from a validated start.
 * Does not own: validating the start (service), recording the entries (engine/run).
 */
import { authorOf } from "../../core/author.ts";
import type { Entry, Fact } from "../../core/history/entry.ts";
import { keyedRunId } from "../../core/run/key.ts";
import { refit } from "../../core/definition/payload.ts";
import type { FittedSignal } from "../../core/definition/payload.ts";
import { defined } from "../../core/record.ts";
import { forkedFacts } from "../../core/history/transcript.ts";
import type { Run } from "../../engine/run.ts";
import type { Branch, CheckedStart } from "../rpc/start.ts";

type Creation = Parameters<Run["create"]>[0];

/**
 * The creation of a fork, with the history that it records.
 * @param history at least the entries to copy, in order
 * @param at the instant of the fork, epoch ms
 */
export function forkOf(
  request: CheckedStart,
  { id, step, reason, print, seed, continued, results, ...plan }: Branch,
  history: readonly Entry[],
  at: number,
): { readonly created: Creation; readonly facts: readonly Fact[] } {
  const facts = forkedFacts(history, plan, results, at);
  const fork = { id, step, upTo: facts.length + 1, reason, ...defined({ print }) };
  const continuation = continued === 0 ? {} : { continuation: { count: continued, createdAt: at, keys: [] } };
  return { created: { ...creationOf(request, at), fork, seed, ...continuation }, facts };
}

export function fittedSignal({ signal }: CheckedStart): FittedSignal | undefined {
  if (signal === undefined) return undefined;
  const { fitted, ...sent } = signal;
  return refit(sent, fitted);
}

/** A delay counts from its creation: that of the request was a moment before, by the clock of another machine. */
function beginOf({ startAt, delayMs }: CheckedStart, at: number): number | null {
  if (delayMs === undefined) return startAt ?? null;
  return Math.max(startAt ?? 0, at + delayMs);
}

/** @param at the instant of the creation, epoch ms */
export function creationOf(request: CheckedStart, at: number): Creation {
  const { id, byKey, workflow, version, input, sent, labels, parent, schedule, notAfter, origin, key, trace } = request;
  const { lanes = [], claims = [], notify = [], reply, reason, shards, wish, retention } = request;
  return {
    id: byKey === true ? keyedRunId(id, at) : id,
    workflow,
    version,
    input,
    labels,
    parent,
    schedule,
    startAt: beginOf(request, at),
    notAfter: notAfter ?? null,
    origin: origin ?? null,
    ...authorOf(request),
    ...defined({ reason, sent, key, print: wish?.print, trace, shards }),
    ...(lanes.length === 0 ? {} : { lanes }),
    ...(claims.length === 0 ? {} : { claims }),
    ...defined({ reply, retention }),
    ...(notify.length === 0 ? {} : { notify }),
  };
}
