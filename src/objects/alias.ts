/**
 * Owns: three marks that an object keeps beside its run, or without one: the run id that an Idempotency-Key belongs to, the
 * other run that answered a start (a repeated start finds it again), and the request that removed the run.
 * Does not own: which run answers a start (admission); the run that the object may hold.
 */
import { HoldfastError } from "../core/error.ts";
import { defined } from "../core/record.ts";
import type { RunAction } from "../core/service.ts";
import { refuseKey } from "../core/start.ts";
import { runObject } from "./address.ts";
import { housekeepingAt } from "./alarm.ts";
import { digestOf } from "./digest.ts";
import { within } from "./patience.ts";
import type { Answering, Recalled, StartClue } from "./rpc/start.ts";

const boundTo = "bound-to";
const answeredBy = "answered-by";
const removedBy = "removed-by";
/** How long a mark is kept: as long as a run, unless its workflow says otherwise. A key whose run is still there is kept on. */
const keptMs = 30 * 24 * 3_600_000;
const callLimitMs = 30_000;
/** Whoever got no answer asks again soon. */
const removalKeptMs = 24 * 3_600_000;

/** A request that removes a run, in digests: nothing of the run is left, nor of why. */
export type Removal = {
  readonly key: string;
  readonly reason: string;
  /** As the run was asked for, where that is not the object's name. */
  readonly id?: string;
  readonly at?: number;
};

export class Alias {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** An Idempotency-Key that came with a run id of its own stands for that one. */
  get isBound(): boolean {
    return this.#storage.kv.get(boundTo) !== undefined;
  }

  /** Whether nobody knew of it before. @param own the run in this object, if there is one @throws HoldfastError idempotency_conflict */
  async bind(id: string, own: string | undefined): Promise<boolean> {
    const bound = own ?? this.#storage.kv.get<string>(boundTo);
    if (bound !== undefined && bound !== id) refuseKey();
    if (bound === undefined) await this.#keep(boundTo, id, keptMs);
    return bound === undefined;
  }

  /** Called when the time of the marks is up: whether they stay, because the run that the key belongs to is still there. */
  async outlasts(): Promise<boolean> {
    const id = this.#storage.kv.get<string>(boundTo);
    if (id === undefined || !(await isThere(id))) return false;
    // Run and key may have gone meanwhile.
    if (this.#storage.kv.get(boundTo) === id) await this.#keep(boundTo, id, keptMs);
    return true;
  }

  /** The run of that id is gone, and the key is free as the id is. @param own the run in this object, if there is one */
  async unbind(id: string, own: string | undefined): Promise<void> {
    if (this.#storage.kv.get<string>(boundTo) !== id) return;
    this.#storage.kv.delete(boundTo);
    if (own === undefined && this.#storage.kv.get(answeredBy) === undefined) await this.#storage.deleteAll();
  }

  /** @throws HoldfastError idempotency_conflict: the key came with another start */
  recall({ token, print, isKey }: StartClue): Recalled {
    if (isKey && this.isBound) return { kind: "decided" };
    const answering = this.#storage.kv.get<Answering>(answeredBy);
    if (answering?.token !== token) return { kind: "new" };
    if (print === null || answering.print === print)
      return { kind: "answered", by: answering.by, runId: answering.runId };
    return isKey ? refuseKey() : { kind: "new" };
  }

  async remember(answering: Answering): Promise<void> {
    await this.#keep(answeredBy, answering, keptMs);
  }

  /** This very request removed the run that was here; what may be here by now is another. @throws HoldfastError idempotency_conflict */
  hasRemoved(removal: Removal | null): boolean {
    const known = this.#storage.kv.get<Removal>(removedBy);
    if (removal === null || known?.key !== removal.key || known.id !== removal.id) return false;
    // A run that came since keeps the mark for as long as it is there.
    if (Date.now() - (known.at ?? 0) > removalKeptMs) return false;
    if (known.reason === removal.reason) return true;
    throw new HoldfastError("idempotency_conflict", "the Idempotency-Key was used to delete a run for another reason");
  }

  /** To be called in the turn in which the run went: the alarm would be that of the next. */
  async noteRemoval(removal: Removal | null): Promise<void> {
    if (removal !== null) await this.#keep(removedBy, { ...removal, at: Date.now() }, removalKeptMs);
  }

  /** A run that is here when the time is up takes no notice of the alarm. */
  async #keep(name: string, value: unknown, ms: number): Promise<void> {
    this.#storage.kv.put(name, value);
    await this.#storage.setAlarm(housekeepingAt(Date.now() + ms));
  }
}

/** A run that cannot be asked is taken to be there. */
async function isThere(id: string): Promise<boolean> {
  try {
    const found = await within(runObject(id).read(0), callLimitMs);
    return found.ok || found.refusal.code !== "run_not_found";
  } catch {
    return true;
  }
}

/** The mark of a removal; null for a request without a key, which nobody repeats. @param id the run that was asked for, where it may be another than the object's */
export async function removalOf({ key, reason }: RunAction, id?: string): Promise<Removal | null> {
  if (key === undefined) return null;
  return { key: await digestOf(key, 16), reason: await digestOf(JSON.stringify(reason), 16), ...defined({ id }) };
}
