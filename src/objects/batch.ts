/**
 * Owns: batching items for one receiver: items that arrive during a call are sent with the next one.
 * Does not own: sending, retries.
 * Invariant 1: there is one call at a time, and items are sent in order.
 */
export class Batch<Item> {
  readonly #send: (items: readonly Item[]) => Promise<void>;
  #gathered: Item[] = [];
  /** The call that will send the gathered items. */
  #next: Promise<void> | null = null;
  #last: Promise<unknown> = Promise.resolve();

  constructor(send: (items: readonly Item[]) => Promise<void>) {
    this.#send = send;
  }

  /** Resolves when the item was sent. @throws the error of its call */
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
