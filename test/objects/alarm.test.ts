import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Alarm, aheadOf, deadlineOf, isHousekeeping } from "../../src/objects/alarm.ts";

const now = 1_000_000;

beforeEach(() => void vi.useFakeTimers({ now }));
afterEach(() => void vi.useRealTimers());

function armed(): { readonly alarm: Alarm; readonly set: number[]; lost: boolean } {
  const set: number[] = [];
  const stored = { alarm: new Alarm(storage()), set, lost: false };
  function storage(): DurableObjectStorage {
    const getAlarm = (): Promise<number | null> => Promise.resolve(stored.lost ? null : (set.at(-1) ?? null));
    const setAlarm = (at: number): Promise<void> => Promise.resolve(void set.push(at));
    return { getAlarm, setAlarm } as Partial<DurableObjectStorage> as DurableObjectStorage;
  }
  return stored;
}

test("an alarm is never set at or before now, nor for when the one that is handled was to come (guarantee 4)", () => {
  const { alarm, set } = armed();
  alarm.arm(now - 5);
  expect(set).toEqual([now + 1]);
  // It came before the clock says that it was to.
  alarm.fired(now + 7);
  alarm.arm(now);
  alarm.armBy(now + 8);
  expect(set).toEqual([now + 1, now + 8]);
  alarm.over();
  alarm.arm(now);
  expect(set).toEqual([now + 1, now + 8, now + 1]);
});

test("one that comes earlier is left as it is by who may be woken early, and by nobody else", () => {
  const { alarm, set } = armed();
  for (const at of [50, 90, 50, 20]) alarm.armBy(now + at);
  expect(set).toEqual([now + 50, now + 20]);
  for (const at of [50, 50, 90]) alarm.arm(now + at);
  expect(set.slice(2)).toEqual([now + 50, now + 90]);
  // It passed, and nobody was woken.
  vi.setSystemTime(now + 90);
  alarm.armBy(now + 200);
  expect(set.slice(4)).toEqual([now + 200]);
});

test("one that was lost, or has passed, is set anew once somebody has looked", async () => {
  const stored = armed();
  const { alarm, set } = stored;
  alarm.arm(now + 50);
  await alarm.verify();
  alarm.arm(now + 50);
  expect(set).toEqual([now + 50]);
  stored.lost = true;
  await alarm.verify();
  alarm.arm(now + 50);
  expect(set).toEqual([now + 50, now + 50]);
  stored.lost = false;
  vi.setSystemTime(now + 50);
  await alarm.verify();
  alarm.arm(now + 70);
  expect(set).toEqual([now + 50, now + 50, now + 70]);
});

test("the alarm of a deadline comes two or three milliseconds ahead of it, is none for housekeeping, and knows what it came for (guarantee 4)", () => {
  for (let deadline = 1_999_990.5; deadline < 2_001_010; deadline += 0.5) {
    const scheduledTime = aheadOf(deadline);
    const alarm = { scheduledTime, retryCount: 0, isRetry: false };
    expect(Math.ceil(deadline) - scheduledTime).toBe(Math.ceil(deadline) % 1000 === 2 ? 3 : 2);
    expect([Number.isInteger(scheduledTime), isHousekeeping(alarm)]).toEqual([true, false]);
    expect(deadlineOf(alarm)).toBeGreaterThanOrEqual(deadline);
  }
});
