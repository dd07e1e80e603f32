/** Spans of a trace, independent of their wire format. */
import type { StoredError } from "../error.ts";
import type { Trace } from "./trace.ts";

export type Attributes = Readonly<Record<string, string | number>>;

/** Instants are epoch ms. */
export type Span = {
  readonly trace: Trace;
  /** The id of its parent span; null for the root of a trace. */
  readonly parentId: string | null;
  readonly name: string;
  readonly startAt: number;
  readonly endAt: number;
  readonly attributes: Attributes;
  /** Why it failed; null where it did not. */
  readonly error: StoredError | null;
  readonly events: readonly SpanEvent[];
  /** Links to spans of other traces. */
  readonly links: readonly Trace[];
};

export type SpanEvent = { readonly name: string; readonly at: number; readonly attributes: Attributes };

const maxStack = 4000;

/** As OpenTelemetry names it. */
export function exceptionOf({ name, message, stack }: StoredError, at: number): SpanEvent {
  const attributes = { "exception.type": name, "exception.message": message };
  const trace = stack === undefined ? {} : { "exception.stacktrace": stack.slice(0, maxStack) };
  return { name: "exception", at, attributes: { ...attributes, ...trace } };
}
