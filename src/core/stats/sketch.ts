/**
 * A histogram from which quantiles are estimated; small, and can be merged. Values below 128 have a bucket each. From there
 * on every doubling is divided into 64 buckets of equal width, so an estimate is off by at most 1 part in 128. The maximum
 * is exact.
 */

/** `buckets` are pairs of bucket and count, in the order of the values. `max` is 0 where nothing was counted. */
export type Sketch = { readonly buckets: readonly (readonly [bucket: number, count: number])[]; readonly max: number };

/** Buckets in a doubling. */
const perDoubling = 64;

export class Sketcher {
  readonly #buckets = new Map<number, number>();
  #max = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  get max(): number {
    return this.#max;
  }

  /** Adds a whole number; a negative one counts as 0. */
  add(value: number): void {
    const counted = Math.max(0, Math.round(value));
    this.#put(bucketOf(counted), 1);
    this.#max = Math.max(this.#max, counted);
  }

  merge({ buckets, max }: Sketch): void {
    for (const [bucket, count] of buckets) this.#put(bucket, count);
    this.#max = Math.max(this.#max, max);
  }

  /** The least value that at least this share (0 to 1) of all values does not exceed; null where nothing was counted. */
  quantile(share: number): number | null {
    const rank = Math.max(1, Math.ceil(share * this.#count));
    if (rank >= this.#count) return this.#count === 0 ? null : this.#max;
    let passed = 0;
    for (const [bucket, count] of this.#sorted()) {
      passed += count;
      if (passed >= rank) return Math.min(middleOf(bucket), this.#max);
    }
    return null;
  }

  toSketch(): Sketch {
    return { buckets: this.#sorted(), max: this.#max };
  }

  #put(bucket: number, count: number): void {
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + count);
    this.#count += count;
  }

  #sorted(): [number, number][] {
    return [...this.#buckets].toSorted(([one], [other]) => one - other);
  }
}

function bucketOf(value: number): number {
  let rest = value;
  let halvings = 0;
  while (rest >= 2 * perDoubling) {
    rest = Math.floor(rest / 2);
    halvings++;
  }
  return perDoubling * halvings + rest;
}

function middleOf(bucket: number): number {
  const halvings = Math.max(0, Math.floor(bucket / perDoubling) - 1);
  const width = 2 ** halvings;
  return (bucket - perDoubling * halvings) * width + Math.floor(width / 2);
}
