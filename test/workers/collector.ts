/**
 * Stands in for an OpenTelemetry collector while the tests in workerd run: a real HTTP server in Node's process.
 * Each test has a path of its own, at which it also says what is answered next, and reads what came.
 */
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestProject } from "vitest/node";

/** What came, in order, and when (epoch ms). */
export type Posted = {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: unknown;
  readonly at: number;
};
/** A status, alone or with headers; "hang" for no answer, "drop" for a broken connection. */
type Reply = number | "hang" | "drop" | { readonly status: number; readonly headers: Readonly<Record<string, string>> };
/** What the next posts are answered; 200 once none is left. */
export type Plan = readonly Reply[];

declare module "vitest" {
  interface ProvidedContext {
    /** `http://127.0.0.1:port` */
    readonly collector: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const boxes = new Map<string, { posts: Posted[]; plan: Reply[] }>();
  // An idle connection is never closed, which could cut off a request that comes at that very instant.
  const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
    void answer(request, response);
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString("utf8");
    const [, name = "", ...rest] = (request.url ?? "").split("/");
    const box = boxes.get(name) ?? { posts: [], plan: [] };
    boxes.set(name, box);
    if (request.method === "GET") return void response.end(JSON.stringify(box.posts));
    const body = JSON.parse(text) as unknown;
    if (request.method === "PUT") {
      box.plan = [...(body as Plan)];
      return void response.end();
    }
    const next = box.plan.shift() ?? 200;
    const headers = { ...request.headers } as Record<string, string>;
    box.posts.push({ path: `/${rest.join("/")}`, headers, body, at: Date.now() });
    if (next === "hang") return;
    if (next === "drop") return void request.socket.destroy();
    const reply = typeof next === "number" ? { status: next, headers: {} } : next;
    const answered = reply.status === 200 ? "{}" : '{"message":"no"}';
    response.writeHead(reply.status, { "content-type": "application/json", ...reply.headers }).end(answered);
  }

  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  project.provide("collector", `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  };
}
