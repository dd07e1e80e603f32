/**
 * Owns: sending one request of a step and reading the response, up to the limit of a result.
 * Does not own: which requests are sent and when (courier), the meaning of a response for the step (core/courier/order).
 * Invariant 1: no more is read than a value may have, and only one large body is in memory at a time, so that all requests
 * fit into the memory of one object.
 */
import { joinBytes } from "../../core/bytes.ts";
import { messageOf } from "../../core/error.ts";
import {
  answeredEnd,
  beginningBytes,
  headersOf,
  isAnswer,
  longestOrderMs,
  refusedEnd,
} from "../../core/courier/order.ts";
import type { Order, OrderEnd } from "../../core/courier/order.ts";
import { group, maxValueBytes } from "../../core/size.ts";
import { inTime } from "../patience.ts";
import type { Semaphore } from "../semaphore.ts";

/** Larger bodies are read one at a time. */
const smallBytes = 1024 * 1024;

/** Limits for all requests of an object: those that wait for response headers, and large bodies. */
export type Capacity = { readonly waiting: Semaphore; readonly large: Semaphore };

/** The result; `leave` has to be called when it is not in memory any more. */
export type Exchanged = { readonly end: OrderEnd; readonly leave: () => void };

/** Rejects only when stopped. */
export async function exchange(order: Order, capacity: Capacity, stop: AbortSignal): Promise<Exchanged> {
  let leave = (): void => {};
  const leaveWaiting = await capacity.waiting.take();
  const ask = async (signal: AbortSignal): Promise<OrderEnd> => {
    const response = await send(order, signal);
    leaveWaiting();
    return await read(order, response, async () => {
      leave = await capacity.large.take();
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
  const message = messageOf(error);
  // Where a redirect cannot be followed the platform quotes whole addresses, in which there may be secrets.
  return { kind: "failed", message: message.includes("://") ? "a redirect cannot be followed" : message };
}

/** A body that is being read. */
class Body {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  readonly #chunks: Uint8Array[] = [];
  #length = 0;
  #done = false;

  constructor({ body }: Response) {
    this.#reader = body?.getReader();
  }

  /** Returns the whole body, or, if it is longer than `limit`, more than `limit` bytes of it. */
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

  /** Stops reading. */
  async leave(): Promise<void> {
    if (!this.#done) await this.#reader?.cancel().catch(() => {});
  }
}
