/**
 * Owns: that calls come one after the other, also those that nobody awaited.
 * Does not own: what they do.
 */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  /** Calls it once everything that came before is over, however that ended. */
  take<Value>(call: () => Promise<Value>): Promise<Value> {
    const turn = this.#last.then(call);
    this.#last = turn.catch(() => {});
    return turn;
  }
}
