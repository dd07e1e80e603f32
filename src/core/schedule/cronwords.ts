/** A cron pattern in words, where it is simple enough that words are clearer than the pattern. */
import { fieldsOf } from "./cron.ts";

const weekdays = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const months = [
  ...["January", "February", "March", "April", "May", "June"],
  ...["July", "August", "September", "October", "November", "December"],
];

/** `every 5 minutes`, `at 07:00, Monday to Friday`; null where the pattern says more than that. */
export function cronInWords(cron: string): string | null {
  const given = fieldsOf(cron.toLowerCase());
  // Six fields begin with seconds: at second 0 they are five.
  const fields = given.length === 6 && given[0] === "0" ? given.slice(1) : given;
  const [minute = "", hour = "", day = "", month = "", weekday = ""] = fields;
  if (fields.length !== 5) return null;
  const time = timeInWords(minute, hour);
  const days = daysInWords(day, month, weekday);
  if (time === null || days === null) return null;
  return days === "" ? time : `${time}, ${days}`;
}

function timeInWords(minute: string, hour: string): string | null {
  const step = /^\*\/(\d+)$/;
  if (hour === "*") {
    if (minute === "*") return "every minute";
    const every = step.exec(minute)?.[1];
    // A step that does not divide the hour begins anew with each: not "every".
    if (every !== undefined) return 60 % Number(every) === 0 ? everyText(Number(every), "minute") : null;
    return isNumber(minute) ? (Number(minute) === 0 ? "every hour" : `every hour at ${two(minute)} past`) : null;
  }
  if (!isNumber(minute)) return null;
  const every = step.exec(hour)?.[1];
  if (every !== undefined) {
    if (24 % Number(every) !== 0) return null;
    const past = Number(minute) === 0 ? "" : ` at ${two(minute)} past`;
    return `${everyText(Number(every), "hour")}${past}`;
  }
  const hours = hour.split(",");
  if (!hours.every(isNumber)) return null;
  return `at ${listed(hours.map((each) => `${two(each)}:${two(minute)}`))}`;
}

function daysInWords(day: string, month: string, weekday: string): string | null {
  if (day === "*" && month === "*") return weekday === "*" ? "" : weekdaysInWords(weekday);
  if (weekday !== "*" || !isNumber(day)) return null;
  if (month === "*") return `on day ${Number(day)} of the month`;
  const name = nameOf(month, months, 1);
  return name === null ? null : `on ${Number(day)} ${name}`;
}

function weekdaysInWords(text: string): string | null {
  const [first = "", last] = text.split("-");
  if (last !== undefined) {
    const [from, until] = [nameOf(first, weekdays, 0), nameOf(last, weekdays, 0)];
    return from === null || until === null ? null : `${from} to ${until}`;
  }
  const names = text.split(",").map((each) => nameOf(each, weekdays, 0));
  const known = names.filter((name) => name !== null);
  return known.length === names.length ? `on ${listed(known)}` : null;
}

/** By number, counted from `base`, or by the first three letters. 7 is Sunday as well. */
function nameOf(text: string, names: readonly string[], base: number): string | null {
  if (isNumber(text)) return names[(Number(text) - base) % names.length] ?? null;
  return names.find((name) => name.slice(0, 3).toLowerCase() === text) ?? null;
}

function isNumber(text: string): boolean {
  return /^\d{1,2}$/.test(text);
}

function two(text: string): string {
  return text.padStart(2, "0");
}

function everyText(count: number, noun: string): string {
  return count === 1 ? `every ${noun}` : `every ${count} ${noun}s`;
}

function listed(texts: readonly string[]): string {
  return texts.length < 2 ? texts.join("") : `${texts.slice(0, -1).join(", ")} and ${texts.at(-1) ?? ""}`;
}
