/**
 * A clock that can be set, for the objects under test and for whoever tests them; alarms follow it, as they would
 * follow the clock of their machine. What waits in memory does not: its timers know of no clock.
 */
const real = Date.now.bind(Date);
let aheadMs = 0;

/** Sets it forward by so much, or back. */
export function turnClock(ms: number): void {
  aheadMs += ms;
  Date.now = () => real() + aheadMs;
}

/** The instant of this clock at which the real one says `at`. */
export function toClock(at: number): number {
  return at + aheadMs;
}

/** The instant of the real clock at which this one says `at`. */
export function toReal(at: number): number {
  return at - aheadMs;
}
