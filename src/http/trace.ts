/** Owns: the W3C trace context of a request. An invalid one is ignored, as the specification demands. */
import { acceptTrace } from "../core/trace/trace.ts";

export function readTrace(request: Request): ReturnType<typeof acceptTrace> {
  return acceptTrace(request.headers.get("traceparent"));
}
