import { inspect, isDeepStrictEqual } from "node:util";
import { describe, expect, test } from "vitest";
import { HoldfastError } from "../../src/core/error.ts";
import { toJson } from "../../src/core/value/json.ts";
import { fromJson } from "../../src/core/value/revival.ts";
import { decode, encode } from "../../src/core/value/value.ts";
import { maxValueDepth } from "../../src/core/value/writer.ts";
import { createPick, randomValue } from "./sample.ts";

const wire = (value: unknown): unknown => JSON.parse(JSON.stringify(toJson(value)));

function refusal(json: unknown): HoldfastError {
  try {
    fromJson(json);
  } catch (error) {
    if (error instanceof HoldfastError && error.code === "body_invalid") return error;
    throw error;
  }
  throw new Error("it was taken");
}

describe("there and back", () => {
  test("any value survives JSON text (400 seeds)", () => {
    for (let seed = 0; seed < 400; seed += 1) {
      const value = randomValue(createPick(`json ${seed}`));
      // Stricter than the matchers, and it knows sets of errors, too.
      expect(isDeepStrictEqual(fromJson(wire(value)), value), `seed ${seed}: ${inspect(value)}`).toBe(true);
    }
  });

  test.each<[unknown, unknown]>([
    [{ a: [1, "b", null, true] }, { a: [1, "b", null, true] }],
    [new Date(0), { $type: "Date", value: "1970-01-01T00:00:00.000Z" }],
    [new Date(Number.NaN), { $type: "Date", value: null }],
    [new Map([["a", 1n]]), { $type: "Map", value: [["a", { $type: "BigInt", value: "1" }]] }],
    [new Set([1]), { $type: "Set", value: [1] }],
    [Uint8Array.of(1, 2, 255), { $type: "Uint8Array", value: "AQL/" }],
    [Uint8Array.of(1, 2).buffer, { $type: "ArrayBuffer", value: "AQI=" }],
    [[undefined], [{ $type: "undefined" }]],
    [{ a: undefined }, { a: { $type: "undefined" } }],
    [
      [Number.NaN, Infinity, -Infinity, -0],
      [{ $type: "NaN" }, { $type: "Infinity" }, { $type: "-Infinity" }, { $type: "-0" }],
    ],
    [/a/g, { $type: "RegExp", value: { source: "a", flags: "g" } }],
    [{ $type: "Date" }, { $type: "Object", value: { $type: "Date" } }],
    [{ $type: { $type: 1 } }, { $type: "Object", value: { $type: { $type: "Object", value: { $type: 1 } } } }],
  ])("%o is %o", (value, json) => {
    expect(toJson(value)).toEqual(json);
    expect(fromJson(json)).toStrictEqual(value);
  });

  test("errors: name, message, stack, code, cause, members", () => {
    const error = Object.assign(new TypeError("m", { cause: new Map() }), { code: "E" });
    expect(toJson(error)).toEqual({
      $type: "Error",
      value: { name: "TypeError", message: "m", stack: error.stack, code: "E", cause: { $type: "Map", value: [] } },
    });
    const back = fromJson(toJson(new AggregateError([1n], "many")));
    expect(back).toBeInstanceOf(AggregateError);
    expect((back as AggregateError).errors).toEqual([1n]);
    expect(fromJson({ $type: "Error", value: { message: "m" } })).toMatchObject({ name: "Error", message: "m" });
  });

  test("a value inside itself is a reference to where it is; the same value twice is not", () => {
    const value: Record<string, unknown> = { "a/b": { list: [] } };
    const inner = value["a/b"] as { list: unknown[]; map?: unknown };
    inner.list.push(value, inner);
    inner.map = new Map([["k", inner.list]]);
    expect(toJson(value)).toEqual({
      "a/b": {
        list: [
          { $type: "Ref", value: "" },
          { $type: "Ref", value: "/a~1b" },
        ],
        map: {
          $type: "Map",
          value: [
            [
              "k",
              [
                { $type: "Ref", value: "" },
                { $type: "Ref", value: "/a~1b" },
              ],
            ],
          ],
        },
      },
    });
    const shared = { x: 1 };
    expect(toJson([shared, shared])).toEqual([shared, shared]);
    const error = new Error("round");
    error.cause = [error];
    delete error.stack;
    expect(toJson({ error })).toEqual({
      error: { $type: "Error", value: { name: "Error", message: "round", cause: [{ $type: "Ref", value: "/error" }] } },
    });
    expect(refusal({ $type: "Ref", value: "" }).issues?.[0]?.path).toBe("/$type");
    expect(refusal({ $type: "Ref", value: "" }).message).toMatch(/^\/\$type /);
    expect(refusal({ ["k".repeat(300)]: { $type: "Ref" } }).message).toMatch(/^\/k{199}… /);
  });

  test("deep values are written", () => {
    let value: unknown = 1;
    for (let level = 0; level < maxValueDepth; level += 1) value = new Map([[1, value]]);
    expect(JSON.stringify(toJson(value))).toContain("Map");
  });
});

describe("what is refused, and where", () => {
  test.each<[unknown, string]>([
    [{ a: [{ $type: "Nope", value: 1 }] }, "/a/0/$type"],
    [{ $type: 5 }, "/$type"],
    [{ $type: null }, "/$type"],
    [{ $type: "Date", value: "yesterday" }, "/value"],
    [{ $type: "Date", value: "2023-02-29T00:00:00Z" }, "/value"],
    [{ $type: "Date" }, "/value"],
    [{ $type: "Date", value: 5 }, "/value"],
    [{ "a/b": { $type: "BigInt", value: "0x10" } }, "/a~1b/value"],
    [{ $type: "BigInt", value: "" }, "/value"],
    [{ $type: "BigInt", value: 5 }, "/value"],
    [{ $type: "BigInt", value: "9".repeat(200_000) }, "/value"],
    [{ $type: "RegExp", value: { source: "(", flags: "" } }, "/value"],
    [{ $type: "RegExp", value: { source: "a", flags: "gg" } }, "/value"],
    [{ $type: "RegExp", value: { source: "a", lastIndex: 1 } }, "/value"],
    [{ $type: "RegExp", value: "a" }, "/value"],
    [{ $type: "Uint8Array", value: "AQ" }, "/value"],
    [{ $type: "Uint8Array", value: "AQ= =" }, "/value"],
    [{ $type: "Uint8Array", value: "A\nQI=AQI" }, "/value"],
    [{ $type: "Uint8Array", value: "_-==" }, "/value"],
    [{ $type: "Uint8Array", value: [1, 2] }, "/value"],
    [{ $type: "Float64Array", value: "AQI=" }, "/value"],
    [{ $type: "Map", value: {} }, "/value"],
    [{ $type: "Map", value: [[1]] }, "/value/0"],
    [
      {
        $type: "Map",
        value: [
          [1, 2],
          [3, { $type: "x" }],
        ],
      },
      "/value/1/1/$type",
    ],
    [{ $type: "Set", value: [1, { $type: "x" }] }, "/value/1/$type"],
    [{ $type: "Set", value: "abc" }, "/value"],
    [{ $type: "Object", value: [] }, "/value"],
    [{ $type: "Object", value: { $type: { $type: "x" } } }, "/value/$type/$type"],
    [{ $type: "Error", value: "text" }, "/value"],
    [{ $type: "Error", value: { message: 5 } }, "/value/message"],
    [{ $type: "Error", value: { extra: 1 } }, "/value/extra"],
    [{ $type: "Error", value: { code: {} } }, "/value/code"],
    [{ $type: "Error", value: { errors: {} } }, "/value/errors"],
    [{ $type: "Error", value: { cause: { $type: "x" } } }, "/value/cause/$type"],
    [{ $type: "NaN", extra: 1 }, "/extra"],
    [{ $type: "constructor" }, "/$type"],
    [{ a: () => 1 }, "/a"],
    [undefined, ""],
  ])("%o at %s", (json, path) => {
    const error = refusal(json);
    expect(error.issues?.map((issue) => issue.path)).toEqual([path]);
    expect(error.message.length).toBeLessThan(400);
  });

  test.each([
    '{"__proto__":1}',
    '{"a":[{"__proto__":{"b":1}}]}',
    '{"$type":"Object","value":{"__proto__":1}}',
    '{"$type":"NaN","__proto__":1}',
    '{"$type":"Error","value":{"__proto__":1}}',
  ])("a __proto__ key: %s", (text) =>
    expect(() => fromJson(JSON.parse(text))).toThrow(expect.objectContaining({ code: "body_invalid" }) as Error),
  );

  test("over 200 levels, however many; 200 are read", () => {
    const nested = (levels: number): string => "[".repeat(levels) + "]".repeat(levels);
    expect(JSON.stringify(fromJson(JSON.parse(nested(200))))).toBe(nested(200));
    for (const levels of [202, 5000, 200_000]) expect(() => fromJson(JSON.parse(nested(levels)))).toThrow(/200 levels/);
    expect(() => fromJson(JSON.parse('{"a":'.repeat(300) + "1" + "}".repeat(300)))).toThrow(/200 levels/);
    let typed: unknown = 1;
    for (let level = 0; level < 300; level += 1) typed = { $type: "Set", value: [typed] };
    expect(() => fromJson(typed)).toThrow(/200 levels/);
  });

  test("16 MiB of base64 are read and checked in one piece", () => {
    const bytes = new Uint8Array(16 * 1024 * 1024).fill(7);
    const json = toJson(bytes) as { value: string };
    expect((fromJson(json) as Uint8Array).length).toBe(bytes.length);
    expect(refusal({ ...json, value: `${json.value}!!!!` }).issues?.[0]?.path).toBe("/value");
  });
});

describe("what is short as it is stored, and endless as JSON, is cut", () => {
  const doubled = (times: number): unknown => {
    let value: unknown = {};
    for (let time = 0; time < times; time += 1) value = [value, value];
    return value;
  };
  const many = (item: unknown): unknown => Array(2000).fill(item);
  const sparse: unknown[] = [];
  sparse[4_000_000_000] = 1;
  const long = "x".repeat(100_000);
  const kinds: Readonly<Record<string, unknown>> = {
    "a list that is all holes": sparse,
    "pairs of pairs": doubled(60),
    "a text again and again": many(long),
    "a key again and again": many({ [long]: 1 }),
    "bytes again and again": many(new Uint8Array(100_000)),
    "an error again and again": many(Object.assign(new Error(long), { stack: long })),
    "a map": new Map([[1, many(long)]]),
    "a set": new Set([many(long), [many(long)]]),
  };

  test.each(Object.keys(kinds))("%s", (kind) => {
    const room = { left: 1_000_000 };
    const text = JSON.stringify(toJson(decode(encode(kinds[kind], kind)), room));
    expect(room.left).toBeLessThan(0);
    expect(text).toContain('{"$type":"Cut"}');
    expect(text.length).toBeLessThan(3_000_000);
    expect(() => fromJson({ $type: "Cut" })).toThrow(HoldfastError);
  });

  test.each<[string, (index: number) => unknown]>([
    ["objects", () => ({})],
    ["objects with a field", (index) => ({ a: index })],
    ["numbers", (index) => index],
    ["one and the same number", () => 1],
    ["one and the same word", () => true],
    ["null", () => null],
    ["undefined", () => undefined],
    ["numbers that are none", () => Number.NaN],
    ["negative zeros", () => -0],
    ["objects with nothing in a field", () => ({ a: undefined })],
    ["lists", () => [null]],
    ["maps", (index) => new Map([[index, undefined]])],
    ["bytes", () => new Uint8Array()],
    ["dates", (index) => new Date(index)],
    ["texts", (index) => String(index)],
    ["big integers", (index) => BigInt(index)],
  ])(
    "and %s are not, however many: they need eight times what is stored, and four times if they are many",
    (_kind, make) => {
      for (const count of [0, 1, 2, 20, 300]) {
        const list = Array.from({ length: count }, (_, index) => make(index));
        for (const value of [list, { list }]) {
          const stored = encode(value, "some");
          const json = toJson(decode(stored), { left: 8 * stored.length });
          expect(JSON.stringify(json)).not.toContain("Cut");
        }
      }
      const stored = encode(
        Array.from({ length: 100_000 }, (_, index) => make(index)),
        "many",
      );
      const room = { left: 4 * stored.length + 65_536 };
      toJson(decode(stored), room);
      expect(room.left).toBeGreaterThan(0);
    },
  );

  test("nor is anything else that repeats nothing", () => {
    const pick = createPick("room");
    for (let time = 0; time < 300; time += 1) {
      const stored = encode(randomValue(pick), "any");
      expect(JSON.stringify(toJson(decode(stored), { left: 8 * stored.length }))).not.toContain('{"$type":"Cut"}');
    }
  });
});
