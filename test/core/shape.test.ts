/** Shapes of values: what they tell, what they do not, and that they stay small. */
import { describe, expect, test } from "vitest";
import { toJson } from "../../src/core/value/json.ts";
import { fromJson } from "../../src/core/value/revival.ts";
import { outlineOf, Shape } from "../../src/core/value/shape.ts";
import { decode, encode, encodeShape } from "../../src/core/value/value.ts";

describe("a shape", () => {
  test.each<[unknown, unknown]>([
    [undefined, "nothing"],
    [null, "null"],
    [true, "boolean"],
    [17, "number"],
    [Number.NaN, "number"],
    [17n, "bigint"],
    ["", "text, empty"],
    ["secret", "text, up to 16 characters"],
    ["x".repeat(17), "text, up to 256 characters"],
    ["x".repeat(2_000_000), "text, over 1048576 characters"],
    [new Date(0), "Date"],
    [/secret/, "RegExp"],
    [new Error("secret"), "Error"],
    [new Uint8Array(300), "Uint8Array, up to 4096 bytes"],
    [new ArrayBuffer(0), "ArrayBuffer, empty"],
    [new Map([["secret", 1]]), "Map, up to 16 items"],
    [new Set(["secret"]), "Set, up to 16 items"],
    [[], ["list, empty"]],
    [
      ["a", "b", 3],
      ["list, up to 16 items", "text, up to 16 characters", "number"],
    ],
    [{}, {}],
    [
      { id: "secret", total: 1, lines: [{ n: 1 }, { n: 2 }] },
      { id: "text, up to 16 characters", total: "number", lines: ["list, up to 16 items", { n: "number" }] },
    ],
    [{ $type: "secret" }, { $type: "text, up to 16 characters" }],
    [
      { ["k".repeat(65)]: 1, a: 1 },
      { a: "number", "…": "others, up to 16 fields" },
    ],
  ])("of %o", (value, shape) => {
    expect(outlineOf(value)).toEqual(shape);
    expect(outlineOf(decode(encode(value, "it")))).toEqual(shape);
  });

  test("of a value that contains itself, or is deep, or wide, ends", () => {
    const ring: Record<string, unknown> = {};
    ring["ring"] = ring;
    expect(JSON.stringify(outlineOf(ring)).length).toBeLessThan(1000);
    let deep: unknown = 1;
    for (let each = 0; each < 400; each += 1) deep = [{ deep }];
    expect(JSON.stringify(outlineOf(deep)).length).toBeLessThan(2000);
    const wide = Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [`key${n}`, { n, list: [n] }]));
    expect(JSON.stringify(outlineOf({ wide, again: wide, third: [wide, wide] })).length).toBeLessThan(200_000);
  });

  test("stands in the place of a value, and is never taken for one", () => {
    const json = toJson(decode(encodeShape(outlineOf({ a: ["secret"] }))));
    expect(json).toEqual({ $type: "Shape", value: { a: ["list, up to 16 items", "text, up to 16 characters"] } });
    expect(() => fromJson(json)).toThrow(expect.objectContaining({ code: "body_invalid" }));
  });

  test("is what no stored value looks like, whatever it says", () => {
    const values = [["Shape", 1], [["Shape", 1], "x"], '[["Shape",1],', { $type: "Shape", value: 1 }, [[["Shape"], 1]]];
    for (const value of values) {
      const back = decode(encode(value, "it"));
      expect(back).not.toBeInstanceOf(Shape);
      expect(back).toEqual(value);
    }
  });
});
