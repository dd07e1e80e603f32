/**
 * Owns: the sockets of those who follow an object, at the object's end: letting them in, telling them.
 * Does not own: what they are told (host, directory), who passes it on (follow, feed).
 * Invariant 1: an open socket keeps no object awake: it sleeps with the object, and a ping is answered
 * without it.
 * Invariant 2: where nobody follows, telling costs one look: below a microsecond, and nothing is written out.
 */
import type { Entry } from "../core/entry.ts";
import type { ShardSaid } from "./rpc/directory.ts";
import type { RunSaid } from "./rpc/run.ts";

export const ping = "ping";
export const pong = "pong";

/** Characters beyond which a commit is only announced: whoever wants it reads the history. */
const longestMessage = 262_144;

export class Followers {
  readonly #ctx: DurableObjectState;

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
  }

  get isEmpty(): boolean {
    return this.#ctx.getWebSockets().length === 0;
  }

  /** Lets one more in; the first it hears is `hello`. */
  admit(request: Request, hello: RunSaid | ShardSaid): Response {
    if (request.headers.get("upgrade") !== "websocket") return new Response(null, { status: 426 });
    const { 0: theirs, 1: ours } = new WebSocketPair();
    this.#ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(ping, pong));
    this.#ctx.acceptWebSocket(ours);
    ours.send(JSON.stringify(hello));
    return new Response(null, { status: 101, webSocket: theirs });
  }

  tell(said: RunSaid | ShardSaid): void {
    if (!this.isEmpty) this.#send(JSON.stringify(said));
  }

  /** Tells what a run has just written. */
  tellCommit(entries: readonly Entry[]): void {
    const last = entries.at(-1);
    if (last === undefined || this.isEmpty) return;
    const said = { seq: last.seq, status: null } satisfies RunSaid;
    const text = JSON.stringify({ ...said, entries } satisfies RunSaid);
    this.#send(text.length > longestMessage ? JSON.stringify(said) : text);
  }

  #send(text: string): void {
    for (const socket of this.#ctx.getWebSockets()) {
      try {
        socket.send(text);
      } catch {
        // It is closing: whoever was behind it has gone, or opens another.
      }
    }
  }
}
