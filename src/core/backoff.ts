/** How long to pause before something that failed is tried again, or something that has not come is asked for again. */

/**
 * The pause after so many failures in a row: `firstMs` after the first, doubled with each more, `longestMs` at most.
 * Without jitter: where many may try at once, the caller adds it.
 */
export function backoffMs(failures: number, firstMs: number, longestMs: number): number {
  return Math.min(longestMs, firstMs * 2 ** (failures - 1));
}

/**
 * When somebody asks again who asks ever more rarely, strictly later than `after`: `firstMs` after `since`, then after twice
 * that, four times that, and finally every `longestMs`. Instants are epoch ms.
 */
export function nextPollAt(since: number, after: number, firstMs: number, longestMs: number): number {
  let spanMs = firstMs;
  let at = since + spanMs;
  while (at <= after && spanMs < longestMs) {
    spanMs = Math.min(2 * spanMs, longestMs);
    at += spanMs;
  }
  return at > after ? at : at + Math.ceil((after - at + 1) / longestMs) * longestMs;
}
