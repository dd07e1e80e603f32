/**
 * Owns: letting so many microtasks pass.
 * Does not own: turns of the event loop (clock): this is none.
 */

/** Waited for again and again: `await undefined` would make a promise each time. */
const nothing = Promise.resolve();

export async function pass(microtasks: number): Promise<void> {
  for (let passed = 0; passed < microtasks; passed++) await nothing;
}
