/**
 * A clock that can be set, for the objects under test and for whoever tests them; alarms follow it, as they would
 * follow the clock of their machine. What waits in memory does not: its timers know of no clock.
 */
import { runInDurableObject } from "cloudflare:test";

const real = Date.now.bind(Date);
let aheadMs = 0;

/** The instant of this clock at which the real one says `at`. */
export function toClock(at: number): number {
  return at + aheadMs;
}

/** The instant of the real clock at which this one says `at`. */
export function toReal(at: number): number {
  return at - aheadMs;
}

/**
 * Sets the clock forward by so many whole seconds, or back, with the alarms of these objects: one whose time has
 * come thereby rings at once.
 */
export async function jump(seconds: number, objects: readonly DurableObjectStub[]): Promise<void> {
  const before = await Promise.all(
    objects.map((object) => runInDurableObject(object, async (_object, { storage }) => await storage.getAlarm())),
  );
  aheadMs += seconds * 1000;
  Date.now = () => real() + aheadMs;
  const set = objects.map(async (object, index) => {
    const at = before[index] ?? null;
    if (at === null) return;
    await runInDurableObject(object, async (_object, { storage }) => {
      // One that rang meanwhile has set its own.
      if ((await storage.getAlarm()) !== null) await storage.setAlarm(Math.max(at, Date.now() + 1));
    });
  });
  await Promise.all(set);
}
