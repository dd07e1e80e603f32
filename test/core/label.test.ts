import { describe, expect, test } from "vitest";
import { labelsOf } from "../../src/core/definition/label.ts";
import { encode } from "../../src/core/value/value.ts";

const input = encode({ tenant: "acme" }, "the input");
const made = (labels: (given: { tenant: string }) => unknown): unknown =>
  labelsOf({ name: "orders", labels: labels as never }, input, { tier: "gold" });

describe("the labels of a run", () => {
  test("are those made of its input, and those given, which count more", () => {
    expect(made(({ tenant }) => ({ tenant, tier: "none" }))).toEqual({ tenant: "acme", tier: "gold" });
    expect(made(() => undefined)).toEqual({ tier: "gold" });
  });

  test("stay good for a run that has them on record, from before there were so many rules", () => {
    const old: Record<string, string> = { "": "a\0", half: "\ud800" };
    for (let index = 0; index < 70; index += 1) old[`label ${index}`] = "";
    const labels = () => ({ ...old, tenant: "acme" });
    const remade = (known: Record<string, string>) => labelsOf({ name: "orders", labels }, input, {}, known);
    expect(remade(old)).toEqual({ ...old, tenant: "acme" });
    expect(() => remade({ ...old, half: "another" })).toThrow(expect.objectContaining({ code: "label_invalid" }));
  });

  test.each([
    ["a promise", () => Promise.resolve({ tenant: "acme" })],
    ["a list", () => ["acme"]],
    ["text", ({ tenant }: { tenant: string }) => tenant],
    ["a number", () => 7],
    ["an object with a number", () => ({ tenant: 7 })],
    ["an object with undefined", () => ({ tenant: undefined })],
    ["nothing, for it threw", () => Object.keys(null as never)],
    ["more than 64", () => Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`label ${index}`, ""]))],
    ["half a surrogate pair, which no address can hold", () => ({ tenant: "\ud800" })],
    ["a key with half a surrogate pair", () => ({ "\udfff": "acme" })],
    ["NUL", () => ({ tenant: "acme\0" })],
    ["a key with NUL", () => ({ "tenant\0": "acme" })],
    ["a key named __proto__", () => JSON.parse('{ "__proto__": "acme" }') as unknown],
  ])("are none that can be made where the function returns %s", (_what, labels) => {
    expect(() => made(labels)).toThrow(expect.objectContaining({ code: "label_invalid" }));
  });

  test("are refused in few words, however long what the function made is", () => {
    const key = "k".repeat(1_000_000);
    const [short, long] = [{ tenant: "x".repeat(1025) }, { [key]: "" }].map((labels) =>
      messageOf(() => made(() => labels)),
    );
    expect(short).toBe('label "tenant" is not text of at most 1,024 characters, well-formed and without NUL');
    expect(long).toBe(
      `the key "${"k".repeat(40)}…" of a label is not text of 1 to 256 characters, well-formed and without NUL`,
    );
  });
});

function messageOf(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    return (error as Error).message;
  }
  return "";
}
