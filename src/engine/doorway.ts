/**
 * Owns: what a handler and its steps need to know of the lanes that limit them.
 * Does not own: the answers (gate).
 */

export interface Doorway {
  /** The run may go on as far as its lanes are concerned. */
  readonly isOpen: boolean;
  /** Whether an attempt of the step may begin; if not, it is told when it may. */
  admit(step: string): boolean;
  /** The attempt has ended, or is not wanted any more. */
  leave(step: string): void;
  leaveAll(): void;
  /** It is on record that the run itself (null), or the step, waits for a slot. */
  isQueued(step: string | null): boolean;
}

/** Of a run that no lane limits. */
export const openDoorway: Doorway = {
  isOpen: true,
  admit: () => true,
  leave: () => {},
  leaveAll: () => {},
  isQueued: () => false,
};
