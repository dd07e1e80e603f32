/**
 * Owns: what an object keeps of starts that came for it and made no run in it: which run id an
 * Idempotency-Key belongs to, and which other run answered a start, so that the same start finds it again.
 * Does not own: which run answers a start (admission); the run that the object may hold.
 */
import { refuseKey } from "../core/start.ts";
import type { Answering, Recalled, StartToken } from "./rpc.ts";

const boundTo = "bound-to";
const answeredBy = "answered-by";
/** As long as a run is kept unless its workflow says otherwise. */
const keptMs = 30 * 24 * 3_600_000;

export class Alias {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** An Idempotency-Key that came with a run id of its own stands for that one. */
  get isBound(): boolean {
    return this.#storage.kv.get(boundTo) !== undefined;
  }

  /** @param own the run in this object, if there is one @throws HoldfastError idempotency_conflict */
  async bind(id: string, own: string | undefined): Promise<void> {
    const bound = own ?? this.#storage.kv.get<string>(boundTo);
    if (bound !== undefined && bound !== id) refuseKey();
    if (bound === undefined) await this.#keep(boundTo, id);
  }

  /** The run of that id is gone, and the key is free as the id is. @param own the run in this object, if there is one */
  async unbind(id: string, own: string | undefined): Promise<void> {
    if (this.#storage.kv.get<string>(boundTo) !== id) return;
    this.#storage.kv.delete(boundTo);
    if (own === undefined && this.#storage.kv.get(answeredBy) === undefined) await this.#storage.deleteAll();
  }

  /** @throws HoldfastError idempotency_conflict: the key came with another start */
  recall({ token, print, isKey }: StartToken): Recalled {
    if (isKey && this.isBound) return { kind: "decided" };
    const answering = this.#storage.kv.get<Answering>(answeredBy);
    if (answering?.token !== token) return { kind: "new" };
    if (answering.print === print) return { kind: "answered", by: answering.by, runId: answering.runId };
    return isKey ? refuseKey() : { kind: "new" };
  }

  async remember(answering: Answering): Promise<void> {
    await this.#keep(answeredBy, answering);
  }

  async #keep(name: string, value: unknown): Promise<void> {
    this.#storage.kv.put(name, value);
    await this.#storage.setAlarm(Date.now() + keptMs);
  }
}
