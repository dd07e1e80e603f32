/** The updates that a handler takes, in the model. */
import { claim, same } from "./disagreement.ts";
import type { Seen } from "./disagreement.ts";

export class Updates {
  readonly #functions = new Map<string, (argument: unknown) => unknown>();
  /** What is to be answered, by update. */
  readonly #answers = new Map<unknown, unknown>();

  register(name: string, fn: (argument: unknown) => unknown): void {
    this.#functions.set(name, fn);
  }

  /** @param isOpen the handler takes updates now @throws Disagreement */
  see(verb: string, { name, update, argument, result, error }: Seen, isOpen: boolean): void {
    const fn = this.#functions.get(String(name));
    if (verb !== "accepted") {
      const seen = verb === "completed" ? { result } : { message: (error as Error).message };
      return same(seen, this.#answers.get(update), "the answer to an update");
    }
    claim(fn !== undefined && isOpen, "nobody takes updates now");
    try {
      this.#answers.set(update, { result: fn?.(argument) });
    } catch (thrown) {
      this.#answers.set(update, { message: (thrown as Error).message });
    }
  }
}
