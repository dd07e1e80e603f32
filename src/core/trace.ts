/**
 * W3C Trace Context, level 1: which trace a run belongs to, and the ids of its spans. They are made of
 * what is on record, so that every life of a run, and whoever reads its journal, comes to the same ones.
 */
import type { CallKind, EntryOf } from "./entry.ts";
import { bornAt } from "./origin.ts";
import { createRandom } from "./random.ts";

/** A span as others refer to it: 32 and 16 lower-case hex digits, neither all zeros. */
export type Trace = { readonly traceId: string; readonly spanId: string; readonly sampled: boolean };

/** Which life of which run: what its trace is made from. */
export type Origin = Pick<EntryOf<"run.created">, "id" | "at" | "trace" | "continuation">;

const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const nothing = /^0+$/;

/** What a `traceparent` header says; null for one that is not valid, which the specification has ignored. */
export function parseTrace(text: string): Trace | null {
  const [, version = "", traceId = "", spanId = "", flags = "", more] = form.exec(text) ?? [];
  if (version === "" || version === "ff" || nothing.test(traceId) || nothing.test(spanId)) return null;
  // A version to come may have further fields; this one has none.
  if (version === "00" && more !== undefined) return null;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** As a request or an author of code hands it over: kept where it is valid. */
export function acceptTrace(traceparent: string | null | undefined): { readonly trace?: string } {
  const trace = typeof traceparent === "string" ? parseTrace(traceparent.trim()) : null;
  return trace === null ? {} : { trace: formatTrace(trace) };
}

export function formatTrace({ traceId, spanId, sampled }: Trace): string {
  return `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;
}

/** Of creations that are at hand: a run is asked for its own with every line of its log and every look at it. */
const known = new WeakMap<Origin, Trace>();

/**
 * The run's own span, the same in every life: in the trace it was started with, else in one of its own, which
 * is sampled.
 */
export function runTrace(origin: Origin): Trace {
  const trace = known.get(origin) ?? traceOf(origin);
  known.set(origin, trace);
  return trace;
}

function traceOf(origin: Origin): Trace {
  const seed = `${origin.id}:${bornAt(origin)}`;
  const given = parentTrace(origin);
  return {
    traceId: given?.traceId ?? digits(`trace ${seed}`),
    spanId: spanIdOf(`run ${seed}`),
    sampled: given?.sampled ?? true,
  };
}

/** What the run was started with; null where that was nothing. */
export function parentTrace({ trace }: Pick<Origin, "trace">): Trace | null {
  return trace === undefined ? null : parseTrace(trace);
}

/** What tells one call of a run from all others it makes: after a retry of an ended run it is another one. */
export type Spot = {
  readonly kind: CallKind | "lane" | "signal" | "update" | "retry";
  readonly id: string;
  /** The `seq` of the newest retry of the run after an end; 0 before. */
  readonly episode: number;
  /** Of a step; 0 for what has no attempts. */
  readonly attempt: number;
};

/**
 * The span of a call of the run, or of one attempt of it.
 * @param run the run's own, where it is known already
 */
export function spotTrace(origin: Origin, { kind, id, episode, attempt }: Spot, run = runTrace(origin)): Trace {
  return { ...run, spanId: spanIdOf(`${kind} ${origin.id}:${origin.at}:${episode}:${attempt}:${id}`) };
}

function spanIdOf(seed: string): string {
  // The half that a UUID's variant keeps from being all zeros.
  return digits(seed).slice(16);
}

function digits(seed: string): string {
  return createRandom(seed).uuid().replaceAll("-", "");
}
