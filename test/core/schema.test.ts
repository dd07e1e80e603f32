/** What is shown of validators, to whoever has to fill in what they take. */
import { expect, test } from "vitest";
import * as z from "zod";
import { toJsonSchema } from "../../src/core/schema.ts";

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
