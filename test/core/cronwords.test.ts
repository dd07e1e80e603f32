/** Cron patterns in words: right where they are simple, and silent where they are not. */
import { expect, test } from "vitest";
import { cronInWords } from "../../src/core/schedule/cronwords.ts";

test.each([
  ["* * * * *", "every minute"],
  ["*/5 * * * *", "every 5 minutes"],
  ["*/1 * * * *", "every minute"],
  ["0 * * * *", "every hour"],
  ["5 * * * *", "every hour at 05 past"],
  ["0 */6 * * *", "every 6 hours"],
  ["15 */2 * * *", "every 2 hours at 15 past"],
  ["30 7 * * MON-FRI", "at 07:30, Monday to Friday"],
  ["0 9,17 * * *", "at 09:00 and 17:00"],
  ["0 9 * * 0", "at 09:00, on Sunday"],
  ["0 9 * * 7", "at 09:00, on Sunday"],
  ["0 9 * * mon,wed,fri", "at 09:00, on Monday, Wednesday and Friday"],
  ["0 4 1 * *", "at 04:00, on day 1 of the month"],
  ["0 0 24 12 *", "at 00:00, on 24 December"],
  ["0 0 1 JAN *", "at 00:00, on 1 January"],
  ["0 30 7 * * *", "at 07:30"],
  ["@daily", "at 00:00"],
  ["@weekly", "at 00:00, on Sunday"],
])("%s is %s", (cron, words) => {
  expect(cronInWords(cron)).toBe(words);
});

test.each([
  "*/7 * * * *",
  "0 */5 * * *",
  "0-10 * * * *",
  "*/5 9 * * *",
  "*/5 */2 * * *",
  "10 30 7 * * *",
  "0 9 1 * MON",
  "0 9 * * MON#2",
  "0 9 * * MON-FRI#2",
  "0 9 * * MON-WED,FRI",
  "0 9 * * MON,WED-FRI",
  "0 9 L * *",
  "0 9-17 * * *",
  "0 9 * */3 *",
  "@reboot",
  "",
])("%j is left as it is", (cron) => {
  expect(cronInWords(cron)).toBeNull();
});
