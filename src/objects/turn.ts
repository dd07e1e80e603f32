/**
 * Owns: full turns of the event loop, as cheaply as workerd gives them. A timer takes a millisecond. A message
 * to oneself takes microseconds and is no turn: it comes after one microtask, whatever others are ready.
 * The body of a response comes through the event loop, in some twenty microseconds, after all of them.
 * Does not own: when a turn is needed.
 */

/** Resolves after every microtask that is ready now, and those they lead to, has run. */
export async function turn(): Promise<void> {
  await new Response("turn").text();
}
