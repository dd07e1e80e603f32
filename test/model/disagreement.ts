/** How the model says that a run is not as it should be. */

/** An entry of a history; its instants are epoch ms. */
export type Seen = {
  readonly seq: number;
  readonly at: number;
  readonly kind: string;
  readonly [field: string]: unknown;
};

export class Disagreement extends Error {}

/** @throws Disagreement */
export function claim(holds: boolean, otherwise: string): void {
  if (!holds) throw new Disagreement(otherwise);
}

/** @throws Disagreement unless both are the same as JSON */
export function same(seen: unknown, wanted: unknown, what: string): void {
  const [one, other] = [JSON.stringify(seen), JSON.stringify(wanted)];
  claim(one === other, `${what}: the run has ${one}, the model ${other}`);
}

/** @throws Disagreement unless they differ by this at most */
export function near(seen: number, wanted: number, within: number, what: string): void {
  claim(Math.abs(seen - wanted) <= within, `${what}: the run has ${seen}, the model ${wanted}`);
}

/** An error that the model gives its handler in place of the engine's. */
export class Given extends Error {}
