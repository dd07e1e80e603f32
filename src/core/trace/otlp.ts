/** Spans as the JSON of OTLP/HTTP, `ExportTraceServiceRequest`. */
import type { Attributes, Span } from "./span.ts";

type Json = Readonly<Record<string, unknown>>;

const internal = 1;
const failed = 2;

/** @param service the `service.name` of the traces */
export function toOtlp(spans: readonly Span[], service: string): Json {
  const resource = { attributes: attributesOf({ "service.name": service }) };
  return { resourceSpans: [{ resource, scopeSpans: [{ scope: { name: "holdfast" }, spans: spans.map(spanOf) }] }] };
}

function spanOf({ trace, parentId, name, startAt, endAt, attributes, error, events, links }: Span): Json {
  const type = error === null ? {} : { "error.type": error.code ?? error.name };
  return {
    traceId: trace.traceId,
    spanId: trace.spanId,
    ...(parentId === null ? {} : { parentSpanId: parentId }),
    name,
    kind: internal,
    startTimeUnixNano: nanosOf(startAt),
    endTimeUnixNano: nanosOf(endAt),
    attributes: attributesOf({ ...attributes, ...type }),
    ...(events.length === 0 ? {} : { events: events.map(({ name, at, attributes }) => eventOf(name, at, attributes)) }),
    ...(links.length === 0 ? {} : { links: links.map(({ traceId, spanId }) => ({ traceId, spanId })) }),
    status: error === null ? {} : { code: failed, message: error.message },
  };
}

function eventOf(name: string, at: number, attributes: Attributes): Json {
  return { timeUnixNano: nanosOf(at), name, attributes: attributesOf(attributes) };
}

/** Integers are text, as the JSON form of 64-bit numbers in Protocol Buffers is. */
function attributesOf(attributes: Attributes): Json[] {
  return Object.entries(attributes).map(([key, value]) => ({
    key,
    value: typeof value === "number" ? { intValue: String(value) } : { stringValue: value },
  }));
}

function nanosOf(at: number): string {
  return `${Math.floor(at)}000000`;
}
