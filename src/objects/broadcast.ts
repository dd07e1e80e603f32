/**
 * Owns: the order in which a broadcast is kept, offered, delivered and settled.
 * Does not own: what is buffered (the first shard), who waits (the shards), consuming (the run).
 *
 * 1. A signal is held and offered everywhere before anyone is asked whether it waits: a run that
 *    begins to wait at any moment is either found by the broadcast or finds the offer itself.
 * 2. A buffered signal is claimed by one run before that run receives it, and a claim passes on only
 *    after the claimer has refused.
 * 3. Towards a run a broadcast has one key, `broadcast:<id>`: delivering it again is a duplicate.
 * 4. However many runs wait, no request makes more calls than the platform allows: beyond a hundred runs the shards call
 *    them, portion by portion, and each shard has calls of its own to make.
 */
import { HoldfastError } from "../core/error.ts";
import type { SignalRequest } from "../core/service.ts";
import { directoryShard, directoryShards, runObject } from "./address.ts";
import { unwrap } from "./answer.ts";
import type { Answer } from "./answer.ts";

const keptMs = 86_400_000;
/** Runs that are called at once, and the most that whoever sends the signal calls itself. */
const atOnce = 100;
/** Runs that one call of a shard delivers to: with calls that are made again, fewer than the platform lets it make. */
const portion = 200;

/**
 * To every run that waits for the name; kept for the next waiter, for a day, if none does. With a
 * key, a repetition within the day is the same broadcast and does nothing more.
 * @throws HoldfastError idempotency_conflict: the key was used for another name or payload.
 */
export async function broadcast(
  signal: SignalRequest,
): Promise<{ readonly delivered: number; readonly buffered: boolean }> {
  const id = signal.key ?? crypto.randomUUID();
  const { name } = signal;
  const expiresAt = Date.now() + keptMs;
  const held = await directoryShard(0).hold(id, signal, expiresAt);
  if (held.kind === "settled") return { delivered: held.delivered, buffered: false };
  if (held.kind === "conflict") {
    throw new HoldfastError("idempotency_conflict", "the same Idempotency-Key came with another signal");
  }
  if (held.kind === "unreadable") throw new HoldfastError(held.code, held.message);
  await Promise.all(directoryShards().map((shard) => shard.offer(id, name, expiresAt)));
  const delivered = await deliverToAll(await waitersOf(name), id, signal);
  if (delivered > 0) {
    await settle(id, name, delivered);
    return { delivered, buffered: false };
  }
  // A run that began to wait in between may have found the offer already.
  return directoryShard(0).outcome(id);
}

/** `more` where the run would take another of that name. */
export type Receive = (
  signal: SignalRequest,
) => Promise<Answer<{ readonly duplicate: boolean; readonly more?: boolean }>>;

/**
 * What `report` offered to a run: claims it, signal by signal, hands it to `receive` (the run's own
 * `signal`, with `onlyIfWaiting`, which answers once it is durable) and settles it. Safe to repeat.
 */
export async function claimOffers(runId: string, offers: readonly string[], receive: Receive): Promise<void> {
  for (const name of new Set(offers)) {
    await claimName(runId, name, offers.filter((other) => other === name).length, receive);
  }
}

async function claimName(runId: string, name: string, waits: number, receive: Receive): Promise<void> {
  const refused: string[] = [];
  for (let open = waits; open > 0;) {
    const held = await directoryShard(0).claim(name, runId, refused);
    if (held === null) return;
    const answer = await receive(asBroadcast(held.id, held.signal));
    if (answer.ok) {
      await settle(held.id, name, 1);
      // A duplicate was consumed in an earlier life of the run: this wait is still open.
      if (!answer.value.duplicate) open--;
      if (answer.value.more === true) open = Math.max(open, 1);
      continue;
    }
    await directoryShard(0).release(held.id, runId);
    // A payload that this run's schema refuses says nothing about the next one; all else does.
    if (answer.refusal.code !== "signal_invalid") return;
    refused.push(held.id);
  }
}

/** Ids of runs that wait for the name, as far as they have reported. */
export async function waitersOf(name: string): Promise<readonly string[]> {
  const parts = await Promise.all(directoryShards().map((shard) => shard.waiters(name)));
  return parts.flat();
}

/** Whether the run took it, now or before. @throws when the run cannot be asked, or cannot be read for want of a key */
export async function deliver(runId: string, id: string, signal: SignalRequest): Promise<boolean> {
  const request = asBroadcast(id, signal);
  // A run that was just being replaced or restarted answers the second time; the key makes it safe.
  const send = () => runObject(runId).signal(request, true);
  const answer = await send().catch(send);
  // It may well wait for it, once its key is back.
  if (!answer.ok && answer.refusal.code === "key_missing") unwrap(answer);
  return answer.ok;
}

/** Delivered: no other run may have it, and nobody needs to be told of it. */
export async function settle(id: string, name: string, delivered: number): Promise<void> {
  await directoryShard(0).settle(id, delivered);
  // An offer that stays behind costs its finders a call and expires; it is no reason to fail.
  await Promise.allSettled(directoryShards().map((shard) => shard.withdraw(id, name)));
}

/** @throws what a run could not be asked for: every other run has it by then, and the same key again reaches the rest */
async function deliverToAll(runIds: readonly string[], id: string, signal: SignalRequest): Promise<number> {
  if (runIds.length <= atOnce) return await deliverToEach(runIds, id, signal);
  const portions = slices(runIds, portion);
  let delivered = 0;
  const failures: unknown[] = [];
  // A shard has new calls to make with each that it takes, so it takes one after the other.
  const work = async (index: number): Promise<void> => {
    for (const part of portions) {
      try {
        const took = await deliverBy(index, part, id, signal);
        delivered += took;
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(directoryShards().map((_shard, index) => work(index)));
  if (failures.length > 0) throw failures[0];
  return delivered;
}

/** As `deliverToEach`, with calls of that shard's. */
async function deliverBy(index: number, runIds: readonly string[], id: string, signal: SignalRequest): Promise<number> {
  const send = () => directoryShard(index).deliver(runIds, id, signal);
  try {
    return unwrap(await send().catch(send));
  } catch (error) {
    // One that still runs the code of before has no such call.
    if (error instanceof TypeError) return await deliverToEach(runIds, id, signal);
    throw error;
  }
}

/** How many of these runs took it. @throws as `deliverToAll` */
export async function deliverToEach(runIds: readonly string[], id: string, signal: SignalRequest): Promise<number> {
  let delivered = 0;
  const failures: unknown[] = [];
  for (const part of slices(runIds, atOnce)) {
    for (const outcome of await Promise.allSettled(part.map((runId) => deliver(runId, id, signal)))) {
      if (outcome.status === "rejected") failures.push(outcome.reason);
      else if (outcome.value) delivered++;
    }
  }
  if (failures.length > 0) throw failures[0];
  return delivered;
}

function* slices<Item>(items: readonly Item[], length: number): Generator<readonly Item[]> {
  for (let from = 0; from < items.length; from += length) yield items.slice(from, from + length);
}

function asBroadcast(id: string, signal: SignalRequest): SignalRequest {
  return { ...signal, key: `broadcast:${id}` };
}
