/**
 * Owns: one courier: an object that sends requests for runs while these are idle, many at once, and delivers each response
 * to its run, with retries.
 * Does not own: the request, which the run stores and can repeat (engine/courier/orders), sending it (exchange), which courier a run
 * uses (couriers).
 * Invariant 1: the id of a request is stored before the request is sent. After a death of its process, a courier gets the
 * requests from their runs again, immediately and by itself.
 * Invariant 2: the content of requests and responses is not stored here, and the id is deleted when the request is over.
 * Invariant 3: while there are requests, the alarm's handler is running, and the platform repeats the alarm if the process
 * dies. Without requests the object is evicted and costs nothing.
 */
import { bodyBytes } from "../../core/courier/order.ts";
import type { Order, OrderId } from "../../core/courier/order.ts";
import { Bell } from "../../engine/turn/bell.ts";
import { runObject } from "../address.ts";
import { setAlarm } from "../alarm.ts";
import { unwrap } from "../answer.ts";
import { exchange } from "./exchange.ts";
import type { Capacity, Exchanged } from "./exchange.ts";
import { backoff, describe, untilSo, upTo, within } from "../patience.ts";
import type { Answer } from "../answer.ts";
import type { CourierRpc } from "../rpc/courier.ts";
import { Semaphore } from "../semaphore.ts";

/** The platform's limit of requests of an object that wait for response headers; it queues others silently. */
const maxWaiting = 6;
/** The limit of all requests, including those whose body is being read or whose response is being delivered. */
const maxActive = 48;
/** The limit of request bodies in memory, of which an object has 128 MB. */
const maxBytes = 32 * 1024 * 1024;
/** How long room is reserved for an announced request. */
const reservedMs = 10_000;
/** After this time the run has given up the attempt, or repeats it. */
const forgottenMs = 20 * 60_000;
/** How late the call with a request may arrive, after its run has given up on it and repeated it. */
const lateMs = 60_000;
const longestPauseMs = 30_000;
/** Allows for a run that has to be loaded from its journal. */
const patienceMs = 60_000;
/** Below the platform's limit of 15 minutes for an alarm's handler. */
const longestAlarmMs = 10 * 60_000;

const prefix = "order ";

/** A request in progress; `stop` aborts it, `bytes` is the size of its body. */
type ActiveRequest = { readonly stop: AbortController; readonly bytes: number };

export class Courier implements CourierRpc {
  readonly #ctx: DurableObjectState;
  readonly #capacity: Capacity = { waiting: new Semaphore(maxWaiting), large: new Semaphore(1) };
  readonly #active = new Map<string, ActiveRequest>();
  /** Reservations for announced requests, oldest first. */
  #reserved: { readonly lapsesAt: number; readonly bytes: number }[] = [];
  /** Requests that are over, with the time until which this is remembered; oldest first. */
  readonly #over = new Map<string, number>();
  readonly #idle = new Bell();
  /** Whether the alarm is set or being handled. */
  #watched = false;

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
  }

  async reserveBerth(bytes: number): Promise<boolean> {
    // Those that have large answers stand in line for each other: who comes anew is better off elsewhere.
    if (this.#capacity.large.wanted > 0) return false;
    const now = Date.now();
    this.#reserved = this.#reserved.filter(({ lapsesAt }) => lapsesAt > now);
    const kept = this.#reserved.length;
    if (this.#capacity.waiting.wanted + kept >= maxWaiting || this.#active.size + kept >= maxActive) return false;
    const held = [...this.#active.values(), ...this.#reserved].reduce((sum, each) => sum + each.bytes, 0);
    if (held > 0 && held + bytes > maxBytes) return false;
    this.#reserved.push({ lapsesAt: now + reservedMs, bytes });
    return true;
  }

  async carryOrder(order: Order): Promise<void> {
    const name = nameOf(order.id);
    // A repeated call has its room already: the reservations are for other requests.
    if (this.#active.has(name)) return;
    this.#reserved.shift();
    if ((this.#over.get(name) ?? 0) > Date.now()) return;
    this.#ctx.storage.kv.put(name, true);
    this.#begin(name, order.id, order);
    this.#watch();
  }

  async dropOrder(id: OrderId): Promise<void> {
    const name = nameOf(id);
    this.#close(name);
    this.#active.get(name)?.stop.abort(new Error("the run does not wait for it any more"));
    this.#ctx.storage.kv.delete(name);
  }

  /** Resumes requests of an earlier life, and runs as long as there are any. Throws if the storage fails, so that the platform repeats the alarm. */
  async alarm(): Promise<void> {
    this.#watched = true;
    try {
      for (const [name] of this.#ctx.storage.kv.list({ prefix })) {
        if (!this.#active.has(name)) this.#begin(name, idOf(name), null);
      }
      await untilSo(() => this.#active.size === 0, this.#idle, longestAlarmMs);
    } finally {
      this.#watched = false;
      if (this.#active.size > 0) this.#watch();
    }
  }

  /** Ensures that requests are resumed if this process dies. */
  #watch(): void {
    if (this.#watched) return;
    this.#watched = true;
    const armed = setAlarm(this.#ctx.storage, Date.now() + 1, () => this.#active.size > 0).then((failures) => {
      // Setting the alarm was given up, because there were no more requests.
      if (failures > 0 && this.#active.size === 0) this.#watched = false;
    });
    this.#ctx.waitUntil(armed);
  }

  /** Remembers that the request is over, so that it is not sent again if its call arrives late. */
  #close(name: string): void {
    const now = Date.now();
    for (const [over, until] of this.#over) {
      if (until > now) break;
      this.#over.delete(over);
    }
    this.#over.set(name, now + lateMs);
  }

  #begin(name: string, id: OrderId, order: Order | null): void {
    const stop = new AbortController();
    this.#active.set(name, { stop, bytes: order === null ? 0 : bodyBytes(order.request) });
    const carried = this.#deliver(id, order, stop.signal)
      .catch((error: unknown) => {
        if (!stop.signal.aborted) console.warn(`a request of run ${id.runId} is given up: ${describe(error)}`);
      })
      .finally(() => {
        this.#active.delete(name);
        // First, because an alarm that waits for this would keep the object awake if the storage failed.
        if (this.#active.size === 0) this.#idle.ring();
        this.#ctx.storage.kv.delete(name);
      });
    this.#ctx.waitUntil(carried);
  }

  /** Sends the request and delivers the result to its run. Without an order, first gets it from the run. */
  async #deliver(id: OrderId, given: Order | null, stop: AbortSignal): Promise<void> {
    const run = (): ReturnType<typeof runObject> => runObject(id.runId);
    const order = given ?? (await untilAnswered(() => run().repeatOrder(id), stop));
    if (order === null) return;
    const { end, leave }: Exchanged = await exchange(order, this.#capacity, stop);
    try {
      await untilAnswered(() => run().orderEnded({ ...id, end }), stop);
      this.#close(nameOf(id));
    } finally {
      leave();
    }
  }
}

/** Calls a run until it answers; null if it was removed, or does not need this request any more. */
async function untilAnswered<Value>(ask: () => Promise<Answer<Value>>, stop: AbortSignal): Promise<Value | null> {
  const until = Date.now() + forgottenMs;
  for (let failures = 1; ; failures++) {
    stop.throwIfAborted();
    try {
      const answer = await within(ask(), patienceMs);
      if (!answer.ok && (answer.refusal.code === "run_not_found" || answer.refusal.code === "run_ended")) return null;
      return unwrap(answer);
    } catch (error) {
      if (Date.now() > until) throw error;
    }
    await pause(backoff(failures, longestPauseMs), stop);
  }
}

/** Resolves after that time, or when stopped. */
async function pause(ms: number, stop: AbortSignal): Promise<void> {
  await upTo(ms, new Promise<void>((resolve) => stop.addEventListener("abort", () => resolve(), { once: true })));
}

/** The storage key of a request: its id, without content. */
function nameOf({ runId, createdAt, seq }: OrderId): string {
  return prefix + JSON.stringify([runId, createdAt, seq]);
}

function idOf(name: string): OrderId {
  const [runId, createdAt, seq] = JSON.parse(name.slice(prefix.length)) as [string, number, number];
  return { runId, createdAt, seq };
}
