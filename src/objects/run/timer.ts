/**
 * Owns: timers in memory.
 * Does not own: durable timers (alarm).
 */
/** The platform's limit. An object that is in memory for longer gets an alarm before. */
const longestTimerMs = 2 ** 31 - 1;

export type Timer = { readonly over: Promise<null>; readonly cancel: () => void };

/** A timer that keeps nothing awake after it is cancelled. @param at null for never, as instants beyond the limit are */
export function timer(at: number | null): Timer {
  if (at === null || at - Date.now() > longestTimerMs) return { over: new Promise(() => {}), cancel: () => {} };
  const { promise: over, resolve } = Promise.withResolvers<null>();
  const handle = setTimeout(() => resolve(null), Math.max(0, at - Date.now()));
  return { over, cancel: () => clearTimeout(handle) };
}

/** The earliest of these instants; null means never. */
export function earliest(...instants: readonly (number | null)[]): number | null {
  const first = Math.min(...instants.map((at) => at ?? Infinity));
  return first === Infinity ? null : first;
}
