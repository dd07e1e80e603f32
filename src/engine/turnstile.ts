/**
 * Owns: the lines in which steps of one run wait for their slots, and which of them are asked for at a time.
 * Does not own: asking (gate), beginning the attempts (attempts).
 */
import type { Line, Slot } from "./line.ts";

/** Steps of one run that stand in line at a time: enough to use every slot, too few to flood a lane. */
const maxInLine = 32;

export class Turnstile {
  readonly #lines = new Map<string, Line>();
  /** Steps that have not been asked for yet, in their order; those that are; those let in that nobody heard of. */
  readonly #next: string[] = [];
  readonly #asked = new Set<string>();
  #admitted: string[] = [];

  get(step: string): Line | undefined {
    return this.#lines.get(step);
  }

  get steps(): string[] {
    return [...this.#lines.keys()];
  }

  add(step: string, line: Line): void {
    this.#lines.set(step, line);
    this.#next.push(step);
  }

  /** Answers what is to be given back. */
  remove(step: string): Slot[] {
    const line = this.#lines.get(step);
    this.#lines.delete(step);
    this.#asked.delete(step);
    return [...(line?.slots ?? [])];
  }

  /** The slots of the steps that stand in line, each step's in their order. */
  get inLine(): Slot[][] {
    return [...this.#asked].map((step) => this.#lines.get(step)?.slots ?? []);
  }

  /** Lets as many into the line as there is room for. */
  advance(): void {
    while (this.#asked.size < maxInLine) {
      const step = this.#next.shift();
      if (step === undefined) return;
      if (this.#lines.get(step)?.isOpen === false) this.#asked.add(step);
    }
  }

  /** One of the slots of this step is held now. */
  entered(step: string): void {
    if (this.#lines.get(step)?.isOpen !== true) return;
    this.#asked.delete(step);
    this.#admitted.push(step);
  }

  /** Steps that may begin; each is told once. */
  takeAdmitted(): string[] {
    const admitted = this.#admitted;
    this.#admitted = [];
    return admitted.filter((step) => this.#lines.get(step)?.isOpen === true);
  }
}
