import { describe, expect, test } from "vitest";
import { nextLookAt } from "../../src/core/courier/order.ts";
import { readRequest } from "../../src/core/courier/request.ts";
import { readRetryAfter } from "../../src/core/definition/retry.ts";
import { toMs } from "../../src/core/duration.ts";

const url = "https://example.com/a?b=1";
const read = (target: unknown) => readRequest(target, [], "step ask");

const why = (target: unknown): string => {
  try {
    read(target);
    return "taken";
  } catch (error) {
    return `${String(Reflect.get(error as object, "code"))}: ${(error as Error).message}`;
  }
};

describe("a request", () => {
  test("is an address, or says more", () => {
    const plain = { method: "GET", url, headers: [], body: null, accepted: [] };
    for (const target of [url, new URL(url), { url }, { url: new URL(url), method: "get" }])
      expect(read(target)).toEqual(plain);
    expect(read({ url, method: "delete", headers: new Headers({ A: "b" }) })).toEqual({
      ...{ ...plain, method: "DELETE" },
      headers: [["a", "b"]],
    });
  });

  test("has its body as it goes out, and its type with it", () => {
    const bytes = new Uint8Array([0, 1, 2, 3]);
    const bodies: readonly [given: unknown, body: unknown, type: string | undefined][] = [
      ["text", "text", undefined],
      [{ a: [1, null] }, '{"a":[1,null]}', "application/json"],
      [[1], "[1]", "application/json"],
      [7, "7", "application/json"],
      [false, "false", "application/json"],
      [null, null, undefined],
      [bytes, bytes, undefined],
      [bytes.buffer, bytes, undefined],
      [bytes.subarray(1, 3), new Uint8Array([1, 2]), undefined],
      [new URLSearchParams({ a: "1 2" }), "a=1+2", "application/x-www-form-urlencoded;charset=UTF-8"],
    ];
    for (const [given, body, type] of bodies) {
      const request = read({ url, method: "POST", body: given });
      expect([request.body, Object.fromEntries(request.headers)["content-type"]]).toEqual([body, type]);
    }
    const own = read({ url, method: "POST", body: {}, headers: { "Content-Type": "application/x-own" } });
    expect(own.headers).toEqual([["content-type", "application/x-own"]]);
  });

  test("keeps bytes as they were when it was asked for", () => {
    const bytes = new Uint8Array([1]);
    const { body } = read({ url, method: "POST", body: bytes });
    bytes[0] = 2;
    expect(body).toEqual(new Uint8Array([1]));
  });

  test.each([
    [undefined, "options_invalid: step ask: url must be text, such as https://example.com/"],
    ["/path", "options_invalid: step ask: url is no absolute URL, such as https://example.com/"],
    ["ftp://a", "options_invalid: step ask: url must begin with https: or http:"],
    [
      "https://me:secret@a",
      "options_invalid: step ask: url holds a user name or a password, which belong into the Authorization header",
    ],
    [
      { url, query: {} },
      'options_invalid: step ask: a request has no field "query"; it takes url, method, headers, body',
    ],
    [{ url, method: "TRACE" }, "options_invalid: step ask: TRACE is a method that cannot be sent"],
    [{ url, method: "brew" }, "options_invalid: step ask: BREW is a method that cannot be sent"],
    [{ url, method: "A B" }, "options_invalid: step ask: method must be a word, such as POST"],
    [{ url, body: "" }, "options_invalid: step ask: a GET request has no body"],
    [{ url, headers: [] }, "options_invalid: step ask: headers must be an object of texts, or Headers"],
    [{ url, headers: { a: 1 } }, "options_invalid: step ask: the header a must be text"],
    [
      { url, headers: { a: "secret\nb" } },
      'options_invalid: step ask: the header "a" cannot be sent: its name or its value is no header\'s',
    ],
    [
      { url, method: "POST", body: new FormData() },
      "options_invalid: step ask: body must be text, bytes, URLSearchParams or what JSON carries; a stream, a form or a blob cannot be kept",
    ],
    [
      { url, method: "POST", body: "x".repeat(17_000_000) },
      "value_too_large: step ask: the body has 17,000,000 bytes, and at most 16,777,216 can be sent",
    ],
  ])("%# is refused in words", (target, words) => {
    expect(why(target)).toBe(words);
  });

  test("cannot be JSON that goes round in circles", () => {
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;
    expect(why({ url, method: "POST", body: circle })).toMatch(/^options_invalid: .*cannot be written as JSON/);
  });
});

test("Retry-After is seconds or a date", () => {
  const at = Date.UTC(2026, 0, 1);
  expect(
    ["7", " 0 ", "Thu, 01 Jan 2026 00:01:00 GMT", "soon", null, "Thu, 01 Jan 2025 00:00:00 GMT"].map((text) =>
      readRetryAfter(text, at),
    ),
  ).toEqual([7000, 0, 60_000, null, null, null]);
});

test("a Retry-After beyond what an attempt can wait for is none: it would fail the step", () => {
  const at = Date.UTC(2026, 0, 1);
  const texts = ["3155760000", "3155760001", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"];
  const delays = texts.map((text) => readRetryAfter(text, at));
  expect(delays).toEqual([3_155_760_000_000, null, null, null]);
  expect(toMs(delays[0])).toBe(delays[0]);
});

test("a run looks after a request ever more rarely, strictly later than before", () => {
  const minutes = [0, 59_999, 60_000, 180_000, 500_000].map((after) => nextLookAt(0, after) / 60_000);
  expect(minutes).toEqual([1, 1, 3, 7, 15]);
});
