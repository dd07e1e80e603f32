/** Makes the fields of a form that hold a single value, from the keywords of a JSON Schema. */
import type { Field, Json, Shape, TextFormat } from "./field.ts";
import { defined } from "../record.ts";

type Schema = Readonly<Record<string, unknown>>;

export function choiceOf(options: readonly Json[]): Field {
  const values = options.filter((option) => option !== null);
  const [only = null] = values;
  if (values.length <= 1 && values.length === options.length) return { kind: "fixed", value: only, nullable: false };
  return { kind: "choice", options: values, nullable: values.length < options.length };
}

const formats: Readonly<Record<string, TextFormat>> = {
  email: "email",
  uri: "uri",
  date: "date",
  "date-time": "date-time",
  time: "time",
};

/** Text that may be longer gets a field of several lines. */
const longText = 200;

export function textOf(schema: Schema): Shape {
  const maxLength = numberOf(schema["maxLength"]);
  const length = defined({ minLength: numberOf(schema["minLength"]), maxLength });
  const format = formats[String(schema["format"])];
  // Validators also write the pattern of a format, which is not needed beside it.
  if (format !== undefined) return { kind: "text", format, ...length };
  const pattern = schema["pattern"];
  const isPattern = typeof pattern === "string" && isRegular(pattern);
  const isLong = !isPattern && maxLength !== undefined && maxLength > longText;
  return { kind: "text", format: isLong ? "long" : "plain", ...length, ...(isPattern ? { pattern } : {}) };
}

/** Whether the browser can use the pattern: in forms it has the flag v. */
function isRegular(pattern: string): boolean {
  try {
    return new RegExp(pattern, "v") instanceof RegExp;
  } catch {
    return false;
  }
}

export function boundsOf(schema: Schema) {
  return defined({
    min: safe(numberOf(schema["minimum"])),
    max: safe(numberOf(schema["maximum"])),
    above: numberOf(schema["exclusiveMinimum"]),
    below: numberOf(schema["exclusiveMaximum"]),
    step: numberOf(schema["multipleOf"]),
  });
}

/** Drops the bounds of the safe integers, which validators add by themselves. */
function safe(bound: number | undefined): number | undefined {
  return bound !== undefined && Number.isSafeInteger(bound) && Math.abs(bound) === Number.MAX_SAFE_INTEGER
    ? undefined
    : bound;
}

export function numberOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}
