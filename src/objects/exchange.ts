/**
 * Owns: making one request of a run's step and reading what is answered, as far as it may be a result.
 * Does not own: which requests are made and when (courier), what an answer is to the step (core/order).
 * Invariant 1: no more is read than a value may hold, and only one body at a time is held that is large: however
 * many requests are under way, they fit into the memory of one object.
 */
import { joinBytes } from "../core/bytes.ts";
import { messageOf } from "../core/error.ts";
import { answeredEnd, beginningBytes, headersOf, isAnswer, longestOrderMs, refusedEnd } from "../core/order.ts";
import type { Order, OrderEnd } from "../core/order.ts";
import { group, maxValueBytes } from "../core/size.ts";
import { inTime } from "./patience.ts";
import type { Semaphore } from "./semaphore.ts";

/** A body beyond this is read while no other such is. */
const smallBytes = 1024 * 1024;

/** What an object can carry at once: requests that wait for their headers, and large bodies. */
export type Hold = { readonly waiting: Semaphore; readonly large: Semaphore };

/** What came of it; `leave` is called once that is held no longer. */
export type Exchanged = { readonly end: OrderEnd; readonly leave: () => void };

/** Rejects only where it was told to `stop`. */
export async function exchange(order: Order, hold: Hold, stop: AbortSignal): Promise<Exchanged> {
  let leave = (): void => {};
  const leaveWaiting = await hold.waiting.take();
  const ask = async (signal: AbortSignal): Promise<OrderEnd> => {
    const response = await send(order, signal);
    leaveWaiting();
    return await read(order, response, async () => {
      leave = await hold.large.take();
    });
  };
  try {
    const end = await inTime(stop, longestOrderMs, ask, "it took too long");
    return { end, leave };
  } catch (error) {
    leave();
    stop.throwIfAborted();
    return { end: failure(error), leave: () => {} };
  } finally {
    leaveWaiting();
  }
}

async function send(order: Order, signal: AbortSignal): Promise<Response> {
  const { method, url, body } = order.request;
  signal.throwIfAborted();
  return await fetch(url, { method, headers: headersOf(order), body, signal });
}

async function read(order: Order, response: Response, enlarge: () => Promise<void>): Promise<OrderEnd> {
  const parts = new Body(response);
  if (!isAnswer(response.status, order.request.accepted)) {
    const bytes = await parts.read(beginningBytes);
    await parts.leave();
    return refusedEnd(response, bytes, Date.now());
  }
  let bytes = await parts.read(smallBytes);
  if (bytes.byteLength > smallBytes) {
    await enlarge();
    bytes = await parts.read(maxValueBytes);
  }
  if (bytes.byteLength > maxValueBytes) {
    await parts.leave();
    const message = `the answer has more than ${group(maxValueBytes)} bytes, which is what a result may have`;
    return { kind: "unusable", code: "value_too_large", message };
  }
  return answeredEnd(order, response, bytes);
}

function failure(error: unknown): OrderEnd {
  return { kind: "failed", message: messageOf(error) };
}

/** A body as it comes in. */
class Body {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  readonly #chunks: Uint8Array[] = [];
  #length = 0;
  #done = false;

  constructor({ body }: Response) {
    this.#reader = body?.getReader();
  }

  /** All of it where that is no more than `limit`; else more than that, of which the rest is not waited for. */
  async read(limit: number): Promise<Uint8Array> {
    while (!this.#done && this.#length <= limit && this.#reader !== undefined) {
      const { done, value } = await this.#reader.read();
      this.#done = done;
      if (value === undefined) continue;
      this.#length += value.byteLength;
      this.#chunks.push(value);
    }
    return joinBytes(this.#chunks);
  }

  /** Nobody reads on. */
  async leave(): Promise<void> {
    if (!this.#done) await this.#reader?.cancel().catch(() => {});
  }
}
