/**
 * Owns: full turns of the event loop, as cheaply as workerd gives them. A timer takes a millisecond. A message
 * to oneself takes microseconds and is no turn: it comes after one microtask, whatever others are ready.
 * The body of a response comes through the event loop, in some twenty microseconds, after all of them.
 * Does not own: when a turn is needed.
 *
 * While such turns follow each other the runtime looks at no socket: a loop of quick steps would keep the whole
 * process from answering until it is over. So now and then a turn is a timer's, which lets everything else in.
 */

/** Turns from one timer's to the next, at most: milliseconds of what is made of single outcomes. */
const turnsAtOnce = 200;
/** The same by the clock, as far as it goes on meanwhile: between two turns there may be a burst of steps. */
const longestMs = 40;
/** Turns further apart than this are no loop. */
const pauseMs = 10;

/** Resolves after every microtask that is ready now, and those they lead to, has run. */
export async function turn(): Promise<void> {
  await new Response("turn").text();
}

/** Such turns for a long run of them, in the order in which they are asked for. Its memory goes with its object. */
export function longTurns(): () => Promise<void> {
  let turns = 0;
  // When the loop of turns that goes on began, or last let others in, and its newest turn.
  let [begunAt, lastAt] = [0, 0];
  // Those of a timer that are not over: what is asked for meanwhile is a timer's as well.
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
