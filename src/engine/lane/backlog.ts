/**
 * Owns: the steps of one run that wait for slots of their own, and for which of them slots are asked at a time.
 * Does not own: asking (slots), beginning the attempts (attempts).
 */
import { added, emptyMap, emptySet, put } from "../../core/empty.ts";
import type { Acquisition, Slot } from "./acquisition.ts";

/** Steps of one run for which slots are asked at a time: enough to use every slot, too few to flood a lane. */
const maxAsked = 32;

export class Backlog {
  #acquisitions: Map<string, Acquisition> = emptyMap;
  /** In order: steps whose slots were not asked for yet, and those whose slots are. */
  readonly #next: string[] = [];
  #asked: Set<string> = emptySet;

  get(step: string): Acquisition | undefined {
    return this.#acquisitions.get(step);
  }

  get steps(): string[] {
    return [...this.#acquisitions.keys()];
  }

  add(step: string, acquisition: Acquisition): void {
    this.#acquisitions = put(this.#acquisitions, step, acquisition);
    this.#next.push(step);
  }

  /** Returns the slots that are to be given back. */
  remove(step: string): Slot[] {
    const acquisition = this.#acquisitions.get(step);
    this.#acquisitions.delete(step);
    this.#asked.delete(step);
    return [...(acquisition?.slots ?? [])];
  }

  /** The slots that are asked for, step by step, each step's in the order in which it needs them. */
  get asked(): Slot[][] {
    return [...this.#asked].map((step) => this.#acquisitions.get(step)?.slots ?? []);
  }

  /** Has slots asked for as many more steps as there is room for. */
  advance(): void {
    while (this.#asked.size < maxAsked) {
      const step = this.#next.shift();
      if (step === undefined) return;
      if (this.#acquisitions.get(step)?.isOpen === false) this.#asked = added(this.#asked, step);
    }
  }

  /** A slot of this step is held now; behind the last of them, none is asked for. */
  entered(step: string): void {
    if (this.#acquisitions.get(step)?.isOpen === true) this.#asked.delete(step);
  }
}
