/**
 * Owns: three marks that an object stores with or without a run: the run id that an Idempotency-Key belongs to, the other run
 * that answered a start (so that a repeated start finds it), and the request that removed the run. Of keys they have digests
 * only.
 * Does not own: which run answers a start (admission), the object's own run.
 */
import { HoldfastError } from "../../core/error.ts";
import { defined } from "../../core/record.ts";
import type { RunAction } from "../../core/service/service.ts";
import { refuseKey } from "../../core/lifecycle/start.ts";
import { runObject } from "../address.ts";
import { housekeepingAt } from "../alarm.ts";
import { digestOf } from "../deployment/digest.ts";
import { within } from "../patience.ts";
import type { Answerer, Answering, Recalled, Recording, StartClue } from "../rpc/start.ts";

const boundTo = "bound-to";
const answeredBy = "answered-by";
const removedBy = "removed-by";
/** How long a mark is kept: the default retention of a run. The mark of a key is kept longer while its run exists. */
const keptMs = 30 * 24 * 3_600_000;
const callLimitMs = 30_000;
/** Shorter, because a removal that was not answered is repeated soon. */
const removalKeptMs = 24 * 3_600_000;

/** A request that removed a run, as digests, so that neither the run nor the reason can be read from it. */
export type RemovalMark = {
  readonly key: string;
  readonly reason: string;
  /** The requested run id, if it is not the object's name. */
  readonly id?: string;
  readonly at?: number;
  /** When the first incarnation of that run was created, if that could be read. */
  readonly createdAt?: number;
};

export class Marks {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Whether this object belongs to an Idempotency-Key that was used with an explicit run id, or for a batch. */
  get isBound(): boolean {
    return this.#storage.kv.get(boundTo) !== undefined;
  }

  /** The run that answers the start for the run of this object; null for none. */
  get answerer(): Answerer | null {
    return this.#storage.kv.get<Answering>(answeredBy) ?? null;
  }

  /** Returns whether the binding is new. @param own the run in this object, if any @throws HoldfastError idempotency_conflict */
  async bind(id: string, own: string | undefined): Promise<boolean> {
    const bound = own ?? this.#storage.kv.get<string>(boundTo);
    const isTaken = bound === undefined ? this.answerer !== null : bound !== id;
    if (isTaken) refuseKey();
    if (bound === undefined) await this.#keep(boundTo, id, keptMs);
    return bound === undefined;
  }

  /** Called when the marks expire: whether they are kept, because the run that the key belongs to still exists. */
  async outlasts(): Promise<boolean> {
    const id = this.#storage.kv.get<string>(boundTo);
    if (id === undefined) return false;
    const goesOn = await isThere(id);
    // The run may have been removed meanwhile, and the key with it, which may belong to another run by now.
    const isBound = this.#storage.kv.get(boundTo) === id;
    if (isBound && goesOn) await this.#keep(boundTo, id, keptMs);
    return goesOn || !isBound;
  }

  /** Frees the key after the run of that id was removed. @param own the run in this object, if any */
  async unbind(id: string, own: string | undefined): Promise<void> {
    if (this.#storage.kv.get<string>(boundTo) !== id) return;
    this.#storage.kv.delete(boundTo);
    const isEmpty = this.answerer === null && this.#storage.kv.get(removedBy) === undefined;
    if (own === undefined && isEmpty) await this.#storage.deleteAll();
  }

  /** @param digest of its token @throws HoldfastError idempotency_conflict: the key was used for another start */
  recall({ token, print, isKey }: StartClue, digest: string): Recalled {
    if (isKey && this.isBound) return { kind: "decided" };
    const answering = this.#storage.kv.get<Answering>(answeredBy);
    // Older versions stored the token itself.
    if (answering?.token !== digest && answering?.token !== token) return { kind: "new" };
    if (print === null || answering.print === print)
      return { kind: "answered", by: answering.by, runId: answering.runId };
    return isKey ? refuseKey() : { kind: "new" };
  }

  /**
   * Records which run answers a start; returns what is known of the start then: another one, if it was recorded since.
   * @param digest of its token, which alone is stored, because nothing here is encrypted @throws as `recall`
   */
  async remember({ isKey, former, ...answering }: Recording, digest: string): Promise<Recalled> {
    const known = this.recall({ ...answering, isKey }, digest);
    const isChanged = known.kind === "answered" && former !== undefined && !isSameAnswerer(known, former);
    if (known.kind === "decided" || isChanged) return known;
    await this.#keep(answeredBy, { ...answering, token: digest }, keptMs);
    return { kind: "answered", by: answering.by, runId: answering.runId };
  }

  /**
   * Whether this request removed the former run; there may be another one by now.
   * @param createdAt of the run in this object, if any @throws HoldfastError idempotency_conflict
   */
  hasRemoved(removal: RemovalMark | null, createdAt: number | undefined): boolean {
    const known = this.#storage.kv.get<RemovalMark>(removedBy);
    if (removal === null || known?.key !== removal.key || known.id !== removal.id) return false;
    // The storage refused the deletion with which this was noted.
    if (createdAt !== undefined && createdAt === known.createdAt) return false;
    // Checked, because the mark is not deleted on time if the object has a run again.
    if (Date.now() - (known.at ?? 0) > removalKeptMs) return false;
    if (known.reason === removal.reason) return true;
    throw new HoldfastError("idempotency_conflict", "the Idempotency-Key was used to delete a run for another reason");
  }

  /** Must be called in the turn that deletes the run: a death in between would lose it, and later the alarm may be a new run's. */
  async noteRemoval(removal: RemovalMark | null, createdAt: number | undefined): Promise<void> {
    if (removal === null) return;
    await this.#keep(removedBy, { ...removal, at: Date.now(), ...defined({ createdAt }) }, removalKeptMs);
  }

  /** Stores a mark, and sets the alarm for its end, which a run in this object ignores. */
  async #keep(name: string, value: unknown, ms: number): Promise<void> {
    this.#storage.kv.put(name, value);
    await this.#storage.setAlarm(housekeepingAt(Date.now() + ms));
  }
}

/** A run that is known by its debounce, and did not get the start, may yet answer it by its singleton. */
export function isSameAnswerer(one: Answerer | null, other: Answerer | null): boolean {
  return one?.runId === other?.runId && one?.by === other?.by;
}

/** A run that cannot be reached counts as existing. */
async function isThere(id: string): Promise<boolean> {
  try {
    const found = await within(runObject(id).read(0), callLimitMs);
    return found.ok || found.refusal.code !== "run_not_found";
  } catch {
    return true;
  }
}

/** The mark of a removal; null for a request without a key. @param id the requested run id, if it is not the object's name */
export async function removalOf({ key, reason }: RunAction, id?: string): Promise<RemovalMark | null> {
  if (key === undefined) return null;
  return { key: await digestOf(key, 16), reason: await digestOf(JSON.stringify(reason), 16), ...defined({ id }) };
}
