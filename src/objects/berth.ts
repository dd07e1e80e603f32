/**
 * Owns: places that so many may have at once, handed on in the order in which they are asked for.
 * Does not own: what is done in one.
 */
export class Berths {
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
    if (this.#taken < this.#count) this.#taken++;
    else await new Promise<void>((enter) => this.#line.push(enter));
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const enter = this.#line.shift();
      // Whoever is next takes the place over.
      if (enter === undefined) this.#taken--;
      else enter();
    };
  }
}
