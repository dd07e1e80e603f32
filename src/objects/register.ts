/**
 * Owns: the register of one shard of the directory, in an object of its own, in the namespace of runs.
 * Does not own: when a run is added or removed (enrolment).
 */
import { RegisterStore } from "../store/register.ts";
import type { Enrolled, RegisterRpc } from "./rpc/register.ts";

export class Register implements RegisterRpc {
  readonly #storage: DurableObjectStorage;
  /** Created on use, because objects of runs have none. */
  #store: RegisterStore | null = null;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  async enrol(runs: readonly Enrolled[]): Promise<void> {
    this.#open().enrol(runs);
  }

  async strike(runs: readonly Enrolled[]): Promise<void> {
    this.#open().strike(runs);
  }

  async enrolled(after: string, limit: number): Promise<readonly Enrolled[]> {
    return this.#open().page(after, limit);
  }

  #open(): RegisterStore {
    return (this.#store ??= new RegisterStore(this.#storage.sql));
  }
}
