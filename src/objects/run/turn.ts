/**
 * Owns: full turns of the event loop, as cheap as possible in workerd. A timer takes a millisecond. A message to oneself takes
 * microseconds but is not a turn, because it arrives after one microtask, before other ready ones. The body of a response
 * arrives through the event loop, after all microtasks, in about twenty microseconds.
 * Does not own: when a turn is needed.
 *
 * During a loop of such turns, the runtime does not read its sockets: a loop of quick steps would block the whole process. So
 * now and then a turn uses a timer.
 */

/** The most turns between two with a timer; that is a few milliseconds for single outcomes. */
const turnsAtOnce = 200;
/** The same in time, as far as the clock moves, because between two turns there may be a burst of steps. */
const longestMs = 40;
/** Turns with a longer pause between them are not a loop. */
const pauseMs = 10;

/** Resolves after all ready microtasks, and those that they cause, have run. */
export async function turn(): Promise<void> {
  await new Response("turn").text();
}

/** Turns for a loop, in order; now and then one uses a timer. */
export function longTurns(): () => Promise<void> {
  let turns = 0;
  // When the present loop began, or last used a timer, and its newest turn.
  let [begunAt, lastAt] = [0, 0];
  // How many turns with a timer are pending; meanwhile all turns use one.
  let slow = 0;
  return async () => {
    turns++;
    const now = Date.now();
    if (Math.abs(now - lastAt) > pauseMs) begunAt = now;
    lastAt = now;
    if (slow === 0 && turns % turnsAtOnce !== 0 && now - begunAt < longestMs) return await turn();
    slow++;
    await scheduler.wait(0);
    slow--;
    begunAt = Date.now();
    lastAt = begunAt;
  };
}
