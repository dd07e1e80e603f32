/** Random numbers derived from a seed, so that every replay of a run gets the same ones. Not for secrets. */

export type Random = {
  /** In [0, 1), 53 bits. */
  next(): number;
  /** A version 4 UUID. */
  uuid(): string;
  /** The same as 32 hexadecimal digits. */
  digits(): string;
};

/** The same seed gives the same sequence, in every version of Holdfast. */
export function createRandom(seed: string): Random {
  const word = wordsOf(seed);
  const digits = (): string => toDigits(word(), word(), word(), word());
  return {
    next: () => ((word() >>> 5) * 0x4000000 + (word() >>> 6)) / 2 ** 53,
    uuid: () => digits().replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"),
    digits,
  };
}

/** sfc32, a small generator with 128 bits of state, initialised with four hashes of the seed. */
function wordsOf(seed: string): () => number {
  let a = hash(seed, 0x9e3779b9);
  let b = hash(seed, 0x243f6a88);
  let c = hash(seed, 0xb7e15162);
  let counter = hash(seed, 0x6a09e667);
  const word = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return sum >>> 0;
  };
  // The first words still correlate with the seed.
  for (let i = 0; i < 12; i += 1) word();
  return word;
}

function hash(text: string, basis: number): number {
  let state = basis ^ text.length;
  for (let i = 0; i < text.length; i += 1) {
    state = Math.imul(state ^ text.charCodeAt(i), 0x85ebca6b);
    state ^= state >>> 15;
  }
  state = Math.imul(state ^ (state >>> 16), 0xc2b2ae35);
  return state ^ (state >>> 13);
}

function toDigits(a: number, b: number, c: number, d: number): string {
  return hex(a) + hex(((b & 0xffff0fff) | 0x4000) >>> 0) + hex(((c & 0x3fffffff) | 0x80000000) >>> 0) + hex(d);
}

function hex(word: number): string {
  return word.toString(16).padStart(8, "0");
}
