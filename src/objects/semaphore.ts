/**
 * Owns: places that so many may have at once, handed on in the order in which they are asked for.
 * Does not own: what is done in one.
 */
export class Semaphore {
  readonly #count: number;
  readonly #line: (() => void)[] = [];
  #taken = 0;

  constructor(count: number) {
    this.#count = count;
  }

  /** Those in a place, and those in line for one. */
  get wanted(): number {
    return this.#taken + this.#line.length;
  }

  /** Resolves once there is a place; answers what gives it back, once. */
  async take(): Promise<() => void> {
    await this.#enter();
    let left = false;
    return () => {
      if (!left) this.#leave();
      left = true;
    };
  }

  /** Acts in a place: at once where one is free. */
  async pass<Value>(act: () => Promise<Value>): Promise<Value> {
    const turn = this.#enter();
    if (turn !== null) await turn;
    try {
      return await act();
    } finally {
      this.#leave();
    }
  }

  /** Resolves once there is a place; null where there is. */
  #enter(): Promise<void> | null {
    if (this.#taken === this.#count) return new Promise((enter) => this.#line.push(enter));
    this.#taken++;
    return null;
  }

  #leave(): void {
    const enter = this.#line.shift();
    // Whoever is next takes the place over.
    if (enter === undefined) this.#taken--;
    else enter();
  }
}
