/**
 * Owns: the register of one shard of the directory, in an object of its own among the runs.
 * Does not own: when a run is enrolled or struck off (enrolment).
 */
import { RegisterStore } from "../store/register.ts";
import type { Enrolled, RegisterRpc } from "./rpc/register.ts";

export class Register implements RegisterRpc {
  readonly #storage: DurableObjectStorage;
  /** The object of a run has none. */
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
