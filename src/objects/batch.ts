/**
 * Owns: gathering what is to be sent to one place: what comes while a call is under way goes with the next.
 * Does not own: what is sent, or trying again.
 * Invariant 1: one call at a time, in the order in which the items came.
 */
export class Batch<Item> {
  readonly #send: (items: readonly Item[]) => Promise<void>;
  #gathered: Item[] = [];
  /** The call that will take what has been gathered. */
  #next: Promise<void> | null = null;
  #last: Promise<unknown> = Promise.resolve();

  constructor(send: (items: readonly Item[]) => Promise<void>) {
    this.#send = send;
  }

  /** Resolves once the item was sent. @throws what its call threw */
  add(item: Item): Promise<void> {
    this.#gathered.push(item);
    this.#next ??= this.#begin();
    return this.#next;
  }

  #begin(): Promise<void> {
    const call = this.#last.then(() => {
      const items = this.#gathered;
      this.#gathered = [];
      this.#next = null;
      return this.#send(items);
    });
    this.#last = call.catch(() => undefined);
    return call;
  }
}
