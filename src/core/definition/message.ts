/**
 * The message and the data of a log line, made from the arguments of `step.log`: text, values and an error, in the orders
 * that loggers take.
 */
import { toJson } from "../value/json.ts";
import { inLine } from "../sentence/phrase.ts";
import { maxValueBytes } from "../size.ts";
import { encode } from "../value/value.ts";
import type { Stored } from "../value/value.ts";

/** Characters of the message that is made of a value without a text of its own; `data` has all of it. */
const maxWords = 500;
const what = "the data of a log line";

/** `data` is the value, or a list of them where there are several. @throws HoldfastError value_uncloneable, value_too_large */
export function messageFrom([first, ...rest]: readonly unknown[]): {
  readonly message: string;
  readonly data?: Stored;
} {
  if (typeof first !== "object" || first === null) return { message: wordsOf(String(first)), ...dataOf(rest) };
  const [words, ...more] = rest;
  if (typeof words === "string") return { message: wordsOf(words), ...dataOf([first, ...more]) };
  // First, so that a value that cannot be stored throws before a message is made of it.
  const data = dataOf([first, ...rest]);
  return { message: wordsOf(nameOf(first)), ...data };
}

function dataOf(given: readonly unknown[]): { readonly data?: Stored } {
  const values = given.filter((value) => value !== undefined);
  if (values.length === 0) return {};
  return { data: encode(values.length === 1 ? values[0] : values, what) };
}

/** @throws HoldfastError value_too_large */
function wordsOf(words: string): string {
  // Fast path: a UTF-16 unit takes three bytes at most.
  if (words.length * 3 > maxValueBytes) encode(words, "the text of a log line");
  return words;
}

/** The text of a value: its own message, or the value as JSON. */
function nameOf(value: object): string {
  if (value instanceof Error) return value.message === "" ? value.name : `${value.name}: ${value.message}`;
  const { message, msg } = value as { readonly message?: unknown; readonly msg?: unknown };
  const own = [message, msg].find((words) => typeof words === "string" && words !== "");
  return typeof own === "string" ? own : inLine(JSON.stringify(toJson(value)), maxWords);
}
