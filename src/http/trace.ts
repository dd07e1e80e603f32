/** Owns: the W3C trace context of a request. One that is not valid is left aside, as the specification has it. */
import { formatTrace, parseTrace } from "../core/trace.ts";

export function readTrace(request: Request): { readonly trace?: string } {
  const trace = parseTrace(request.headers.get("traceparent")?.trim() ?? "");
  return trace === null ? {} : { trace: formatTrace(trace) };
}
