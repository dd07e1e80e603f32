import { describe, expect, test } from "vitest";
import { HoldfastError } from "../../src/core/error.ts";
import { messageFrom } from "../../src/core/definition/message.ts";
import { decode } from "../../src/core/value/value.ts";

/** The words, and the value, if there is one. */
function told(...said: readonly unknown[]): unknown[] {
  const { message, data } = messageFrom(said);
  return data === undefined ? [message] : [message, decode(data)];
}

describe("a line of the log", () => {
  const order = { id: 7, total: 12n };

  test.each([
    ["words", ["begun"], ["begun"]],
    ["what is no text", [7], ["7"]],
    ["nothing", [], ["undefined"]],
    ["words and a value", ["begun", order], ["begun", order]],
    ["words and null", ["begun", null], ["begun", null]],
    ["words and no value", ["begun", undefined], ["begun"]],
    ["words and several values", ["begun", order, 2, new Map([[1, 2]])], ["begun", [order, 2, new Map([[1, 2]])]]],
    ["a value and words", [order, "begun"], ["begun", order]],
    ["a value, words and more", [order, "begun", 2], ["begun", [order, 2]]],
    ["a value alone", [{ id: 7, tags: ["a"] }], ['{"id":7,"tags":["a"]}', { id: 7, tags: ["a"] }]],
    ["a list", [[1, "two"]], ['[1,"two"]', [1, "two"]]],
    ["two values", [{ a: 1 }, { b: 2 }], ['{"a":1}', [{ a: 1 }, { b: 2 }]]],
    ["a value that JSON has no word for", [{ n: 1n }], ['{"n":{"$type":"BigInt","value":"1"}}', { n: 1n }]],
    ["a value with words of its own", [{ msg: "paid", id: 7 }], ["paid", { msg: "paid", id: 7 }]],
    ["the same, as others call them", [{ message: "paid", msg: "x" }], ["paid", { message: "paid", msg: "x" }]],
    ["words of its own that are none", [{ message: "", msg: 1 }], ['{"message":"","msg":1}', { message: "", msg: 1 }]],
    ["an error", [new TypeError("boom")], ["TypeError: boom", new TypeError("boom")]],
    ["one without a message", [new RangeError()], ["RangeError", new RangeError()]],
    ["an error and words", [new TypeError("boom"), "the card"], ["the card", new TypeError("boom")]],
    ["words and an error", ["the card", new TypeError("boom")], ["the card", new TypeError("boom")]],
  ])("%s", (_what, said, expected) => {
    expect(told(...said)).toEqual(expected);
  });

  test("an error keeps its stack and its cause", () => {
    const thrown = new Error("outer", { cause: new Error("inner") });
    const [, data] = told(thrown) as [string, Error];
    expect([data.stack, (data.cause as Error).message]).toEqual([thrown.stack, "inner"]);
  });

  test("what contains itself is told, and a long value in so many words", () => {
    const ring: Record<string, unknown> = { name: "ring" };
    ring["self"] = ring;
    expect(told(ring)[0]).toBe('{"name":"ring","self":{"$type":"Ref","value":""}}');
    const [words, data] = told({ text: "x".repeat(10_000) }) as [string, { text: string }];
    expect([words.length, words.at(-1), data.text.length]).toEqual([500, "…", 10_000]);
  });

  test.each([
    [
      "a function in it",
      [{ fn: () => {} }],
      "value_uncloneable",
      "the data of a log line cannot be kept: .fn is a function",
    ],
    ["a promise", [Promise.resolve()], "value_uncloneable", "the data of a log line cannot be kept: it is a promise"],
    ["a value too large", ["x", "y".repeat(17 * 2 ** 20)], "value_too_large", "the data of a log line is too large"],
    ["words too many", ["y".repeat(17 * 2 ** 20)], "value_too_large", "the text of a log line is too large"],
  ])("%s is refused", (_what, said, code, message) => {
    let thrown: unknown;
    try {
      messageFrom(said);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(HoldfastError);
    expect(thrown).toMatchObject({ code, message: expect.stringContaining(message) });
  });
});
