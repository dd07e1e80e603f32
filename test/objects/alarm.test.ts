import { expect, test } from "vitest";
import { aheadOf, deadlineOf, isErrand } from "../../src/objects/alarm.ts";

test("the alarm of a deadline comes two or three milliseconds ahead of it, is no errand's, and knows what it came for (guarantee 4)", () => {
  for (let deadline = 1_999_990.5; deadline < 2_001_010; deadline += 0.5) {
    const scheduledTime = aheadOf(deadline);
    const alarm = { scheduledTime, retryCount: 0, isRetry: false };
    expect(Math.ceil(deadline) - scheduledTime).toBe(Math.ceil(deadline) % 1000 === 2 ? 3 : 2);
    expect([Number.isInteger(scheduledTime), isErrand(alarm)]).toEqual([true, false]);
    expect(deadlineOf(alarm)).toBeGreaterThanOrEqual(deadline);
  }
});
