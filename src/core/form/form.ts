/**
 * Makes the fields of a form from a JSON Schema (draft 2020-12, as validators write it). A part of the schema that no other
 * field fits becomes a field of any JSON, so that every schema can be drawn and every value entered. Rules that involve
 * several fields are left to the validator.
 */
import { anyJson } from "./field.ts";
import type { Field, Json, Member, Shape, Variant } from "./field.ts";
import { isRecord } from "../record.ts";
import { boundsOf, choiceOf, numberOf, textOf } from "./scalar.ts";

type Schema = Readonly<Record<string, unknown>>;

/** The context of a schema: what references resolve in, the references it is within, and how many fields may still be drawn. */
type Scope = { readonly root: Schema; readonly refs: readonly string[]; readonly budget: { left: number } };

/** How often a reference within itself is followed. */
const maxTurns = 2;
const maxFields = 2000;

/** @param schema null where the validator has none */
export function fieldOf(schema: object | null): Field {
  return schema === null ? anyJson : draw(schema, { root: schema as Schema, refs: [], budget: { left: maxFields } });
}

function draw(schema: unknown, scope: Scope): Field {
  scope.budget.left--;
  if (!isRecord(schema) || scope.budget.left < 0) return anyJson;
  if (typeof schema["$ref"] === "string") return drawReference(schema["$ref"], schema, scope);
  if (Array.isArray(schema["allOf"])) {
    const merged = merge(schema, schema["allOf"], scope);
    return merged === null ? wordsOf(schema, { kind: "json" }) : draw(merged, scope);
  }
  const alternatives = schema["anyOf"] ?? schema["oneOf"];
  if (Array.isArray(alternatives)) return drawVariants(schema, alternatives, scope);
  const types = schema["type"];
  if (Array.isArray(types)) {
    const each = types.map((type) => ({ ...only(schema, type), type }));
    return drawVariants(schema, each, scope);
  }
  return wordsOf(schema, shapeOf(schema, scope));
}

/** The keywords of a schema with several types that apply to one of them. */
function only(schema: Schema, type: unknown): Schema {
  const rest = without(schema, ["title", "description", "default"]);
  const { enum: options } = rest;
  if (!Array.isArray(options)) return rest;
  return {
    ...rest,
    enum: options.filter((option) => typeOf(option) === type || (type === "integer" && typeOf(option) === "number")),
  };
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

function drawReference(ref: string, schema: Schema, scope: Scope): Field {
  const target = resolve(ref, scope.root);
  const turns = scope.refs.filter((each) => each === ref).length + (ref === "#" ? 1 : 0);
  if (target === null || turns > maxTurns) return wordsOf(schema, { kind: "json" });
  return draw({ ...target, ...without(schema, ["$ref"]) }, { ...scope, refs: [...scope.refs, ref] });
}

/** A pointer into the same schema: `#`, `#/$defs/Order`. */
function resolve(ref: string, root: Schema): Schema | null {
  if (ref === "#") return root;
  if (!ref.startsWith("#/")) return null;
  let at: unknown = root;
  for (const part of ref.slice(2).split("/")) {
    const name = decode(part).replaceAll("~1", "/").replaceAll("~0", "~");
    at = isRecord(at) && Object.hasOwn(at, name) ? at[name] : undefined;
  }
  return isRecord(at) ? at : null;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** All parts merged into one schema; null where they contradict each other or cannot be merged. */
function merge(schema: Schema, parts: readonly unknown[], scope: Scope): Schema | null {
  let merged = without(schema, ["allOf"]);
  for (const part of parts) {
    const whole = isRecord(part) && typeof part["$ref"] === "string" ? resolve(part["$ref"], scope.root) : part;
    if (!isRecord(whole) || "allOf" in whole || "$ref" in whole) return null;
    const { properties, required, ...rest } = whole;
    const clash = Object.entries(rest).some(
      ([name, value]) => Object.hasOwn(merged, name) && JSON.stringify(merged[name]) !== JSON.stringify(value),
    );
    if (clash) return null;
    merged = {
      ...merged,
      ...rest,
      ...(properties === undefined
        ? {}
        : { properties: { ...entriesOf(merged["properties"]), ...entriesOf(properties) } }),
      ...(required === undefined ? {} : { required: [...listOf(merged["required"]), ...listOf(required)] }),
    };
  }
  return merged;
}

/** One of several alternatives: null among them makes the others nullable, and constants alone make a choice. */
function drawVariants(schema: Schema, alternatives: readonly unknown[], scope: Scope): Field {
  // Properties or items beside the alternatives apply to all of them, which variants cannot express.
  if (Array.isArray(schema["anyOf"] ?? schema["oneOf"]) && ("properties" in schema || "items" in schema)) {
    return wordsOf(schema, { kind: "json" });
  }
  const fields = alternatives
    .filter((each) => !(isRecord(each) && (each["type"] === "null" || each["const"] === null)))
    .map((each) => ({ schema: each, field: draw(each, scope) }));
  const nullable = fields.length < alternatives.length || fields.some(({ field }) => field.nullable);
  const [first] = fields;
  if (first === undefined) return wordsOf(schema, { kind: "fixed", value: null });
  if (fields.length === 1) return { ...wordsOf(schema, first.field), nullable };
  const options = fields.flatMap(({ field }) => optionsOf(field) ?? []);
  if (fields.every(({ field }) => optionsOf(field) !== null)) {
    return { ...wordsOf(schema, { kind: "choice", options }), nullable };
  }
  const labels = fields.map(({ field }) => labelOf(field));
  const variants: Variant[] = fields.map(({ field }, index) => {
    const label = labels[index] ?? "";
    const isTwin = labels.filter((each) => each === label).length > 1;
    return { label: isTwin ? `${label} (${index + 1})` : label, field: { ...field, nullable: false } };
  });
  return { ...wordsOf(schema, { kind: "variants", variants }), nullable };
}

function optionsOf(field: Field): readonly Json[] | null {
  if (field.kind === "fixed") return [field.value];
  return field.kind === "choice" ? field.options : null;
}

/** The label of a variant: its title, the constants that it has, or its type. */
function labelOf(field: Field): string {
  if (field.title !== undefined) return field.title;
  switch (field.kind) {
    case "object": {
      const fixed = field.members.flatMap(({ field }) => (field.kind === "fixed" ? [String(field.value)] : []));
      if (fixed.length > 0) return fixed.join(" ");
      const names = field.members.slice(0, 3).map(({ name }) => name);
      return names.length === 0 ? "object" : `object with ${names.join(", ")}`;
    }
    case "fixed":
      return JSON.stringify(field.value);
    case "flag":
      return "true or false";
    case "number":
      return field.whole ? "whole number" : "number";
    case "text":
      return field.format === "plain" || field.format === "long" ? "text" : field.format;
    case "choice":
      return "one of a list";
    case "list":
    case "tuple":
      return "list";
    case "variants":
      return field.variants.map(({ label }) => label).join(" or ");
    case "json":
      return "other JSON";
    default:
      return field satisfies never;
  }
}

/** The shape with the schema's title, description and default, which win over those of an inner schema. */
function wordsOf({ title, description, default: initial }: Schema, shape: Shape | Field): Field {
  return {
    nullable: false,
    ...shape,
    ...(typeof title === "string" && title !== "" ? { title } : {}),
    ...(typeof description === "string" && description !== "" ? { description } : {}),
    ...(initial === undefined ? {} : { initial: initial as Json }),
  };
}

function shapeOf(schema: Schema, scope: Scope): Shape | Field {
  if (Object.hasOwn(schema, "const")) return { kind: "fixed", value: schema["const"] as Json };
  if (Array.isArray(schema["enum"])) return choiceOf(schema["enum"] as Json[]);
  switch (schema["type"] ?? guess(schema)) {
    case "string":
      return textOf(schema);
    case "number":
      return { kind: "number", whole: false, ...boundsOf(schema) };
    case "integer":
      return { kind: "number", whole: true, ...boundsOf(schema) };
    case "boolean":
      return { kind: "flag" };
    case "null":
      return { kind: "fixed", value: null };
    case "array":
      return listShape(schema, scope);
    case "object":
      return objectShape(schema, scope);
    default:
      return { kind: "json" };
  }
}

function guess(schema: Schema): string | null {
  if (isRecord(schema["properties"])) return "object";
  return isRecord(schema["items"]) || Array.isArray(schema["prefixItems"]) ? "array" : null;
}

function listShape(schema: Schema, scope: Scope): Shape {
  const { prefixItems, items } = schema;
  if (Array.isArray(prefixItems)) {
    if (items !== undefined && items !== false) return { kind: "json" };
    return { kind: "tuple", items: prefixItems.map((item) => draw(item, scope)) };
  }
  const min = numberOf(schema["minItems"]) ?? 0;
  return { kind: "list", item: draw(items, scope), min, max: numberOf(schema["maxItems"]) ?? null };
}

function objectShape(schema: Schema, scope: Scope): Shape {
  const { additionalProperties: others } = schema;
  const names = isRecord(schema["propertyNames"]) ? schema["propertyNames"]["enum"] : undefined;
  // A record with a fixed list of names is an object with these members.
  const known = Array.isArray(names) && isRecord(others) ? names.map((name) => [String(name), others] as const) : null;
  const properties = known ?? Object.entries(entriesOf(schema["properties"]));
  const required = listOf(schema["required"]);
  const members: Member[] = properties.map(([name, each]) => ({
    name,
    field: draw(each, scope),
    required: required.includes(name),
  }));
  const further = known === null && isRecord(others) && Object.keys(others).length > 0 ? draw(others, scope) : null;
  if (members.length === 0 && further === null && others !== false) {
    // The schema does not restrict it: any names with any values.
    return isRecord(others) || schema["propertyNames"] !== undefined
      ? { kind: "object", members, others: anyJson }
      : { kind: "json" };
  }
  return { kind: "object", members, others: further };
}

function without(schema: Schema, names: readonly string[]): Schema {
  return Object.fromEntries(Object.entries(schema).filter(([name]) => !names.includes(name)));
}

function entriesOf(value: unknown): Schema {
  return isRecord(value) ? value : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
