/**
 * Owns: taking a run that is removed out of what others keep of it: the listing, its lanes, its key.
 * Does not own: what its own object keeps (memory).
 * Invariant 1: it can be done again, as a whole, after it failed half-way.
 */
import type { EntryOf } from "../core/entry.ts";
import { objectName } from "../core/key.ts";
import { directoryOf, laneObject, runObject } from "./address.ts";
import { nameOfKey } from "./digest.ts";
import { within } from "./patience.ts";
import { bornAt } from "../core/origin.ts";

const callLimitMs = 10_000;

/** @throws where one of them was not reached */
export async function takeOut(created: EntryOf<"run.created">): Promise<void> {
  const { id, shards, claims, key } = created;
  // It is listed under the creation of its first life.
  await within(directoryOf(id, shards).remove(id, bornAt(created)), callLimitMs);
  // A lane would take a run that it cannot find for one that is on its way.
  const own = objectName(id);
  for (const lane of claims ?? []) await within(laneObject(lane).release(own), callLimitMs);
  // Where its key came with an id, another object knows which.
  const name = key === undefined ? own : await nameOfKey(key);
  if (name !== own) await within(runObject(name).unbind(id), callLimitMs);
}
