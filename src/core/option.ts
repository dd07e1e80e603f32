/** Options as they were given, perhaps by code without types: what is wrong with them is refused, and named. */
import { HoldfastError } from "./error.ts";
import { shortened } from "./size.ts";
import { isThenable } from "./thenable.ts";

/** Refuses what would otherwise be passed over in silence. @throws HoldfastError options_invalid */
export function checkOptions(options: unknown, known: readonly string[], what: string): void {
  const unknown = Object.keys(fieldsOf(options, what)).find((option) => !known.includes(option));
  if (unknown === undefined) return;
  throw new HoldfastError("options_invalid", `${what} has no option "${unknown}"; it takes ${known.join(", ")}`);
}

/** @throws HoldfastError options_invalid: they are no object with fields */
export function fieldsOf(options: unknown, what: string): Readonly<Record<string, unknown>> {
  if (isPlain(options)) return options;
  throw new HoldfastError("options_invalid", `the options of ${what} must be a plain object, not ${mention(options)}`);
}

/** The refusal of one option, to be thrown. */
export function refused(what: string, option: string, why: string): HoldfastError {
  return new HoldfastError("options_invalid", `${what}: ${option} ${why}`);
}

/** Whether it is an object with fields: no list, map, date, promise or the like, whose fields nobody would read. */
export function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  // The exports of a module are fields as good as any: `import * as signals`.
  return /^\[object (?:Object|Module)\]$/.test(Object.prototype.toString.call(value)) && !isThenable(value);
}

const longestMention = 80;

/** A value that was given in place of another, as the message that refuses it shows it. */
export function mention(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(shortened(value, longestMention));
    case "bigint":
      return `${value}n`;
    case "symbol":
    case "function":
      return `a ${typeof value}`;
    case "object":
      return value === null ? "null" : mentionObject(value);
    default:
      return String(value);
  }
}

/** A proxy may throw whatever it is asked, and the message is about something else. */
function mentionObject(value: object): string {
  try {
    return describe(value);
  } catch {
    return "an object";
  }
}

function describe(value: object): string {
  if (isThenable(value)) return "a promise: await it first";
  if (Array.isArray(value)) return "an array";
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "an invalid date" : "a date";
  const tag = Object.prototype.toString.call(value).slice("[object ".length, -1);
  return tag === "Object" ? "an object" : `an object of class ${tag}`;
}
