/**
 * W3C Trace Context, level 1: the trace of a run, and the ids of its spans. They are derived from the journal, so that every
 * replay and every reader of it gets the same ones.
 */
import type { CallKind, EntryOf } from "../history/entry.ts";
import { firstCreatedAt } from "../run/origin.ts";
import { createRandom } from "../random.ts";

/** A reference to a span: 32 and 16 lower-case hex digits, neither all zeros. */
export type Trace = { readonly traceId: string; readonly spanId: string; readonly sampled: boolean };

/** The part of a run's creation that its trace is derived from. */
export type Origin = Pick<EntryOf<"run.created">, "id" | "at" | "trace" | "continuation">;

const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const nothing = /^0+$/;

/** Parses a `traceparent` header; null for an invalid one, which is ignored as the specification demands. */
export function parseTrace(text: string): Trace | null {
  const [, version = "", traceId = "", spanId = "", flags = "", more] = form.exec(text) ?? [];
  if (version === "" || version === "ff" || nothing.test(traceId) || nothing.test(spanId)) return null;
  // Only later versions may have further fields.
  if (version === "00" && more !== undefined) return null;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** A traceparent from a request or from code, if it is valid. */
export function acceptTrace(traceparent: string | null | undefined): { readonly trace?: string } {
  const trace = typeof traceparent === "string" ? parseTrace(traceparent.trim()) : null;
  return trace === null ? {} : { trace: formatTrace(trace) };
}

export function formatTrace({ traceId, spanId, sampled }: Trace): string {
  return `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;
}

/** A cache by creation: the trace is needed for every log line and every snapshot. */
const known = new WeakMap<Origin, Trace>();

/**
 * The run's own span, the same in every incarnation: within the trace that it was started with, else in a new trace, which is
 * sampled.
 */
export function runTrace(origin: Origin): Trace {
  const trace = known.get(origin) ?? traceOf(origin);
  known.set(origin, trace);
  return trace;
}

function traceOf(origin: Origin): Trace {
  const seed = `${origin.id}:${firstCreatedAt(origin)}`;
  const given = givenTrace(origin);
  return {
    traceId: given?.traceId ?? createRandom(`trace ${seed}`).digits(),
    spanId: spanIdOf(`run ${seed}`),
    sampled: given?.sampled ?? true,
  };
}

/** The trace that a run was started with, or a signal sent with; null for none. */
export function givenTrace({ trace }: Pick<Origin, "trace">): Trace | null {
  return trace === undefined ? null : parseTrace(trace);
}

/** Identifies a span within a run. After a retry of an ended run the same call has another one. */
export type Spot = {
  readonly kind: CallKind | "lane" | "signal" | "update" | "retry";
  readonly id: string;
  /** The `seq` of the newest retry of the run after an end; 0 before. */
  readonly episode: number;
  /** The attempt of a step; 0 for other calls. */
  readonly attempt: number;
};

/** The span of a call of the run, or of one attempt of it. */
export function spotTrace(origin: Origin, { kind, id, episode, attempt }: Spot): Trace {
  return { ...runTrace(origin), spanId: spanIdOf(`${kind} ${origin.id}:${origin.at}:${episode}:${attempt}:${id}`) };
}

function spanIdOf(seed: string): string {
  // This half of a UUID is never all zeros, because of its variant.
  return createRandom(seed).digits().slice(16);
}
