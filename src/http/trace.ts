/** Owns: the W3C trace context of a request. One that is not valid is left aside, as the specification has it. */
import { acceptTrace } from "../core/trace.ts";

export function readTrace(request: Request): ReturnType<typeof acceptTrace> {
  return acceptTrace(request.headers.get("traceparent"));
}
