/**
 * Owns: a fair counting semaphore.
 * Does not own: its use.
 */
export class Semaphore {
  readonly #count: number;
  readonly #line: (() => void)[] = [];
  #taken = 0;

  constructor(count: number) {
    this.#count = count;
  }

  /** The number of holders and waiters. */
  get wanted(): number {
    return this.#taken + this.#line.length;
  }

  /** Waits for a place; resolves with a function that releases it once. */
  async take(): Promise<() => void> {
    await this.#enter();
    let left = false;
    return () => {
      if (!left) this.#leave();
      left = true;
    };
  }

  /** Calls the function while holding a place; immediately if one is free. */
  async pass<Value>(act: () => Promise<Value>): Promise<Value> {
    const turn = this.#enter();
    if (turn !== null) await turn;
    try {
      return await act();
    } finally {
      this.#leave();
    }
  }

  /** Takes a place; null if one was free, else a promise of one. */
  #enter(): Promise<void> | null {
    if (this.#taken === this.#count) return new Promise((enter) => this.#line.push(enter));
    this.#taken++;
    return null;
  }

  #leave(): void {
    const enter = this.#line.shift();
    // The next waiter takes over the place.
    if (enter === undefined) this.#taken--;
    else enter();
  }
}
