/** Spans of a trace, as far as they concern us, before they take the form in which they travel. */
import type { StoredError } from "../error.ts";
import type { Trace } from "../trace.ts";

export type Attributes = Readonly<Record<string, string | number>>;

/** Instants are epoch ms. */
export type Span = {
  readonly trace: Trace;
  /** The id of the span it is a part of; null where it is the first of its trace. */
  readonly parentId: string | null;
  readonly name: string;
  readonly startAt: number;
  readonly endAt: number;
  readonly attributes: Attributes;
  /** Why it failed; null where it did not. */
  readonly error: StoredError | null;
  readonly events: readonly SpanEvent[];
  /** Traces that had a part in it. */
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
