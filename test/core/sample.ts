/** Random values and texts for properties, decided by a seed. */
import { createRandom } from "../../src/core/random.ts";

export type Pick = { below(limit: number): number; of<Item>(items: readonly Item[]): Item };

export function createPick(seed: string): Pick {
  const random = createRandom(seed);
  const below = (limit: number): number => Math.floor(random.next() * limit);
  return {
    below,
    of: (items) => {
      const item = items[below(items.length)];
      if (item === undefined && items.length === 0) throw new Error("nothing to pick from");
      return item as (typeof items)[number];
    },
  };
}

const texts = [
  "",
  "a",
  "$type",
  "é",
  "😀",
  "\ud800",
  "\udc00x",
  '"\\',
  "\u0000\n",
  "\u2028<",
  "constructor",
  "10",
  "~/",
];
const numbers = [0, -0, 1, -1.5, Number.NaN, Infinity, -Infinity, 2 ** 53, 5e-324, 1.7976931348623157e308];

const leaves: readonly ((pick: Pick) => unknown)[] = [
  (pick) => pick.of(texts),
  (pick) => pick.of(numbers),
  (pick) => pick.of([true, false, null, undefined]),
  (pick) => BigInt(pick.below(1000)) ** 20n * (pick.below(2) === 0 ? 1n : -1n),
  (pick) => new Date(pick.of([0, -1, 1.7e12, 8.64e15, -8.64e15, Number.NaN])),
  (pick) => pick.of([/a\/b/giu, /^$/, /[a--b]/v]),
  (pick) => Uint8Array.from({ length: pick.below(40) }, () => pick.below(256)),
  (pick) => Uint8Array.from({ length: pick.below(40) }, () => pick.below(256)).buffer,
  (pick) => new Float64Array([pick.of(numbers), pick.of(numbers)]),
  (pick) => new BigInt64Array([BigInt(pick.below(9)), -1n]),
  (pick) => new Int16Array([-1, pick.below(9), 3]).subarray(pick.below(3)),
  (pick) => new DataView(Uint8Array.of(1, 2, pick.below(9)).buffer, 1),
];

export function randomValue(pick: Pick, depth = 4): unknown {
  const inner = (): unknown => randomValue(pick, depth - 1);
  const several = <Item>(make: () => Item): Item[] => Array.from({ length: pick.below(4) }, make);
  const kind = depth === 0 ? 0 : pick.below(9);
  switch (kind) {
    case 1:
      return several(inner);
    case 2:
    case 3:
      return Object.fromEntries(several(() => [pick.of(texts), inner()]));
    case 4:
      return new Map(several(() => [inner(), inner()]));
    case 5:
      return new Set(several(inner));
    case 6:
      return Object.assign(new (pick.of([Error, TypeError, RangeError]))(pick.of(texts), { cause: inner() }), {
        code: pick.of(texts),
      });
    case 7:
      return new AggregateError(several(inner), pick.of(texts));
    default:
      return pick.of(leaves)(pick);
  }
}
