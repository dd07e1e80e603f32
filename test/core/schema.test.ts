/** What validators say, and what is shown of them to whoever has to fill in what they take. */
import { expect, test } from "vitest";
import * as z from "zod";
import { toJsonSchema, validate } from "../../src/core/definition/schema.ts";
import type { Schema } from "../../src/core/definition/schema.ts";

test("what JSON Schema has no words for may be anything, and hides nothing of what stands beside it", () => {
  const schema = z.object({
    id: z.string(),
    dueAt: z.date(),
    cents: z.bigint().optional(),
    seats: z.map(z.string(), z.number()),
    proof: z.instanceof(Uint8Array).optional(),
  });
  expect(toJsonSchema(schema)).toMatchObject({
    type: "object",
    properties: { id: { type: "string" }, dueAt: {}, cents: {}, seats: {}, proof: {} },
    required: ["id", "dueAt", "seats"],
  });
});

test("of a validator that cannot say, or fails at it, there is none", () => {
  const { validate } = z.string()["~standard"];
  const fails = (): never => {
    throw new Error("of no use");
  };
  expect(toJsonSchema(undefined)).toBeNull();
  expect(toJsonSchema({ "~standard": { version: 1, vendor: "own", validate } })).toBeNull();
  expect(
    toJsonSchema({ "~standard": { version: 1, vendor: "own", validate, jsonSchema: { input: fails } } }),
  ).toBeNull();
});

/** A validator that answers this. */
function answering(answer: unknown): Schema {
  return { "~standard": { version: 1, vendor: "own", validate: () => answer as { value: unknown } } };
}

function checked(answer: unknown): unknown {
  return validate(answering(answer), "given", "input_invalid", "the input");
}

test("what is wrong with the whole is said of no part, whatever class of list its path is", () => {
  // As those of arktype, whose constructor takes the keys.
  class Path extends Array<PropertyKey> {
    constructor(...keys: PropertyKey[]) {
      super();
      this.push(...keys);
    }
  }
  const wrong = (...keys: PropertyKey[]) => checked({ issues: [{ message: "no", path: new Path(...keys) }] });
  expect(() => wrong()).toThrow("the input is not valid: no");
  expect(() => wrong("lines", 0)).toThrow("the input is not valid: /lines/0: no");
});

test("a verdict that is only like a promise is waited for", async () => {
  // oxlint-disable-next-line unicorn/no-thenable -- what is tested
  const later = (answer: unknown) => ({ then: (tell: (verdict: unknown) => void) => tell(answer) });
  expect(await checked(later({ value: 7 }))).toBe(7);
  await expect(checked(later({ issues: [{ message: "no" }] }))).rejects.toThrow("the input is not valid: no");
});

test.for([undefined, null, true])(
  "a validator that answers %s instead of a verdict has refused the value",
  (answer) => {
    expect(() => checked(answer)).toThrow(expect.objectContaining({ code: "input_invalid" }));
  },
);
