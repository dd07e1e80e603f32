/** Forms: which field a JSON Schema becomes, what it says of itself, and what stands on the page for it. */
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { anyJson, blankOf, kindOf } from "../../src/core/form/field.ts";
import type { Field } from "../../src/core/form/field.ts";
import { fieldOf } from "../../src/core/form/form.ts";
import { ValueForm } from "../../src/http/pages/form.tsx";

function of(schema: z.ZodType): Field {
  return fieldOf(z.toJSONSchema(schema, { io: "input" }));
}

function member(schema: z.ZodType): { field: Field; required: boolean } {
  const field = of(z.object({ it: schema }));
  const [found] = field.kind === "object" ? field.members : [];
  if (found === undefined) throw new Error("no member");
  return found;
}

describe("each kind of value has its field", () => {
  test.each<[string, z.ZodType, object]>([
    ["text", z.string().min(1).max(9), { kind: "text", format: "plain", minLength: 1, maxLength: 9 }],
    ["long text", z.string().max(2000), { kind: "text", format: "long" }],
    ["text of a pattern", z.string().regex(/^a+$/), { kind: "text", pattern: "^a+$" }],
    ["an email address", z.email(), { kind: "text", format: "email" }],
    ["a URL", z.url(), { kind: "text", format: "uri" }],
    ["an instant", z.iso.datetime(), { kind: "text", format: "date-time" }],
    ["a date", z.iso.date(), { kind: "text", format: "date" }],
    ["a number", z.number().min(1).max(2).multipleOf(0.5), { kind: "number", whole: false, min: 1, max: 2, step: 0.5 }],
    ["a number between", z.number().gt(1).lt(2), { kind: "number", above: 1, below: 2 }],
    ["a whole number", z.int(), { kind: "number", whole: true }],
    ["a switch", z.boolean(), { kind: "flag" }],
    ["one of several", z.enum(["a", "b"]), { kind: "choice", options: ["a", "b"] }],
    ["one of several of all kinds", z.literal(["a", 1, null]), { kind: "choice", options: ["a", 1], nullable: true }],
    ["a constant", z.literal("a"), { kind: "fixed", value: "a" }],
    ["null", z.null(), { kind: "fixed", value: null }],
    ["a list", z.array(z.int()).min(1).max(3), { kind: "list", min: 1, max: 3, item: { kind: "number" } }],
    [
      "a list of parts",
      z.tuple([z.string(), z.int()]),
      { kind: "tuple", items: [{ kind: "text" }, { kind: "number" }] },
    ],
    ["names", z.record(z.string(), z.int()), { kind: "object", members: [], others: { kind: "number" } }],
    [
      "known names",
      z.record(z.enum(["a"]), z.int()),
      { kind: "object", members: [{ name: "a", required: true }], others: null },
    ],
    [
      "an object and more",
      z.object({ a: z.string() }).catchall(z.int()),
      { kind: "object", members: [{ name: "a" }], others: { kind: "number" } },
    ],
    ["a strict object", z.strictObject({}), { kind: "object", members: [], others: null }],
    ["anything", z.any(), { kind: "json" }],
    [
      "one or the other",
      z.union([z.string(), z.int()]),
      { kind: "variants", variants: [{ label: "text" }, { label: "whole number" }] },
    ],
    [
      "words",
      z.string().meta({ title: "Name", description: "Of the customer." }),
      { title: "Name", description: "Of the customer." },
    ],
    ["a default", z.int().default(3), { kind: "number", initial: 3 }],
  ])("%s", (_, schema, expected) => {
    expect(member(schema).field).toMatchObject(expected);
  });

  test("the ends of exact whole numbers are no bounds", () => {
    expect(member(z.int()).field).toEqual({ kind: "number", whole: true, nullable: false });
  });

  test("a union of kinds is told apart by the constants of each", () => {
    const card = z.object({ kind: z.literal("card"), last4: z.string() });
    const cash = z.object({ kind: z.literal("cash") });
    const { field } = member(z.discriminatedUnion("kind", [card, cash]));
    expect(field.kind === "variants" && field.variants.map(({ label }) => label)).toEqual(["card", "cash"]);
  });

  test("variants of one name are numbered", () => {
    const { field } = member(z.union([z.array(z.int()), z.array(z.string())]));
    expect(field.kind === "variants" && field.variants.map(({ label }) => label)).toEqual(["list (1)", "list (2)"]);
  });

  test("null beside a kind makes it nullable, and null or absent is offered", () => {
    expect(member(z.string().nullable())).toMatchObject({ required: true, field: { kind: "text", nullable: true } });
    expect(member(z.object({ a: z.int() }).nullish())).toMatchObject({
      required: false,
      field: { kind: "object", nullable: true },
    });
  });

  test("a referenced part is drawn where it is used", () => {
    const part = z.object({ a: z.int() }).meta({ id: "Part" });
    expect(member(part).field).toMatchObject({ kind: "object", members: [{ name: "a", field: { kind: "number" } }] });
  });

  test("parts that must all hold are one object, and are JSON where they contradict each other", () => {
    const text = { type: "object", properties: { a: { type: "string" } }, required: ["a"] };
    const more = { properties: { b: { type: "boolean" } } };
    expect(fieldOf({ allOf: [text, more] })).toMatchObject({
      members: [
        { name: "a", required: true },
        { name: "b", required: false },
      ],
    });
    expect(fieldOf({ allOf: [text, { type: "array" }] })).toMatchObject({ kind: "json" });
  });
});

describe("what cannot be drawn is JSON, and nothing is refused", () => {
  test.each<[string, object | null]>([
    ["no schema", null],
    ["an empty schema", {}],
    ["a reference to elsewhere", { $ref: "https://example.com/schema.json" }],
    ["a reference to nothing", { $ref: "#/$defs/none" }],
    ["a type nobody knows", { type: "colour" }],
    ["an object without properties", { type: "object" }],
    ["a list with a rest", { type: "array", prefixItems: [{}], items: { type: "string" } }],
    ["alternatives beside properties", { properties: { a: {} }, anyOf: [{ required: ["a"] }, {}] }],
    ["a reference to itself", { $ref: "#" }],
  ])("%s", (_, schema) => {
    expect(fieldOf(schema)).toMatchObject({ kind: "json" });
  });

  test("a schema of itself is drawn some turns deep", () => {
    const tree = z.object({
      name: z.string(),
      get inner(): z.ZodArray<typeof tree> {
        return z.array(tree);
      },
    });
    const text = JSON.stringify(of(tree));
    expect([text.match(/"name":"name"/g)?.length, text.includes('"kind":"json"')]).toEqual([3, true]);
  });

  test("a schema that explodes stops growing", () => {
    const defs = Object.fromEntries(
      Array.from({ length: 14 }, (_, index) => {
        const next = { $ref: `#/$defs/d${index + 1}` };
        return [`d${index}`, { type: "object", properties: { a: next, b: next, c: next } }];
      }),
    );
    expect(JSON.stringify(fieldOf({ $ref: "#/$defs/d0", $defs: defs })).length).toBeLessThan(1_000_000);
  });

  test("a pattern that the browser cannot read is left to the validator", () => {
    expect(fieldOf({ type: "string", pattern: "[" })).toEqual({ kind: "text", format: "plain", nullable: false });
  });
});

describe("nothing", () => {
  const text: Field = { kind: "text", format: "plain", nullable: false };
  test.each<[string, Field, boolean, string]>([
    ["needed text has to be entered", text, true, "refused"],
    ["optional text that is blank is left out", text, false, "absent"],
    ["needed text that may be null is null when it is blank", { ...text, nullable: true }, true, "null"],
    ["optional text that may be null has a choice", { ...text, nullable: true }, false, "chosen"],
    [
      "an optional list has a choice",
      { kind: "list", item: text, min: 0, max: null, nullable: false },
      false,
      "chosen",
    ],
    ["a switch with a default is always there", { kind: "flag", initial: true, nullable: false }, false, "refused"],
    ["an optional switch can be left out", { kind: "flag", nullable: false }, false, "absent"],
    ["optional JSON that is blank is left out", anyJson, false, "absent"],
  ])("%s", (_, field, required, blank) => {
    expect(blankOf(field, required)).toBe(blank);
  });
});

test.each<[z.ZodType, string]>([
  [z.string().min(1).max(5), "text, 1 to 5 characters"],
  [z.string().length(4), "text, exactly 4 characters"],
  [z.string().min(1), "text, at least 1 character"],
  [z.array(z.int()).max(1), "list of whole number, at most 1 item"],
  [z.email().nullable(), "email address, or null"],
  [z.int().min(1), "whole number, at least 1"],
  [z.number().gt(0).multipleOf(0.5), "number, above 0, in steps of 0.5"],
  [z.enum(["a", "b"]), 'one of "a", "b"'],
  [z.array(z.int()).max(3), "list of whole number, at most 3 items"],
  [z.record(z.string(), z.boolean()), "names with true or false"],
])("a field says what it takes: %#", (schema, words) => {
  expect(kindOf(member(schema).field)).toBe(words);
});

describe("on the page", () => {
  const schema = z.object({
    name: z.string(),
    "<b>": z.enum(["x", '"'] as const).optional(),
    list: z.array(z.object({ a: z.int() })),
  });

  function html(field: Field): string {
    return ValueForm({ id: "f", label: "Input", field, name: "input" }).toString();
  }

  test("names and options of the schema are text, never markup", () => {
    const text = html(of(schema));
    expect(text).not.toContain("<b>");
    expect(text).toContain("&lt;b&gt;");
  });

  test("every control has a label that points at it", () => {
    const text = html(of(z.object({ a: z.string(), b: z.int(), c: z.enum(["p", "q", "r", "s", "t"]), d: z.any() })));
    const ids = [...text.matchAll(/<(?:input|select|textarea)[^>]* id="([^"]+)"/g)].map(([, id]) => id);
    expect(ids.length).toBe(5);
    expect(ids.filter((id) => !text.includes(`for="${id ?? ""}"`))).toEqual([]);
  });

  test("what cannot be drawn is one field of JSON, without a switch", () => {
    const text = html(anyJson);
    expect([text.includes("data-raw"), text.includes("data-form-mode")]).toEqual([true, false]);
  });
});
