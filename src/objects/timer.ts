/**
 * Owns: waiting for an instant in memory.
 * Does not own: anything that must survive the memory (alarm).
 */
/** The platform takes no longer one. Whoever is kept in memory for that long has heard of an alarm before. */
const longestTimerMs = 2 ** 31 - 1;

export type Timer = { readonly over: Promise<null>; readonly cancel: () => void };

/** A timer that keeps nothing awake once it is cancelled; null for never, as is what no timer can be set to. */
export function timer(at: number | null): Timer {
  if (at === null || at - Date.now() > longestTimerMs) return { over: new Promise(() => {}), cancel: () => {} };
  let handle: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<null>((resolve) => {
    handle = setTimeout(() => resolve(null), Math.max(0, at - Date.now()));
  });
  const cancel = (): void => {
    if (handle !== undefined) clearTimeout(handle);
  };
  return { over, cancel };
}

/** The first of two instants, of which either may be never. */
export function earlier(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other;
  return Math.min(one, other);
}
