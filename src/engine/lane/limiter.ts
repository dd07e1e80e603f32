/**
 * Owns: the port through which a handler and its steps see the lanes that limit them.
 * Does not own: which slots they have (slots).
 */

export interface Limiter {
  /** No lane holds the run back. */
  readonly isOpen: boolean;
  /** Whether an attempt of the step may begin now. If not, its slots are asked for, and the step is told once it has them. */
  admit(step: string): boolean;
  /** The attempt has ended, or will not be made: its slots are given back. */
  leave(step: string): void;
  leaveAll(): void;
  /** It is on record that the run itself (null), or the step, waits for a slot. */
  isQueued(step: string | null): boolean;
}

/** Of a run that no lane limits. */
export const noLimiter: Limiter = {
  isOpen: true,
  admit: () => true,
  leave: () => {},
  leaveAll: () => {},
  isQueued: () => false,
};
