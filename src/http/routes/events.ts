/**
 * Owns: live events over HTTP: as server-sent events, and as messages of a WebSocket.
 * Does not own: the events and their order (the service's streams), how an entry is shown (view).
 *
 * 1. While there are no events, comments are sent as heartbeats. They are made here, and wake no object.
 * 2. Backpressure: what a client does not read is not read from the service either. A WebSocket does not tell what its
 *    client has read, so it is closed after a fixed amount, and the client has to reconnect.
 * 3. Every server-sent event of a run is an entry. Its end is told by a comment, and by 204 to an event source that
 *    reconnects.
 */
import { createRoom } from "../../core/value/json.ts";
import type { DirectoryChange } from "../../core/service/directory.ts";
import type { RunNews, Service } from "../../core/service/service.ts";
import { RequestError } from "../problem.ts";
import { filterNames, readCount, readFilter, readQuery } from "../query.ts";
import type { Call, Route } from "../route.ts";
import { viewEntry, viewSummary } from "../view.ts";

/** An entry of a run, the end of the run, or a change of the listing. */
type Event =
  | { readonly id: number; readonly data: unknown }
  | { readonly end: unknown }
  | { readonly name: string; readonly data: unknown };

const everyMs = 15_000;
/** How long a client should wait before it reconnects. */
const retryMs = 1000;
/**
 * Characters that are sent on one WebSocket. The runtime buffers everything for a slow client, and does not tell how much:
 * only a client that reconnects has certainly read what was sent before.
 */
const maxCarried = 8_388_608;

/** @param heartbeatMs the pause after which a heartbeat is sent */
export function eventRoutes(heartbeatMs = everyMs): Route[] {
  return [
    { method: "GET", path: "/v1/runs/:id/events", role: "read", handle: (call) => run(call, heartbeatMs) },
    {
      method: "GET",
      path: "/v1/directory/events",
      role: "read",
      handle: (call) => directory(call, heartbeatMs),
    },
  ];
}

async function run({ service, request, param }: Call, heartbeatMs: number): Promise<Response> {
  const after = readCount(readQuery(request, ["after"]), "after");
  // A client that began with `after`, and got no event, reconnects without the header.
  const last = readLastEvent(request) ?? after ?? 0;
  const id = param("id");
  if (last > 0 && isEventSource(request) && (await isOver(service, id, last))) {
    return new Response(null, { status: 204 });
  }
  const news = await service.runs.follow(id, last);
  const events = sourceOf(news, (said) => runEvents(id, said));
  return respond(request, events, heartbeatMs);
}

/** Whether the run has ended and this is its last entry. */
async function isOver({ runs }: Service, id: string, last: number): Promise<boolean> {
  const { entries, ended = false } = await runs.history(id, last, 1);
  return ended && entries.length === 0;
}

function runEvents(id: string, news: RunNews): readonly Event[] {
  switch (news.kind) {
    case "entries": {
      const room = createRoom();
      return news.entries.map((entry) => ({ id: entry.seq, data: viewEntry(entry, room) }));
    }
    case "ended":
      return [{ end: { id, status: news.status } }];
    default:
      return news satisfies never;
  }
}

async function directory({ service, request }: Call, heartbeatMs: number): Promise<Response> {
  const changes = await service.directory.follow(readFilter(readQuery(request, filterNames)));
  const events = sourceOf(changes, (batch) => batch.map(directoryEvent));
  return respond(request, events, heartbeatMs);
}

function directoryEvent(change: DirectoryChange): Event {
  switch (change.kind) {
    case "ready":
      return { name: "ready", data: {} };
    case "listed":
      return { name: "run", data: viewSummary(change.run) };
    case "removed":
      return { name: "removed", data: { id: change.id } };
    default:
      return change satisfies never;
  }
}

/** The last event that a reconnecting client has seen. @throws RequestError header_invalid */
function readLastEvent(request: Request): number | undefined {
  const text = request.headers.get("last-event-id");
  if (text === null || text === "") return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new RequestError("header_invalid", "The header Last-Event-ID must be a whole number, the id of an event.");
}

/** Events in batches; null after the last. */
type Source = { next(): Promise<readonly Event[] | null>; cancel(): Promise<void> };

function sourceOf<News>(stream: ReadableStream<News>, toEvents: (news: News) => readonly Event[]): Source {
  const reader = stream.getReader();
  return {
    next: async () => {
      const next = await reader.read();
      return next.done ? null : toEvents(next.value);
    },
    cancel: () => reader.cancel(),
  };
}

/** Event sources reconnect after every close, unless they are answered 204. */
function isEventSource({ headers }: Request): boolean {
  return headers.get("accept")?.includes("text/event-stream") === true;
}

async function respond(request: Request, events: Source, heartbeatMs: number): Promise<Response> {
  if (request.headers.get("upgrade")?.toLowerCase() === "websocket") return upgrade(events, heartbeatMs);
  const headers = { "content-type": "text/event-stream", "x-accel-buffering": "no" };
  if (request.method !== "HEAD") return new Response(toText(events, heartbeatMs), { headers });
  await events.cancel();
  return new Response(null, { headers });
}

function toText(events: Source, heartbeatMs: number): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let stopBeating = (): void => {};
  return new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(encoder.encode(`retry: ${retryMs}\n\n`));
      stopBeating = every(heartbeatMs, () => {
        // No heartbeat while the client has unread events.
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(": heartbeat\n\n"));
      });
    },
    async pull(controller) {
      const batch = await events.next().catch((error: unknown) => {
        stopBeating();
        throw error;
      });
      if (batch !== null) return controller.enqueue(encoder.encode(batch.map(line).join("")));
      stopBeating();
      controller.close();
    },
    async cancel() {
      stopBeating();
      await events.cancel();
    },
  });
}

function line(event: Event): string {
  if ("end" in event) return `: end ${JSON.stringify(event.end)}\n\n`;
  const head = "name" in event ? `event: ${event.name}` : `id: ${event.id}`;
  return `${head}\ndata: ${JSON.stringify(event.data)}\n\n`;
}

function upgrade(events: Source, heartbeatMs: number): Response {
  const { 0: theirs, 1: ours } = new WebSocketPair();
  ours.accept();
  void relay(events, ours, heartbeatMs);
  return new Response(null, { status: 101, webSocket: theirs });
}

async function relay(events: Source, socket: WebSocket, heartbeatMs: number): Promise<void> {
  const stopBeating = every(heartbeatMs, () => socket.send('{"heartbeat":true}'));
  const leave = (): void => {
    stopBeating();
    events.cancel().catch(() => {});
  };
  socket.addEventListener("close", leave);
  socket.addEventListener("error", leave);
  try {
    const isWhole = await carry(events, socket);
    if (isWhole) socket.close(1000, "end");
    else socket.close(1013, "come back with ?after= and the last id");
  } catch {
    // The client can reconnect.
    socket.close(1011, "the events cannot be read at the moment");
  }
  leave();
}

/** @returns true at the end of the events; false if the limit of the socket was reached first */
async function carry(events: Source, socket: WebSocket): Promise<boolean> {
  let carried = 0;
  for (let batch = await events.next(); batch !== null; batch = await events.next()) {
    for (const event of batch) {
      const text = JSON.stringify("name" in event ? { event: event.name, data: event.data } : event);
      if (carried > 0 && carried + text.length > maxCarried) return false;
      carried += text.length;
      socket.send(text);
    }
  }
  return true;
}

/** @returns a function that stops it */
function every(ms: number, act: () => void): () => void {
  const beating = setInterval(act, ms);
  return () => clearInterval(beating);
}
