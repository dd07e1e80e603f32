/**
 * The HTTP server that runs send requests to in tests, in Node's process. The query of the address determines the response.
 * Each test has a box of its own, with the requests received.
 */
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestProject } from "vitest/node";

/** A received request. */
export type ReceivedRequest = {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly bytes: number;
  readonly body: string;
  /** The client disconnected before the response. */
  left: boolean;
};

declare module "vitest" {
  interface ProvidedContext {
    /** `http://127.0.0.1:port` */
    readonly httpServer: string;
  }
}

export type HttpServer = {
  readonly url: string;
  readonly boxes: ReadonlyMap<string, ReceivedRequest[]>;
  close(): Promise<void>;
};

/**
 * `GET /box/NAME` returns the requests of a box; `PUT /gate/NAME` opens a gate. All other responses are determined by the
 * query: `box`, `status`, `type`, `body` or a number of `bytes`, after `ms`, when the `gate` is open, `retryAfter`; `fails`:
 * the number of 503 responses before; `cut`: the connection breaks; `stall`: the number of bytes sent until the gate `until`
 * is open; `to`: a redirect to there, or to `self`; `cookies`: those it sets; `count`: the body is the number of requests of
 * the box.
 */
export async function openHttpServer(): Promise<HttpServer> {
  const boxes = new Map<string, ReceivedRequest[]>();
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const gateOf = (name: string): PromiseWithResolvers<void> => {
    const gate = gates.get(name) ?? Promise.withResolvers<void>();
    gates.set(name, gate);
    return gate;
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams: query } = new URL(request.url ?? "/", "http://localhost");
    const [, what, name = ""] = pathname.split("/");
    if (what === "box") return void response.end(JSON.stringify(boxes.get(name) ?? []));
    if (what === "gate") {
      gateOf(name).resolve();
      return void response.end();
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const { method = "", headers } = request;
    const text = body.toString("utf8").slice(0, 1000);
    const asked = {
      method,
      headers: { ...headers } as Record<string, string>,
      bytes: body.length,
      body: text,
      left: false,
    };
    const box = query.get("box") ?? "";
    const came = boxes.get(box) ?? [];
    boxes.set(box, [...came, asked]);
    response.on("close", () => {
      asked.left = !response.writableFinished;
    });
    const gate = query.get("gate");
    if (gate !== null) await gateOf(gate).promise;
    await new Promise((resolve) => setTimeout(resolve, Number(query.get("ms") ?? 0)));
    if (query.has("cut")) return void request.socket.destroy();
    const to = query.get("to");
    if (to !== null) {
      response.writeHead(307, { location: to === "self" ? (request.url ?? "") : to });
      return void response.end();
    }
    const cookies = query.getAll("cookies");
    if (cookies.length > 0) response.setHeader("set-cookie", cookies);
    const isFailing = (boxes.get(box)?.length ?? 0) <= Number(query.get("fails") ?? 0);
    const retryAfter = query.get("retryAfter");
    response.writeHead(isFailing ? 503 : Number(query.get("status") ?? 200), {
      "content-type": query.get("type") ?? "application/json",
      "x-answer": "Yes",
      ...(retryAfter === null ? {} : { "retry-after": retryAfter }),
    });
    const stall = query.get("stall");
    if (stall !== null) {
      response.write("x".repeat(Number(stall)));
      await gateOf(query.get("until") ?? "").promise;
    }
    const bytes = Number(query.get("bytes") ?? 0);
    response.end(
      bytes > 0 ? "x".repeat(bytes) : (query.get("body") ?? (query.has("count") ? String(came.length + 1) : "")),
    );
  }

  // An idle connection is never closed, which could cut off a request that comes at that very instant.
  const server = createServer({ keepAliveTimeout: 0 }, (request, response) => void answer(request, response));
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    boxes,
    close: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const httpServer = await openHttpServer();
  project.provide("httpServer", httpServer.url);
  return () => httpServer.close();
}
