/**
 * Owns: the steps of a broadcast in their order: it is held, offered, delivered and settled.
 * Does not own: buffered signals (the first shard), the waiting runs (the shards), consumption (the run).
 *
 * 1. A signal is held and offered on all shards before waiting runs are looked up, so a run that begins to wait at any moment
 *    is either found by the broadcast or finds the offer itself.
 * 2. A buffered signal is claimed for one run before that run receives it. The claim passes on only after a refusal.
 * 3. Each run receives a broadcast under the key `broadcast:<id>`, so delivering it again is a duplicate.
 * 4. No request makes more calls than the platform allows: for more than a hundred runs the shards make the calls, in
 *    portions, because each shard has a limit of its own.
 */
import { HoldfastError } from "../../core/error.ts";
import type { BroadcastOutcome, SignalRequest } from "../../core/service/service.ts";
import { directoryShard, directoryShards, runObject } from "../address.ts";
import { unwrap } from "../answer.ts";
import type { Answer } from "../answer.ts";
import { within } from "../patience.ts";
import { needsDeployment } from "../run/damage.ts";

const keptMs = 86_400_000;
/** Longer than a schema of the author's may take for the payload. */
const callLimitMs = 60_000;
/** How many runs are called at once, and up to how many runs the sender calls without the shards. */
const atOnce = 100;
/** How many runs one call of a shard delivers to; including repeated calls, that is below the platform's limit. */
const portion = 200;

/**
 * Delivers the signal to every run that waits for the name; if none does, keeps it for the next one, for a day. With a key, a
 * repetition within the day is the same broadcast and has no further effect, unless it failed: then it is delivered to those
 * that wait still.
 * @throws HoldfastError idempotency_conflict: the key was used for another name or payload
 */
export async function broadcast(signal: SignalRequest): Promise<BroadcastOutcome> {
  const id = signal.key ?? crypto.randomUUID();
  const { name } = signal;
  const expiresAt = Date.now() + keptMs;
  const held = await directoryShard(0).hold(id, signal, expiresAt);
  if (held.kind === "settled") return { delivered: held.delivered, buffered: false };
  if (held.kind === "conflict") {
    throw new HoldfastError("idempotency_conflict", "the same Idempotency-Key came with another signal");
  }
  if (held.kind === "unreadable") throw new HoldfastError(held.code, held.message);
  if (held.kind === "open") await Promise.all(directoryShards().map((shard) => shard.offer(id, name, expiresAt)));
  const delivered = await deliverToAll(await waitersOf(name), id, signal);
  if (delivered > 0) {
    await settle(id, name, delivered, true);
    return { delivered, buffered: false };
  }
  // A run that began to wait meanwhile, or before a repetition, may have taken the offer already.
  return directoryShard(0).outcome(id);
}

/** `more` in the answer means that the run would take another signal of that name. */
export type Receive = (
  signal: SignalRequest,
) => Promise<Answer<{ readonly duplicate: boolean; readonly more?: boolean }>>;

/**
 * Takes the signals that `report` offered to a run, one by one: claims it, passes it to `receive` (the run's `signal` with
 * `onlyIfWaiting`, which answers when it is durable) and settles it. Safe to repeat.
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
      await settle(held.id, name, 1, false);
      // A duplicate was consumed in an earlier incarnation of the run, so this wait is still open.
      if (!answer.value.duplicate) open--;
      if (answer.value.more === true) open = Math.max(open, 1);
      continue;
    }
    await directoryShard(0).release(held.id, runId);
    // After an invalid payload the next signal may still be accepted; after any other refusal none would.
    if (answer.refusal.code !== "signal_invalid") return;
    refused.push(held.id);
  }
}

/** Ids of runs that have reported that they wait for the name. */
export async function waitersOf(name: string): Promise<readonly string[]> {
  const parts = await Promise.all(directoryShards().map((shard) => shard.waiters(name)));
  return parts.flat();
}

/** Whether the run accepted it, now or before. @throws if the run cannot be reached, or needs a key or a version to be opened */
export async function deliver(runId: string, id: string, signal: SignalRequest): Promise<boolean> {
  const request = asBroadcast(id, signal);
  // Repeated once, because the object may just have been replaced or restarted; the key makes this safe.
  const send = () => runObject(runId).signal(request, true);
  const answer = await within(send().catch(send), callLimitMs);
  // A run that cannot be opened for now may be waiting for the signal.
  if (!answer.ok && needsDeployment.has(answer.refusal.code)) unwrap(answer);
  return answer.ok;
}

/**
 * Ends a broadcast that was delivered: no run that begins to wait later gets it.
 * @param finished whether all that waited were asked, as the sender does; a claimer knows of itself only
 */
export async function settle(id: string, name: string, delivered: number, finished: boolean): Promise<void> {
  await directoryShard(0).settle(id, delivered, finished);
  // An offer that remains costs a call and expires, so an error here is ignored.
  await Promise.allSettled(directoryShards().map((shard) => shard.withdraw(id, name)));
}

/** @throws if a run could not be reached: all others have the signal then, and a repetition with the same key reaches the rest */
async function deliverToAll(runIds: readonly string[], id: string, signal: SignalRequest): Promise<number> {
  if (runIds.length <= atOnce) return await deliverToEach(runIds, id, signal);
  const portions = slices(runIds, portion);
  let delivered = 0;
  const failures: unknown[] = [];
  // The limit counts for each call that a shard receives, so it gets one portion after the other.
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

/** Like `deliverToEach`, but the shard makes the calls. */
async function deliverBy(index: number, runIds: readonly string[], id: string, signal: SignalRequest): Promise<number> {
  const send = () => directoryShard(index).deliver(runIds, id, signal);
  try {
    return unwrap(await send().catch(send));
  } catch (error) {
    // A shard of the deployment before does not have this method.
    if (error instanceof TypeError) return await deliverToEach(runIds, id, signal);
    throw error;
  }
}

/** Returns how many of these runs accepted it. @throws as `deliverToAll` */
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
