import { describe, expect, test } from "vitest";
import { cronOf, cronProblem, timezoneProblem } from "../../src/core/schedule/cron.ts";

const parse = (cron: string, timezone: string) => cronOf({ cron, timezone });

const minuteMs = 60_000;
const dayMs = 86_400_000;

/**
 * Both hemispheres, half-hour zones, half-hour changes, changes at midnight, by two hours, and on Saturday evening.
 * The first CRON_ZONES of them, five unless set: one of each kind.
 */
const zones = [
  "America/New_York",
  "Australia/Lord_Howe",
  "America/Havana",
  "Antarctica/Troll",
  "Africa/Casablanca",
  "Europe/Berlin",
  "Australia/Sydney",
  "America/Santiago",
  "Asia/Beirut",
  "Africa/Cairo",
  "Pacific/Chatham",
  "America/St_Johns",
  "America/Nuuk",
].slice(0, Number(process.env["CRON_ZONES"] ?? 5));

function clockOf(zone: string): (at: number) => number {
  const format = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "medium" });
  const known = new Map<number, number>();
  return (at) => {
    const wall = known.get(at) ?? Date.parse(`${format.format(at).replace(" ", "T")}Z`);
    known.set(at, wall);
    return wall;
  };
}

/** Every change of the clocks of 2025 and 2026, to the hour before. */
function changes(clock: (at: number) => number): number[] {
  const found: number[] = [];
  for (let at = Date.UTC(2025, 0, 1); at < Date.UTC(2027, 0, 1); at += dayMs) {
    if (clock(at) - at === clock(at + dayMs) - at - dayMs) continue;
    for (let hour = at; hour < at + dayMs; hour += 3_600_000) {
      if (clock(hour) - hour !== clock(hour + 3_600_000) - hour - 3_600_000) found.push(hour);
    }
  }
  return found;
}

function numbers(field: string, to: number): Set<number> {
  const all = Array.from({ length: to + 1 }, (_, number) => number);
  const parts = field.split(",").flatMap((part) => {
    const [range = "", step = "1"] = part.split("/");
    const [first = "", last = first] = range === "*" ? ["0", String(to)] : range.split("-");
    return all.filter((n) => n >= Number(first) && n <= Number(last) && (n - Number(first)) % Number(step) === 0);
  });
  return new Set(parts);
}

/**
 * The rule of docs/schedules.md in its plainest form, minute by minute: a written time fires at the
 * first instant at which the local clock has reached it, any other wherever the clock shows it.
 */
function plain(pattern: string, clock: (at: number) => number, fromAt: number, toAt: number): number[] {
  const [minuteField = "", hourField = ""] = pattern.split(" ");
  const [minutes, hours] = [numbers(minuteField, 59), numbers(hourField, 23)];
  const written = !/[*/]/.test(`${minuteField} ${hourField}`);
  const matches = (wall: number): boolean =>
    minutes.has(new Date(wall).getUTCMinutes()) && hours.has(new Date(wall).getUTCHours());
  const slots: number[] = [];
  let reached = clock(fromAt - minuteMs);
  for (let at = fromAt; at < toAt; at += minuteMs) {
    const wall = clock(at);
    if (!written && matches(wall)) slots.push(at);
    let fires = false;
    for (; reached < wall; reached += minuteMs) fires ||= matches(reached + minuteMs);
    if (written && fires) slots.push(at);
  }
  return slots;
}

function slotsOf(pattern: string, zone: string, fromAt: number, toAt: number): number[] {
  const cron = parse(pattern, zone);
  const slots: number[] = [];
  for (let at = cron.next(fromAt - 1); at !== null && at < toAt; at = cron.next(at)) slots.push(at);
  return slots;
}

const show = (slots: readonly number[]): string[] => slots.map((at) => new Date(at).toISOString());

describe("where clocks change", () => {
  const written = ["0 0 * * *", "30 0 * * *", "15 1 * * *", "30 2 * * *", "0 3 * * *", "30 23 * * *", "59 23 * * *"];
  const lists = ["30 2,14 * * *", "0,30 1-3 * * *", "10 0,22,23 * * *"];
  const rhythms = ["0 * * * *", "*/30 * * * *", "*/7 * * * *", "0 */2 * * *", "*/10 2 * * *", "*/20 0-3 * * *"];

  test.each(zones)("%s: next agrees with the plain rule around every change of two years", (zone) => {
    const clock = clockOf(zone);
    const around = changes(clock);
    expect(around.length).toBeGreaterThanOrEqual(4);
    for (const changeAt of around) {
      const [fromAt, toAt] = [changeAt - 1.25 * dayMs, changeAt + 1.25 * dayMs];
      for (const pattern of [...written, ...lists, ...rhythms]) {
        const got = slotsOf(pattern, zone, fromAt, toAt);
        expect(show(got), `${pattern} from ${show([fromAt])[0]}`).toEqual(show(plain(pattern, clock, fromAt, toAt)));
      }
    }
  });

  test.each(zones)("%s: a daily schedule fires once for every local day of two years", (zone) => {
    const clock = clockOf(zone);
    const [fromAt, toAt] = [Date.UTC(2025, 0, 1, 12), Date.UTC(2027, 0, 1, 12)];
    for (const pattern of ["30 0 * * *", "15 2 * * *", "0 12 * * *"]) {
      const days = slotsOf(pattern, zone, fromAt, toAt).map((at) => Math.floor(clock(at) / dayMs));
      expect(days).toEqual(Array.from({ length: days.length }, (_, index) => (days[0] ?? 0) + index));
      expect(days.length).toBeGreaterThanOrEqual(729);
    }
  });

  test("a written time in the gap fires at its end, a repeated one the first time round", () => {
    const spring = slotsOf("30 2 * * *", "America/New_York", Date.UTC(2026, 2, 8), Date.UTC(2026, 2, 9));
    expect(show(spring)).toEqual(["2026-03-08T07:00:00.000Z"]);
    const autumn = slotsOf("30 1 * * *", "America/New_York", Date.UTC(2026, 10, 1), Date.UTC(2026, 10, 2));
    expect(show(autumn)).toEqual(["2026-11-01T05:30:00.000Z"]);
  });

  test("a gap that ends at midnight fires at midnight, and the next day's time as well", () => {
    const slots = slotsOf("30 23 * * *", "America/Nuuk", Date.UTC(2026, 2, 28, 12), Date.UTC(2026, 2, 30, 12));
    expect(show(slots)).toEqual(["2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z"]);
  });

  test("steps are no written time, with a star or without: none fires for those in such a gap", () => {
    for (const pattern of ["*/30 23 * * *", "0-30/30 23 * * *"]) {
      const slots = slotsOf(pattern, "America/Nuuk", Date.UTC(2026, 2, 28, 12), Date.UTC(2026, 2, 30, 12));
      expect(show(slots)).toEqual(["2026-03-30T00:00:00.000Z", "2026-03-30T00:30:00.000Z"]);
    }
  });

  test("a whole range keeps the rhythm of a star", () => {
    const [fromAt, toAt] = [Date.UTC(2026, 9, 24, 12), Date.UTC(2026, 9, 25, 12)];
    expect(slotsOf("0 0-23 * * *", "Europe/Berlin", fromAt, toAt)).toHaveLength(24);
    expect(slotsOf("0-59 2 * * *", "Europe/Berlin", fromAt, toAt)).toHaveLength(120);
  });

  test("seconds are a sixth field, first", () => {
    const slots = slotsOf("*/20 * * * * *", "UTC", Date.UTC(2026, 0, 1), Date.UTC(2026, 0, 1, 0, 1));
    expect(show(slots).map((slot) => slot.slice(17, 19))).toEqual(["00", "20", "40"]);
  });
});

describe("looking back", () => {
  test.each(zones)("%s: latest agrees with looking ahead", (zone) => {
    const clock = clockOf(zone);
    const changeAt = changes(clock)[3] ?? 0;
    const [fromAt, toAt] = [changeAt - 3 * dayMs, changeAt + 3 * dayMs];
    for (const pattern of ["30 2 * * *", "*/30 * * * *", "30 23 * * *", "0 0 * * 0"]) {
      const slots = slotsOf(pattern, zone, fromAt, toAt);
      const cron = parse(pattern, zone);
      for (let at = fromAt + 1; at < toAt; at += 5.37 * 3_600_000) {
        const whole = Math.floor(at);
        expect(cron.latest(fromAt, whole)).toBe(slots.findLast((slot) => slot <= whole) ?? null);
      }
    }
  });

  test("both ends count", () => {
    const cron = parse("0 12 * * *", "UTC");
    const noon = Date.UTC(2026, 0, 1, 12);
    expect(cron.latest(noon, noon)).toBe(noon);
    expect(cron.latest(noon + 1, noon + dayMs - 1)).toBeNull();
    expect(cron.latest(noon, noon + dayMs - 1)).toBe(noon);
    expect(cron.latest(noon, noon + dayMs)).toBe(noon + dayMs);
  });

  test("a month of seconds is not walked through", () => {
    const cron = parse("* * * * * *", "Europe/Berlin");
    const toAt = Date.UTC(2026, 5, 1) + 999;
    expect(cron.latest(toAt - 30 * dayMs, toAt)).toBe(toAt - 999);
    expect(cron.latest(toAt - 1999, toAt - 999)).toBe(toAt - 999);
  });
});

describe("what is refused", () => {
  test.each([
    "",
    "* * *",
    "60 * * * *",
    "0 0 0 1 1 * 2020",
    "0 0 31 2 *",
    "0 0 30 2 *",
    "0 0 0-23 * *",
    "0 0 * * 0-59",
    "? * * * *",
    "@reboot",
    "x",
    5,
  ])("%j is no cron", (pattern) => {
    expect(cronProblem(pattern)).not.toBeNull();
  });

  test("how many fields there are is said in the singular of one", () => {
    expect(cronProblem("hourly")).toBe("has 1 field: it needs five, or six with the seconds first");
    expect(cronProblem("* *")).toBe("has 2 fields: it needs five, or six with the seconds first");
    expect(cronProblem("0 0 0 1 1 * 2099")).toBe("has 7 fields: it needs five, or six with the seconds first");
  });

  test.each([
    "* * * * *",
    "*/5 * * * * *",
    "0 0 29 2 *",
    "0 0 L * *",
    "0 0 * 2 1#5",
    "0 9 * * MON-FRI",
    "@daily",
    " @Hourly ",
  ])("%j is one", (pattern) => {
    expect(cronProblem(pattern)).toBeNull();
  });

  test("zones are those the runtime knows", () => {
    for (const zone of ["UTC", "Europe/Berlin", "Australia/Lord_Howe"]) expect(timezoneProblem(zone)).toBeNull();
    for (const zone of ["", "Mars/Olympus", 7, null]) expect(timezoneProblem(zone)).not.toBeNull();
    for (const zone of ["", 7]) expect(timezoneProblem(zone)).toBe("is not the name of a time zone");
  });

  test("weekdays 0 and 7 are Sunday", () => {
    const sunday = Date.UTC(2026, 0, 4);
    for (const pattern of ["0 0 * * 0", "0 0 * * 7", "0 0 * * SUN"]) {
      expect(parse(pattern, "UTC").next(Date.UTC(2026, 0, 1))).toBe(sunday);
    }
  });

  test("what has passed for ever ends", () => {
    expect(parse("0 0 31 2 *", "UTC").next(0)).toBeNull();
    expect(parse("0 0 31 2 *", "UTC").latest(0, Date.UTC(2026, 0, 1))).toBeNull();
  });
});
