/** What failed runs have in common: the workflow, the step, the code, and the message but for its numbers. */
import type { StoredError } from "./error.ts";
import { nameOfCall } from "./name.ts";
import type { Cause } from "./service.ts";

/** A run that failed, as far as its cause is told from it. `at` is its end, epoch ms. */
export type Failure = {
  readonly run: string;
  readonly workflow: string;
  readonly error: Pick<StoredError, "message" | "code" | "step">;
  readonly at: number;
};

/** Messages that begin alike for so long are alike. */
const comparedLength = 500;
const shownLength = 1000;

/** Failures by cause, added one by one or as what others have added up. */
export class Causes {
  readonly #causes = new Map<string, Cause>();
  readonly #limit: number;

  /** @param limit causes that are kept apart; failures of others are left out, so that no shard runs out of memory */
  constructor(limit: number) {
    this.#limit = limit;
  }

  add({ run, workflow, error, at }: Failure): void {
    const { code = null, step, message } = error;
    const name = step === undefined ? null : nameOfCall(step);
    const shown = message.length > shownLength ? `${message.slice(0, shownLength)}…` : message;
    this.merge({ workflow, code, step: name, message: shown, count: 1, firstAt: at, lastAt: at, run });
  }

  merge(cause: Cause): void {
    const key = JSON.stringify([cause.workflow, cause.code, cause.step, outline(cause.message)]);
    const known = this.#causes.get(key);
    if (known === undefined && this.#causes.size >= this.#limit) return;
    if (known === undefined) return void this.#causes.set(key, cause);
    const newest = isNewer(cause, known) ? cause : known;
    this.#causes.set(key, {
      ...newest,
      count: known.count + cause.count,
      firstAt: Math.min(known.firstAt, cause.firstAt),
    });
  }

  /** The most frequent first; of equals the newest, then by what is known of them. */
  top(limit: number): Cause[] {
    const sorted = [...this.#causes].toSorted(
      ([left, one], [right, other]) =>
        other.count - one.count || other.lastAt - one.lastAt || (left < right ? -1 : Number(left > right)),
    );
    return sorted.slice(0, limit).map(([, cause]) => cause);
  }
}

function isNewer(one: Cause, other: Cause): boolean {
  return one.lastAt > other.lastAt || (one.lastAt === other.lastAt && one.run > other.run);
}

/**
 * The message with every number, and every word that has a digit in it (an id, a date, an address), as one
 * sign. `order 7 of run 01K3Z` and `order 12 of run 01K9A` are alike.
 */
export function outline(message: string): string {
  return message
    .slice(0, comparedLength)
    .replaceAll(/[\p{L}\p{N}_-]+/gu, (word) => (/\p{N}/u.test(word) ? "#" : word))
    .replaceAll(/#(?:[.,:/]#)+/g, "#");
}
