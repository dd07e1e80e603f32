/**
 * Owns: the sockets of an object's followers, on the side of the object: accepting them and sending messages.
 * Does not own: the messages (host, directory), the followers (follow, feed).
 * Invariant 1: an open socket does not keep the object awake: it hibernates, and the platform answers pings.
 * Invariant 2: without followers, sending costs less than a microsecond, and nothing is serialized.
 */
import type { Entry } from "../../core/history/entry.ts";
import type { ShardMessage } from "../rpc/directory.ts";
import type { RunMessage } from "../rpc/run.ts";

export const ping = "ping";
export const pong = "pong";

/** The longest message. A larger commit is only announced, and followers read it from the history. */
const longestMessage = 262_144;

export class Followers {
  readonly #ctx: DurableObjectState;

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
  }

  get isEmpty(): boolean {
    return this.#ctx.getWebSockets().length === 0;
  }

  /** Accepts a follower, whose first message is `hello`. */
  admit(request: Request, hello: RunMessage | ShardMessage): Response {
    if (request.headers.get("upgrade") !== "websocket") return new Response(null, { status: 426 });
    const { 0: theirs, 1: ours } = new WebSocketPair();
    this.#ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(ping, pong));
    this.#ctx.acceptWebSocket(ours);
    ours.send(JSON.stringify(hello));
    return new Response(null, { status: 101, webSocket: theirs });
  }

  send(message: RunMessage | ShardMessage): void {
    if (!this.isEmpty) this.#send(JSON.stringify(message));
  }

  /** Sends the entries that a run has just written. */
  sendCommit(entries: readonly Entry[]): void {
    const last = entries.at(-1);
    if (last === undefined || this.isEmpty) return;
    const announcement = { seq: last.seq, status: null } satisfies RunMessage;
    const text = JSON.stringify({ ...announcement, entries } satisfies RunMessage);
    this.#send(text.length > longestMessage ? JSON.stringify(announcement) : text);
  }

  #send(text: string): void {
    for (const socket of this.#ctx.getWebSockets()) {
      try {
        socket.send(text);
      } catch {
        // The socket is closing: its follower is gone, or opens another.
      }
    }
  }
}
