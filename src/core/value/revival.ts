/** Reads values from JSON, in the form that `json` writes. */
import { createBytes, fromBase64, isByteType } from "../bytes.ts";
import { toInstant } from "../duration.ts";
import { createError, hide, HoldfastError } from "../error.ts";
import { isRecord } from "../record.ts";
import { shortened } from "../size.ts";
import { pointerTo } from "./pointer.ts";

/** The limit of nesting in JSON that is read. */
const maxDepth = 200;

/** The limit of digits of a BigInt, because the time to parse them grows faster than their number. */
export const maxDigits = 100_000;

/**
 * The value of JSON in this form.
 * @throws HoldfastError body_invalid for an unknown `$type`, a `value` that does not fit it, a `__proto__` key, or more than
 * 200 levels; `issues` has the place as a JSON pointer
 */
export function fromJson(json: unknown): unknown {
  return revive(json, []);
}

type Path = (string | number)[];

function refuse(path: Path, message: string): HoldfastError {
  const pointer = pointerTo(path);
  // Cut, because the sender controls its length.
  const place = pointer === "" ? "the body" : shortened(pointer, 200);
  return new HoldfastError("body_invalid", `${place} ${message}`, { issues: [{ path: pointer, message }] });
}

function revive(json: unknown, path: Path): unknown {
  if (typeof json !== "object") {
    if (typeof json === "string" || typeof json === "number" || typeof json === "boolean") return json;
    throw refuse(path, `is not JSON: ${typeof json}`);
  }
  if (json === null) return null;
  if (path.length > maxDepth) throw refuse(path, `is nested more than ${maxDepth} levels deep`);
  if (Array.isArray(json)) return reviveList(json, path);
  return Object.hasOwn(json, "$type") ? reviveTyped(json, path) : reviveEntries(json, path);
}

function inside(json: unknown, path: Path, ...keys: Path): unknown {
  path.push(...keys);
  const value = revive(json, path);
  path.length -= keys.length;
  return value;
}

function reviveList(json: readonly unknown[], path: Path, ...under: Path): unknown[] {
  return json.map((item, index) => inside(item, path, ...under, index));
}

function reviveEntries(json: object, path: Path, ...under: Path): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(json)) {
    if (key === "__proto__") throw refuse([...path, ...under], "has a key named __proto__");
    value[key] = inside(item, path, ...under, key);
  }
  return value;
}

function reviveTyped(json: object, path: Path): unknown {
  const { $type: type, value, ...rest } = json as { $type: unknown; value?: unknown };
  const more = Object.keys(rest)[0];
  if (more !== undefined) throw refuse([...path, more], "is not known beside $type and value");
  switch (type) {
    case "undefined":
      return undefined;
    case "NaN":
    case "Infinity":
    case "-Infinity":
    case "-0":
      return Number(type);
    case "Date":
      return reviveDate(value, path);
    case "BigInt":
      if (typeof value === "string" && value.length <= maxDigits && /^-?\d+$/.test(value)) return BigInt(value);
      throw refuse([...path, "value"], `is not a whole number of at most ${maxDigits} digits, as text`);
    case "RegExp":
      return reviveRegExp(value, path);
    case "Map":
      return new Map(listOf(value, path).map((pair, index) => revivePair(pair, path, index)));
    case "Set":
      return new Set(reviveList(listOf(value, path), path, "value"));
    case "Error":
      return reviveError(value, path);
    case "Object":
      if (isRecord(value)) return reviveEntries(value, path, "value");
      throw refuse([...path, "value"], "is not an object");
    default:
      return reviveBytes(type, value, path);
  }
}

function listOf(value: unknown, path: Path): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw refuse([...path, "value"], "is not an array");
}

function revivePair(pair: unknown, path: Path, index: number): [unknown, unknown] {
  if (!Array.isArray(pair) || pair.length !== 2) {
    throw refuse([...path, "value", index], "is not an array of a key and a value");
  }
  const [key, value] = reviveList(pair, path, "value", index);
  return [key, value];
}

function reviveDate(value: unknown, path: Path): Date {
  if (value === null) return new Date(Number.NaN);
  if (typeof value === "string") {
    // RFC 3339 has no years of more than four digits, but `Date` does.
    const far = /^[+-]\d{6}-/.test(value) ? new Date(value) : null;
    if (far !== null && !Number.isNaN(far.getTime()) && far.toISOString() === value) return far;
    try {
      return new Date(toInstant(value));
    } catch {
      // Refused below, with its place.
    }
  }
  throw refuse([...path, "value"], "is not a date: give RFC 3339 text with a zone");
}

function reviveRegExp(value: unknown, path: Path): RegExp {
  const { source, flags = "", ...rest } = isRecord(value) ? value : { source: null };
  if (typeof source === "string" && typeof flags === "string" && Object.keys(rest).length === 0) {
    try {
      return new RegExp(source, flags);
    } catch {
      // Refused below, with its place.
    }
  }
  throw refuse([...path, "value"], "is not a regular expression: give { source, flags }");
}

const errorFields: readonly string[] = ["name", "message", "stack", "code", "cause", "errors"];

function reviveError(value: unknown, path: Path): Error {
  if (!isRecord(value)) throw refuse([...path, "value"], "is not an object");
  const text = (key: string): string | undefined => {
    const field = value[key];
    if (field === undefined || typeof field === "string") return field;
    throw refuse([...path, "value", key], "is not text");
  };
  const unknown = Object.keys(value).find((key) => !errorFields.includes(key));
  if (unknown !== undefined) throw refuse([...path, "value", unknown], "is not a field of an error");
  const { code, cause, errors } = value;
  const shape = { name: text("name") ?? "Error", message: text("message") ?? "", stack: text("stack") };
  const error = createError(errors === undefined ? shape : { ...shape, type: "AggregateError" });
  if (code !== undefined) {
    if (typeof code !== "string" && typeof code !== "number") throw refuse([...path, "value", "code"], "is not text");
    Object.assign(error, { code });
  }
  if (cause !== undefined) hide(error, "cause", inside(cause, path, "value", "cause"));
  if (errors !== undefined) {
    if (!Array.isArray(errors)) throw refuse([...path, "value", "errors"], "is not an array");
    hide(error, "errors", reviveList(errors, path, "value", "errors"));
  }
  return error;
}

function reviveBytes(type: unknown, value: unknown, path: Path): unknown {
  if (typeof type !== "string" || !isByteType(type)) throw refuse([...path, "$type"], "is not a known type");
  const bytes = typeof value === "string" ? fromBase64(value) : null;
  if (bytes === null) throw refuse([...path, "value"], "is not base64");
  const view = createBytes(type, bytes.buffer);
  if (view === null) throw refuse([...path, "value"], `is not a whole number of elements of ${type}`);
  return view;
}
