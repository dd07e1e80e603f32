/** Setting the clock of the objects under test, with their alarms. */
import { runInDurableObject } from "cloudflare:test";
import { turnClock } from "./clock.ts";

/**
 * Sets the clock forward by so many whole seconds, or back, with the alarms of these objects: one whose time has
 * come thereby rings at once.
 */
export async function jump(seconds: number, objects: readonly DurableObjectStub[]): Promise<void> {
  const before = await Promise.all(
    objects.map((object) => runInDurableObject(object, async (_object, { storage }) => await storage.getAlarm())),
  );
  turnClock(seconds * 1000);
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
