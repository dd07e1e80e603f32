/**
 * Owns: a WebSocket from the Worker to an object, which is reopened when it breaks, and given up when that fails for long.
 * Does not own: its messages, and those that were missed while it was broken.
 * Invariant 1: the first message after each opening is the object's hello.
 * Invariant 2: it costs the object nothing while there are no messages, because the platform answers pings.
 */
import { ping, pong } from "./followers.ts";
import { patiently, within } from "../patience.ts";

type Listener = {
  heard(text: string): void;
  /** Called when it is given up. A HoldfastError means that the object has nothing to follow. */
  failed(error: unknown): void;
};

/** The interval of pings. A socket without an answer by the next ping is broken. */
const pingMs = 20_000;
const dialMs = 20_000;
/** After this time, a socket counts as stable. */
const stableMs = 10_000;

export class LiveSocket {
  readonly #dial: () => Promise<Response>;
  readonly #listener: Listener;
  readonly #pinging: ReturnType<typeof setInterval>;
  #socket: WebSocket | null = null;
  #unanswered = false;
  #openedAt = 0;
  #failures = 0;
  #attempt = 0;
  #closed = false;

  /** @param dial throws a HoldfastError if there is nothing to follow */
  constructor(dial: () => Promise<Response>, listener: Listener) {
    this.#dial = dial;
    this.#listener = listener;
    this.#pinging = setInterval(() => this.#ping(), pingMs);
  }

  /** @throws the last error, if it cannot be opened for long */
  async open(): Promise<void> {
    try {
      await patiently(
        () => this.#connect(),
        () => this.#closed,
        this.#failures,
      );
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    this.#closed = true;
    this.#attempt++;
    clearInterval(this.#pinging);
    this.#hangUp();
  }

  async #connect(): Promise<void> {
    await within(this.#reach(++this.#attempt), dialMs);
  }

  async #reach(attempt: number): Promise<void> {
    const { status, webSocket: socket } = await this.#dial();
    if (socket === null) throw new Error(`an object answered ${status} where a socket was asked for`);
    socket.addEventListener("message", ({ data }) => this.#receive(socket, data));
    socket.addEventListener("close", () => this.#broke(socket));
    socket.addEventListener("error", () => this.#broke(socket));
    socket.accept();
    // This attempt was given up meanwhile.
    if (attempt !== this.#attempt) return socket.close(1000);
    this.#socket = socket;
    this.#unanswered = false;
    this.#openedAt = Date.now();
  }

  #receive(socket: WebSocket, data: unknown): void {
    if (this.#socket !== socket) return;
    if (data === pong) this.#unanswered = false;
    else if (typeof data === "string") this.#listener.heard(data);
  }

  #ping(): void {
    const socket = this.#socket;
    if (socket === null) return;
    if (this.#unanswered) return this.#broke(socket);
    this.#unanswered = true;
    try {
      socket.send(ping);
    } catch {
      this.#broke(socket);
    }
  }

  #broke(socket: WebSocket): void {
    if (this.#socket !== socket) return;
    // A socket that breaks as soon as it is open is reopened with growing pauses.
    this.#failures = Date.now() - this.#openedAt > stableMs ? 0 : this.#failures + 1;
    this.#hangUp();
    this.open().catch((error: unknown) => this.#listener.failed(error));
  }

  #hangUp(): void {
    const socket = this.#socket;
    this.#socket = null;
    try {
      socket?.close(1000);
    } catch {
      // The socket is closed already.
    }
  }
}
