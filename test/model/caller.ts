/** Calls of a Worker over HTTP, one try each. */
import { Agent, request } from "node:http";
import type { Call, Reply } from "./drive.ts";

/** A new connection for each call: those of a dead Worker are of no use to the next. */
const agent = new Agent({ keepAlive: false });

/** Null without an answer of the Worker: it was dying, or is not there. */
export function callOnce(origin: string, { method, path, json, key }: Call): Promise<Omit<Reply, "again"> | null> {
  const headers = {
    ...(json === undefined ? {} : { "content-type": "application/json" }),
    ...(key === undefined ? {} : { "idempotency-key": key }),
  };
  return new Promise((resolve) => {
    const call = request(`${origin}${path}`, { method, headers, agent, timeout: 15_000 }, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (part: string) => (text += part));
      answer.on("end", () => resolve(replyOf(answer.statusCode ?? 0, text)));
      answer.on("error", () => resolve(null));
    });
    call.on("timeout", () => call.destroy());
    call.on("error", () => resolve(null));
    call.end(json === undefined ? undefined : JSON.stringify(json));
  });
}

function replyOf(status: number, text: string): Omit<Reply, "again"> | null {
  if (status >= 500) return null;
  return { status, body: JSON.parse(text) as Record<string, unknown> };
}
