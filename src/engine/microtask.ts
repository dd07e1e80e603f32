/** Owns: letting so many microtasks pass, which is no turn of the event loop. */

/** Waited for again and again: `await undefined` would make a promise each time. */
const nothing = Promise.resolve();

export async function pass(microtasks: number): Promise<void> {
  for (let passed = 0; passed < microtasks; passed++) await nothing;
}
