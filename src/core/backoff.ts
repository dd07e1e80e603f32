/** How long to pause before something that failed is tried again. */

/**
 * The pause after so many failures in a row: `firstMs` after the first, doubled with each more, `longestMs` at most.
 * Without jitter: where many may try at once, the caller adds it.
 */
export function backoffMs(failures: number, firstMs: number, longestMs: number): number {
  return Math.min(longestMs, firstMs * 2 ** (failures - 1));
}
