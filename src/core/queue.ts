/** A line in which some go before others: by rank, equal ranks by turn. Finding a place halves, joining moves memory. */

type Item<Value> = { readonly rank: number; readonly turn: number; readonly value: Value };

/** How many that have left are kept before their places are cleared away. */
const maxLeft = 1024;

export class PriorityQueue<Value> {
  readonly #items: (Item<Value> | undefined)[] = [];
  /** Where the line begins: what is before has left. */
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  /** @param turn no other in the queue has it */
  add(value: Value, rank: number, turn: number): void {
    this.#items.splice(this.#placeOf(rank, turn), 0, { rank, turn, value });
  }

  /** Takes the first one out. */
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

  /** Counted from 1: its own, or the one it would have. */
  position(rank: number, turn: number): number {
    return this.#placeOf(rank, turn) - this.#head + 1;
  }

  first(count: number): Value[] {
    return this.#items
      .slice(this.#head, this.#head + count)
      .flatMap((item) => (item === undefined ? [] : [item.value]));
  }

  /** Index of the first item that does not go before. */
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
