/** Values for a fuzzer: such as a schema asks for, such as miss it by little, and such as nobody should send. */
import { toJson } from "../../../src/core/value/json.ts";
import type { Schema } from "../../../src/http/openapi/schema.ts";
import { randomValue } from "../../core/sample.ts";
import type { Pick } from "../../core/sample.ts";

/** What a page must never show as it is. */
export const markup = "\"><fuzz onload='x'>";

/** Texts that have broken programs before. None of digits alone is a wait of more than a second. */
export const nasty: readonly string[] = [
  "",
  " ",
  "\0",
  "a\0b",
  "0",
  "-0",
  "-1",
  "200",
  "201",
  "1e3",
  "0x10",
  "NaN",
  "9007199254740993",
  "999999999999999",
  "99999999999999999999",
  "null",
  "undefined",
  "true",
  "[]",
  "{}",
  "__proto__",
  "constructor",
  "toString",
  "../../etc/passwd",
  "..",
  "%00",
  "%zz",
  "%ff",
  "\ud800",
  "\u202e\u0000",
  "é".normalize("NFD"),
  "😀".repeat(70),
  "a".repeat(128),
  "a".repeat(129),
  "a".repeat(256),
  "a".repeat(257),
  "a".repeat(5000),
  "' OR 1=1 --",
  "%' ESCAPE '",
  markup,
  "{{7*7}}",
  "\r\nSet-Cookie: a=b",
  ".hidden",
  "-",
  "a/b",
  "a b",
  "#2",
  "$type",
  "2026-02-30T00:00:00Z",
  "2026-01-01T00:00:00Z",
  "-271821-04-20T00:00:00Z",
  "9999-12-31T23:59:59.999Z",
  "0000-01-01T00:00:00Z",
  "2026-01-01T00:00:00+99:99",
  "61s",
  "1h",
  "52000 weeks",
  "*/0 * * * *",
  "* * * * * *",
  "0 0 30 2 *",
  "Mars/Olympus",
];

const wrong: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e308,
  2 ** 53,
  [],
  {},
  [[]],
  { $type: "Window" },
  { $type: "Date", value: "no" },
  { $type: "Map", value: [[1]] },
  { $type: "Uint8Array", value: "?" },
  { $type: "RegExp", value: { source: "(" } },
  { $type: "undefined" },
  { $type: "NaN" },
  { $type: "Object", value: { $type: 1 } },
  { toString: 1, valueOf: 2 },
];

export function isOneIn(pick: Pick, many: number): boolean {
  return pick.below(many) === 0;
}

/** Any value that has a JSON form, in that form. */
export function anyJson(pick: Pick): unknown {
  return toJson(randomValue(pick, 2));
}

export function hostile(pick: Pick): unknown {
  switch (pick.below(5)) {
    case 0:
      return pick.of(wrong);
    case 1:
      return anyJson(pick);
    case 2:
      return Object.fromEntries(Array.from({ length: pick.of([1, 65, 300]) }, (_, n) => [`${pick.of(nasty)}${n}`, n]));
    case 3:
      return Array.from({ length: pick.of([1, 300]) }, () => pick.of(nasty));
    default:
      return pick.of(nasty);
  }
}

/** Values by the name of the field or parameter they are for; undefined where the schema alone must do. */
export type Known = (name: string) => unknown;

/** A value of the schema; of one that says nothing, whatever there is. */
export function valid(schema: Schema, pick: Pick, known: Known, name = ""): unknown {
  const given = known(name);
  if (given !== undefined) return given;
  const { type, enum: values, const: only, anyOf, properties, items, additionalProperties: rest } = schema;
  if (only !== undefined) return only;
  if (Array.isArray(values)) return pick.of(values);
  if (Array.isArray(anyOf)) return valid(pick.of(anyOf as Schema[]), pick, known);
  switch (Array.isArray(type) ? pick.of(type) : type) {
    case "string":
      return schema["format"] === "date-time" ? instant(pick) : pick.of(["a", "text", "é", "x:1"]);
    case "integer":
      return pick.of([1, 2, 3, 7]);
    case "number":
      return pick.of([0, 1, 2.5, 1000]);
    case "boolean":
      return pick.of([true, false]);
    case "null":
      return null;
    case "array":
      return Array.from({ length: pick.below(3) }, () => valid(items as Schema, pick, known, name));
    case "object":
      return objectOf(pick, known, (properties ?? {}) as Fields, (schema["required"] ?? []) as string[], rest);
    default:
      return anyJson(pick);
  }
}

type Fields = Readonly<Record<string, Schema>>;

function objectOf(pick: Pick, known: Known, fields: Fields, needed: readonly string[], rest: unknown) {
  const named = Object.entries(fields)
    .filter(([name]) => needed.includes(name) || isOneIn(pick, 3))
    .map(([name, schema]) => [name, valid(schema, pick, known, name)]);
  const others = typeof rest === "object" ? Array.from({ length: pick.below(3) }, (_, n) => `key${n}`) : [];
  const more = others.map((name) => [name, valid(rest as Schema, pick, known)]);
  return Object.fromEntries([...named, ...more]) as Record<string, unknown>;
}

export function instant(pick: Pick): string {
  return new Date(Date.now() + (pick.below(2000) - 1000) * 60_000).toISOString();
}

/** The value with one thing in it that is not as it was. */
export function spoiled(value: unknown, pick: Pick): unknown {
  if (typeof value !== "object" || value === null || isOneIn(pick, 8)) return hostile(pick);
  const entries = Object.entries(value);
  const at = pick.below(entries.length + 1);
  const [name, inner] = entries[at] ?? [pick.of([...nasty.slice(0, 25), "extra"]), 1];
  if (isOneIn(pick, 4)) return Object.fromEntries(entries.filter(([key]) => key !== name));
  return { ...value, [name]: at === entries.length ? hostile(pick) : spoiled(inner, pick) };
}
