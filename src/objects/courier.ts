/**
 * Owns: one courier: an object among the runs that makes requests for them while they rest, many at once, and
 * brings each answer to its run until that has heard it.
 * Does not own: the request itself, which the run keeps and can repeat (engine/orders), making it (exchange),
 * which courier a run turns to (couriers).
 * Invariant 1: what it carries is written down before it is sent: one that dies asks the runs once more what it
 * was to send, by itself and at once.
 * Invariant 2: nothing of a request or an answer is stored here; what is, goes with the request's end.
 * Invariant 3: while it carries something an alarm is being handled, which comes again should the process die; with
 * nothing to carry it sleeps and costs nothing.
 */
import { bodyBytes } from "../core/order.ts";
import type { Order, OrderId } from "../core/order.ts";
import { Bell } from "../engine/bell.ts";
import { runObject } from "./address.ts";
import { setAlarm } from "./alarm.ts";
import { unwrap } from "./answer.ts";
import { exchange } from "./exchange.ts";
import type { Exchanged, Hold } from "./exchange.ts";
import { backoff, describe, within } from "./patience.ts";
import type { Answer } from "./answer.ts";
import type { CourierRpc } from "./rpc/courier.ts";
import { Semaphore } from "./semaphore.ts";
import { timer } from "./timer.ts";

/** The platform lets an object wait for the headers of so many responses at once, and queues the rest without a word. */
const maxWaiting = 6;
/** The same with those whose body is being read, or whose answer is being brought to its run. */
const maxCarried = 48;
/** Bodies that wait to be sent, or are on their way: an object has 128 MB in all. */
const maxBytes = 32 * 1024 * 1024;
/** How long room is kept for a request that was announced. */
const reservedMs = 10_000;
/** After this long its run has given up the attempt, or asks again. */
const forgottenMs = 20 * 60_000;
/** A call that hands over a request may arrive this late, when its run has given it up and made another. */
const lateMs = 60_000;
const longestPauseMs = 30_000;
/** A run may have to be read from its journal first. */
const patienceMs = 60_000;
/** An alarm may run for 15 minutes. */
const longestAlarmMs = 10 * 60_000;

const prefix = "order ";

/** `stop` ends it; `bytes` is what its body takes. */
type Carried = { readonly stop: AbortController; readonly bytes: number };

export class Courier implements CourierRpc {
  readonly #ctx: DurableObjectState;
  readonly #hold: Hold = { waiting: new Semaphore(maxWaiting), large: new Semaphore(1) };
  readonly #carried = new Map<string, Carried>();
  /** Room that is kept for announced requests, the oldest first. */
  #reserved: { readonly lapsesAt: number; readonly bytes: number }[] = [];
  /** Requests that are over, and until when that is remembered; the oldest first. */
  readonly #over = new Map<string, number>();
  readonly #idle = new Bell();
  /** An alarm is being handled, or about to be. */
  #watched = false;

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
  }

  async reserveBerth(bytes: number): Promise<boolean> {
    const now = Date.now();
    this.#reserved = this.#reserved.filter(({ lapsesAt }) => lapsesAt > now);
    const kept = this.#reserved.length;
    if (this.#hold.waiting.wanted + kept >= maxWaiting || this.#carried.size + kept >= maxCarried) return false;
    const held = [...this.#carried.values(), ...this.#reserved].reduce((sum, each) => sum + each.bytes, 0);
    if (held > 0 && held + bytes > maxBytes) return false;
    this.#reserved.push({ lapsesAt: now + reservedMs, bytes });
    return true;
  }

  async carryOrder(order: Order): Promise<void> {
    this.#reserved.shift();
    const name = nameOf(order.id);
    if (this.#carried.has(name) || (this.#over.get(name) ?? 0) > Date.now()) return;
    this.#ctx.storage.kv.put(name, true);
    this.#carry(name, order.id, order);
    this.#watch();
  }

  async dropOrder(id: OrderId): Promise<void> {
    const name = nameOf(id);
    this.#close(name);
    this.#carried.get(name)?.stop.abort(new Error("the run does not wait for it any more"));
    this.#ctx.storage.kv.delete(name);
  }

  /** Takes up what a life before left, and stays for as long as anything is carried. Never throws. */
  async alarm(): Promise<void> {
    this.#watched = true;
    for (const [name] of this.#ctx.storage.kv.list({ prefix })) {
      if (!this.#carried.has(name)) this.#carry(name, idOf(name), null);
    }
    const limit = timer(Date.now() + longestAlarmMs);
    while (this.#carried.size > 0) {
      // What is over answers null, a bell nothing.
      if ((await Promise.race([this.#idle.heard(), limit.over])) === null) break;
    }
    limit.cancel();
    this.#watched = false;
    if (this.#carried.size > 0) this.#watch();
  }

  /** Sees to it that what is carried goes on should this process die. */
  #watch(): void {
    if (this.#watched) return;
    this.#watched = true;
    const armed = setAlarm(this.#ctx.storage, Date.now() + 1, () => this.#carried.size > 0).then((failures) => {
      // It was given up: nothing was carried any more.
      if (failures > 0 && this.#carried.size === 0) this.#watched = false;
    });
    this.#ctx.waitUntil(armed);
  }

  /** Remembers that the request is over: it is not made again, should it be handed over once more. */
  #close(name: string): void {
    const now = Date.now();
    for (const [over, until] of this.#over) {
      if (until > now) break;
      this.#over.delete(over);
    }
    this.#over.set(name, now + lateMs);
  }

  #carry(name: string, id: OrderId, order: Order | null): void {
    const stop = new AbortController();
    this.#carried.set(name, { stop, bytes: order === null ? 0 : bodyBytes(order.request) });
    const carried = this.#bring(id, order, stop.signal)
      .catch((error: unknown) => {
        if (!stop.signal.aborted) console.warn(`a request of run ${id.runId} is given up: ${describe(error)}`);
      })
      .finally(() => {
        this.#carried.delete(name);
        this.#ctx.storage.kv.delete(name);
        if (this.#carried.size === 0) this.#idle.ring();
      });
    this.#ctx.waitUntil(carried);
  }

  /** Makes the request and tells its run what came of it; without an order, the run is asked for it first. */
  async #bring(id: OrderId, given: Order | null, stop: AbortSignal): Promise<void> {
    const run = (): ReturnType<typeof runObject> => runObject(id.runId);
    const order = given ?? (await untilAnswered(() => run().repeatOrder(id), stop));
    if (order === null) return;
    const { end, leave }: Exchanged = await exchange(order, this.#hold, stop);
    try {
      await untilAnswered(() => run().orderEnded({ ...id, end }), stop);
      this.#close(nameOf(id));
    } finally {
      leave();
    }
  }
}

/** Asks a run until it answers; null where it is gone, or has nothing to do with this any more. */
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

/** Until then, or until it is stopped. */
async function pause(ms: number, stop: AbortSignal): Promise<void> {
  const limit = timer(Date.now() + ms);
  const stopped = new Promise<void>((resolve) => stop.addEventListener("abort", () => resolve(), { once: true }));
  await Promise.race([limit.over, stopped]);
  limit.cancel();
}

/** What is stored of a request: which it is, and nothing of its content. */
function nameOf({ runId, createdAt, seq }: OrderId): string {
  return prefix + JSON.stringify([runId, createdAt, seq]);
}

function idOf(name: string): OrderId {
  const [runId, createdAt, seq] = JSON.parse(name.slice(prefix.length)) as [string, number, number];
  return { runId, createdAt, seq };
}
