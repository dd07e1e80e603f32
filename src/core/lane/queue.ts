/** A priority queue, ordered by rank and then by turn: a sorted array with binary search. */

type Item<Value> = { readonly rank: number; readonly turn: number; readonly value: Value };

/** How many removed items at the front are kept before the array is cut. */
const maxLeft = 1024;

export class PriorityQueue<Value> {
  readonly #items: (Item<Value> | undefined)[] = [];
  /** The index of the first item; those before it were removed. */
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  /** @param turn unique in the queue */
  add(value: Value, rank: number, turn: number): void {
    this.#items.splice(this.#placeOf(rank, turn), 0, { rank, turn, value });
  }

  /** Removes the first item, and returns it. */
  shift(): Value | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#items[this.#head++] = undefined;
    if (this.#head > maxLeft && this.#head > this.size) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
    return item.value;
  }

  remove(rank: number, turn: number): void {
    const place = this.#placeOf(rank, turn);
    if (this.#items[place]?.turn === turn) this.#items.splice(place, 1);
  }

  /** The item's position, from 1; of one that is not in the queue, the position it would have. */
  position(rank: number, turn: number): number {
    return this.#placeOf(rank, turn) - this.#head + 1;
  }

  first(count: number): Value[] {
    return this.#items
      .slice(this.#head, this.#head + count)
      .flatMap((item) => (item === undefined ? [] : [item.value]));
  }

  /** The index of the first item that is not ordered before. */
  #placeOf(rank: number, turn: number): number {
    let [low, high] = [this.#head, this.#items.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const item = this.#items[middle];
      const before = item !== undefined && (item.rank === rank ? item.turn < turn : item.rank < rank);
      if (before) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
