/**
 * Owns: the port through which the engine sees time.
 * Does not own: timers; whoever drives a run waits for it.
 */
export interface Clock {
  /** Epoch ms. */
  now(): number;
  /** Resolves after every microtask that is ready now, and those they lead to, has run. */
  turn(): Promise<void>;
}
