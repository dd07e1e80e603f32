/** How a handler that a retry has had begin anew is given what is on record, in the model. */
import type { Past, Told } from "./past.ts";

export class Replay {
  /** It is under way: nothing begins. */
  isOn = false;
  /** Nothing that the handler says is news. */
  isPast = false;
  readonly #turn: () => Promise<void>;
  readonly #give: (told: Told) => boolean;
  /** Outcomes of calls that were not made yet, and signals that nobody hears yet, by key. */
  readonly #aside = new Map<string, Told[]>();
  /** Those of them whose calls were made since. */
  readonly #claims: Told[] = [];

  /**
   * @param turn resolves once no microtask is left
   * @param give tells the handler; false where it has not made that call, or has no function that hears it
   */
  constructor(turn: () => Promise<void>, give: (told: Told) => boolean) {
    this.#turn = turn;
    this.#give = give;
  }

  /** Gives a handler that `begin` calls all there is, in its order, one after the other. */
  async play({ told, newest }: Past, begin: () => void): Promise<void> {
    this.#aside.clear();
    [this.isOn, this.isPast, this.#claims.length] = [true, told.length > 0, 0];
    begin();
    await this.#turn();
    for (const [index, each] of told.entries()) {
      await this.settle();
      this.isPast = index < newest;
      if (!this.#give(each)) this.#aside.set(keyOf(each), [...(this.#aside.get(keyOf(each)) ?? []), each]);
      await this.#turn();
    }
    await this.settle();
    this.isOn = false;
  }

  /** The call with this key is being made, or the function registered; false where nothing was put aside for it. */
  claim(key: string): boolean {
    this.#claims.push(...(this.#aside.get(key) ?? []));
    return this.#aside.delete(key);
  }

  /** What was put aside is given to calls that were made since, before anything else happens. */
  async settle(): Promise<void> {
    for (let told = this.#claims.shift(); told !== undefined; told = this.#claims.shift()) {
      this.#give(told);
      await this.#turn();
    }
  }
}

function keyOf({ call, entry }: Told): string {
  return call?.key ?? `listener ${String(entry["name"])}`;
}
