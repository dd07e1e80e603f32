import { inspect, isDeepStrictEqual } from "node:util";
import { parse } from "devalue";
import { describe, expect, test } from "vitest";
import { HoldfastError } from "../../src/core/error.ts";
import { maxValueBytes } from "../../src/core/size.ts";
import { decode, encode, isSame, undefinedValue } from "../../src/core/value/value.ts";
import { maxValueDepth } from "../../src/core/value/writer.ts";
import { createPick, randomValue } from "./sample.ts";

const what = "the result of step charge";
const pass = (value: unknown): unknown => decode(encode(value, what));

function refusal(value: unknown): HoldfastError {
  try {
    encode(value, what);
  } catch (error) {
    if (error instanceof HoldfastError) return error;
    throw error;
  }
  throw new Error("it was taken");
}

describe("what survives", () => {
  test("long texts with characters beyond Latin-1, escaped if that is shorter in memory", () => {
    const few = `→😀ÿ"${"x".repeat(13_000_000)}`;
    const many = { text: "→".repeat(3_000_000), bytes: new Uint8Array(7_000_000) };
    for (const value of [few, many]) expect(isDeepStrictEqual(pass(value), value)).toBe(true);
    expect(encode(few, what).slice(0, 30)).toBe('["\\u2192\\ud83d\\ude00ÿ\\"xxxxxxx');
    expect(encode(few.slice(0, 9_000_000), what).slice(0, 6)).toBe('["→😀ÿ');
    expect(encode(many, what)).toContain('"→→→');
  });

  test("any value, as it was (400 seeds)", () => {
    for (let seed = 0; seed < 400; seed += 1) {
      const value = randomValue(createPick(`value ${seed}`));
      // Stricter than the matchers, and it knows sets of errors, too.
      expect(isDeepStrictEqual(pass(value), value), `seed ${seed}: ${inspect(value)}`).toBe(true);
    }
  });

  test.each([undefined, null, true, "", "a\ud800b", 0, -0, Number.NaN, Infinity, -Infinity, 1.5, 10n, -(2n ** 200n)])(
    "the primitive %s",
    (value) => expect(Object.is(pass(value), value)).toBe(true),
  );

  test.each([
    "[1]",
    "[0]",
    "[1234567890]",
    "[12345678901234567890]",
    "[-7]",
    '["a"]',
    '["\\u0000\\""]',
    "[true]",
    "[null]",
    "[-0]",
    "[1.5e300]",
    "-1",
    " [7]",
    "[ 7 ]",
    '[ {"a":1},2]',
    "[5,6]",
  ])("what is stored as %s, as the format's own reader reads it", (stored) =>
    expect(isDeepStrictEqual(decode(stored as never), parse(stored))).toBe(true),
  );

  test.each(["[]", "[ ]", "[7", "[seven]", "[07]", "[,]", '["a]', "[7]]"])("nothing that is stored as %s", (stored) => {
    expect(() => parse(stored)).toThrow(/./);
    expect(() => decode(stored as never)).toThrow(expect.objectContaining({ code: "journal_corrupt" }));
  });

  test("text that survives UTF-8, as storage writes it", () => {
    const text = "\ud800 \udfff \u2028 😀 \u0000";
    const bytes = new TextEncoder().encode(encode({ text }, what));
    expect(decode(new TextDecoder().decode(bytes) as never)).toEqual({ text });
  });

  test("every kind of bytes", () => {
    const bytes = Uint8Array.from({ length: 32 }, (_, at) => at * 7);
    const kinds: (new (buffer: ArrayBuffer) => ArrayBufferView)[] = [
      Int8Array,
      Uint8Array,
      Uint8ClampedArray,
      Int16Array,
      Uint16Array,
      Int32Array,
      Uint32Array,
    ];
    kinds.push(Float32Array, Float64Array, BigInt64Array, BigUint64Array, DataView);
    for (const Kind of kinds) {
      const view = new Kind(bytes.slice().buffer);
      expect(pass(view)).toStrictEqual(view);
    }
    expect(pass(bytes.buffer)).toStrictEqual(bytes.buffer);
    expect(pass(Buffer.from("pooled"))).toStrictEqual(new TextEncoder().encode("pooled"));
  });

  test("a part of a buffer, without the rest of it", () => {
    const view = new Uint8Array(new ArrayBuffer(maxValueBytes + 1), 4, 8).fill(9);
    const back = pass(view) as Uint8Array;
    expect(back).toEqual(view);
    expect(back.buffer.byteLength).toBe(8);
  });

  test("two views of one buffer, still of one", () => {
    const bytes = new Uint8Array(8);
    const back = pass({ bytes, view: new DataView(bytes.buffer) }) as { bytes: Uint8Array; view: DataView };
    back.view.setUint8(3, 42);
    expect(back.bytes[3]).toBe(42);
  });

  test("arrays with holes, also far apart", () => {
    const few: unknown[] = [1, , undefined, 4, ,];
    expect(Object.keys(pass(few) as object)).toEqual(["0", "2", "3"]);
    expect(pass(few)).toHaveLength(5);
    const far: unknown[] = [];
    far[4_000_000_000] = "far";
    expect(Object.keys(pass(far) as object)).toEqual(["4000000000"]);
    expect(encode(new Array(4_294_967_295), what)).toHaveLength("[[-7,4294967295]]".length);
  });

  test("cycles and shared references", () => {
    const node: Record<string, unknown> = { list: [], map: new Map(), set: new Set() };
    node["self"] = node;
    (node["list"] as unknown[]).push(node, node["list"]);
    (node["map"] as Map<unknown, unknown>).set(node, node["map"]);
    (node["set"] as Set<unknown>).add(node);
    const back = pass(node) as typeof node;
    expect(back["self"]).toBe(back);
    expect(back["list"]).toEqual([back, back["list"]]);
    expect((back["map"] as Map<unknown, unknown>).get(back)).toBe(back["map"]);
    expect((back["set"] as Set<unknown>).has(back)).toBe(true);
    const shared = { a: 1 };
    const [first, second] = pass([shared, shared]) as unknown[];
    expect(first).toBe(second);
  });

  test("objects without a prototype, boxed primitives, keys of any text", () => {
    const bare = Object.assign(Object.create(null), { a: { b: 1 } });
    expect(Object.getPrototypeOf(pass(bare))).toBeNull();
    expect(pass(bare)).toEqual(bare);
    expect(pass([new Number(-0), new String("s"), new Boolean(false), Object(5n)])).toStrictEqual([
      new Number(-0),
      new String("s"),
      new Boolean(false),
      Object(5n),
    ]);
    expect(pass({ "": 1, constructor: 2, toString: 3, "a b": 4 })).toEqual({
      "": 1,
      constructor: 2,
      toString: 3,
      "a b": 4,
    });
  });

  test("class instances, as plain objects; keys that are symbols left out", () => {
    class Money {
      readonly amount = 5;
      #secret = 1;
      get double(): number {
        return this.amount * 2 * this.#secret;
      }
    }
    const back = pass({ price: new Money(), [Symbol("s")]: 1 }) as { price: object };
    expect(back).toStrictEqual({ price: { amount: 5 } });
    class Tagged {
      readonly [Symbol.toStringTag] = "Tagged";
      readonly a = 1;
    }
    expect(pass(new Tagged())).toStrictEqual({ a: 1 });
  });

  test.each(["Date", "RegExp", "Error", "Number", "String", "Boolean"])("a class that calls itself %s", (tag) => {
    class Claimant {
      readonly a = 1;
      get [Symbol.toStringTag](): string {
        return tag;
      }
    }
    expect(pass(new Claimant())).toStrictEqual({ a: 1 });
  });

  test("every call makes a new value", () => {
    const stored = encode({ a: [1] }, what);
    expect(decode(stored)).not.toBe(decode(stored));
    expect(decode(undefinedValue)).toBeUndefined();
  });
});

describe("errors as values", () => {
  test("class, name, message, stack, cause, code", () => {
    class PaymentError extends TypeError {
      override readonly name = "PaymentError";
      readonly code = "E_PAY";
      readonly ignored = { deep: true };
    }
    const error = new PaymentError("no", { cause: { at: new Date(5) } });
    const back = pass(error) as PaymentError;
    expect(back).toBeInstanceOf(TypeError);
    expect(back).toMatchObject({ name: "PaymentError", message: "no", stack: error.stack, code: "E_PAY" });
    expect(back.cause).toEqual({ at: new Date(5) });
    expect(Object.keys(back)).toEqual(["code"]);
    expect(Object.hasOwn(pass(new Error("a", { cause: undefined })) as object, "cause")).toBe(true);
    expect(Object.hasOwn(pass(new Error("a")) as object, "cause")).toBe(false);
  });

  test("an AggregateError and its members", () => {
    const back = pass(new AggregateError([new RangeError("a"), "b"], "both")) as AggregateError;
    expect(back).toBeInstanceOf(AggregateError);
    expect(back.errors).toEqual([new RangeError("a"), "b"]);
  });

  test("an error that leads back to itself is one error", () => {
    const error = new TypeError("round");
    const box = { error };
    error.cause = { box, again: error };
    const back = pass(box) as { error: Error & { cause: { box: unknown; again: unknown } } };
    expect(back.error).toBeInstanceOf(TypeError);
    expect(back.error.cause.box).toBe(back);
    expect(back.error.cause.again).toBe(back.error);
    const many = new AggregateError([], "many");
    many.errors.push(many, error);
    const members = pass(many) as AggregateError;
    expect(members).toBeInstanceOf(AggregateError);
    expect(members.errors[0]).toBe(members);
  });

  test("an abort, by its name", () => {
    const back = pass(AbortSignal.abort().reason) as Error;
    expect(back).toBeInstanceOf(Error);
    expect(back.name).toBe("AbortError");
  });
});

describe("what is refused", () => {
  test("functions and symbols, with the path", () => {
    expect(refusal(() => 1).message).toBe("the result of step charge cannot be kept: it is a function");
    const nested = refusal({ items: [1, 2, { fn: () => 1 }] });
    expect(nested.code).toBe("value_uncloneable");
    expect(nested.message).toBe("the result of step charge cannot be kept: .items[2].fn is a function");
    expect(refusal(new Map([["a b", Symbol("s")]])).message).toContain('.get("a b") is a symbol');
    expect(refusal({ "a-b": new Set([() => 1]) }).message).toContain('["a-b"] (a member of a set) is a function');
    expect(refusal(new Error("e", { cause: { f: () => 1 } })).message).toContain(".cause.f is a function");
  });

  test.each<[string, () => unknown]>([
    ["Promise", () => Promise.resolve(1)],
    ["WeakMap", () => new WeakMap()],
    ["WeakRef", () => new WeakRef({})],
    ["Response", () => new Response("x")],
    ["Request", () => new Request("http://example.com")],
    ["ReadableStream", () => new ReadableStream()],
    ["Headers", () => new Headers({ a: "b" })],
    ["URL", () => new URL("http://example.com")],
    ["Blob", () => new Blob(["x"])],
    ["AbortSignal", () => new AbortController().signal],
    ["Generator", () => (function* () {})()],
    ["SharedArrayBuffer", () => new SharedArrayBuffer(1)],
    ["shared memory", () => new Uint8Array(new SharedArrayBuffer(1))],
    ["thenable", () => ({ then: () => 1 })],
    ["__proto__", () => JSON.parse('{"__proto__":{"a":1}}')],
    ["__proto__", () => JSON.parse('[{"__proto__":1}]')],
    ["false Map", () => Object.create(Map.prototype)],
    [
      "revoked proxy",
      () => {
        const { proxy, revoke } = Proxy.revocable({}, {});
        revoke();
        return proxy;
      },
    ],
  ])("%s, never as {}", (_, make) => expect(refusal({ inner: make() }).code).toBe("value_uncloneable"));

  test("a buffer that was transferred", () => {
    const buffer = new ArrayBuffer(4);
    const view = new Uint8Array(buffer);
    structuredClone(buffer, { transfer: [buffer] });
    expect(refusal(buffer).code).toBe("value_uncloneable");
    expect(refusal([view]).code).toBe("value_uncloneable");
  });

  test("a getter that throws, with its path and its error", () => {
    const boom = new Error("boom");
    const error = refusal({
      a: {
        get b(): never {
          throw boom;
        },
      },
    });
    expect(error.code).toBe("value_uncloneable");
    expect(error.message).toContain(".a.b cannot be read");
    expect(error.cause).toBe(boom);
  });

  test("more levels than can be read back; just as many are taken", () => {
    const wraps: ((inner: unknown) => unknown)[] = [
      (inner) => [inner],
      (inner) => ({ a: inner }),
      (inner) => new Map([[1, inner]]),
      (inner) => new Set([inner]),
    ];
    for (const wrap of wraps) {
      let value: unknown = 1;
      for (let level = 0; level < maxValueDepth; level += 1) value = wrap(value);
      expect(encode(pass(value), what)).toBe(encode(value, what));
      expect(refusal(wrap(value)).message).toContain("more than 500 levels");
      for (let level = 0; level < 50_000; level += 1) value = wrap(value);
      expect(refusal(value).code).toBe("value_uncloneable");
    }
    let error = new Error("first");
    for (let level = 0; level < maxValueDepth / 2 - 1; level += 1) error = new Error("next", { cause: error });
    expect(pass(error)).toBeInstanceOf(Error);
  });
});

describe("size", () => {
  test.each([
    ["bytes", (size: number) => new Uint8Array(size)],
    ["ASCII", (size: number) => "a".repeat(size)],
  ])("16 MiB of %s fit; one more does not", (_, make) => {
    expect((pass(make(maxValueBytes)) as string | Uint8Array).length).toBe(maxValueBytes);
    const over = refusal(make(maxValueBytes + 1));
    expect(over.code).toBe("value_too_large");
    expect(over.message).toContain("16,777,217 bytes");
    expect(over.message).toContain("16,777,216 (16 MiB)");
    expect(over.message).toContain(what);
  });

  test("counts UTF-8, not characters", () => {
    expect((pass("é".repeat(maxValueBytes / 2)) as string).length).toBe(maxValueBytes / 2);
    expect(refusal("é".repeat(maxValueBytes / 2 + 1)).message).toContain("16,777,218 bytes");
    expect(refusal("€".repeat(maxValueBytes / 3 + 1)).code).toBe("value_too_large");
    expect((pass("😀".repeat(maxValueBytes / 4)) as string).length).toBe(maxValueBytes / 2);
    expect(refusal("😀".repeat(maxValueBytes / 4 + 1)).message).toContain("16,777,220 bytes");
  });

  test("many small things are as large as one", () => {
    const bytes = Array.from({ length: 17 }, () => new Uint8Array(1024 * 1024));
    expect(refusal(bytes).code).toBe("value_too_large");
    expect(encode(bytes.slice(0, 15), what).length).toBeGreaterThan(maxValueBytes);
    expect(refusal(new Array(9_000_000).fill(1)).code).toBe("value_too_large");
  });
});

describe("sameness", () => {
  const same = (a: unknown, b: unknown): boolean => isSame(encode(a, what), encode(b, what));

  test("of equal values, whatever the order of keys", () => {
    expect(same({ a: 1, b: [2, { c: 3, d: 4 }] }, { b: [2, { d: 4, c: 3 }], a: 1 })).toBe(true);
    expect(same({ a: { x: 1 }, b: { x: 1 } }, (({ x }) => ({ b: x, a: x }))({ x: { x: 1 } }))).toBe(true);
    expect(same(new Map([["a", 1]]), new Map([["a", 1]]))).toBe(true);
  });

  test("is not seen where there is none", () => {
    expect(same({ a: 1 }, { a: 2 })).toBe(false);
    expect(same({ a: 1 }, { a: 1, b: undefined })).toBe(false);
    expect(same([1], { 0: 1 })).toBe(false);
    expect(same("1", 1)).toBe(false);
    expect(same(Uint8Array.of(1), Uint8Array.of(2))).toBe(false);
    const error = (message: string): object => ({ name: message, error: createPlain(message) });
    expect(same(error("a"), error("b"))).toBe(false);
    expect(same(createPlain("a"), createPlain("b"))).toBe(false);
  });

  test("of cycles ends", () => {
    const round = (first: string, second: string): object => {
      const value: Record<string, unknown> = { [first]: 1, [second]: 1 };
      value["self"] = value;
      return value;
    };
    expect(same(round("a", "b"), round("a", "b"))).toBe(true);
    expect(same(round("a", "b"), round("b", "a"))).toBe(false);
  });

  function createPlain(message: string): Error {
    const error = new Error(message);
    delete error.stack;
    return error;
  }
});
