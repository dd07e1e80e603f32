/**
 * Owns: running calls one after the other, also if the caller does not await them.
 * Does not own: what they do.
 */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs the call once all earlier ones have settled. */
  take<Value>(call: () => Promise<Value>): Promise<Value> {
    const turn = this.#last.then(call);
    this.#last = turn.catch(() => {});
    return turn;
  }
}
