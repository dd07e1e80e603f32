/** What a workflow is given of the body of a call. */
import { describe, expect, test } from "vitest";
import { readBody } from "../../src/core/courier/body.ts";

const form = "application/x-www-form-urlencoded";
const ascii = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const refused = expect.objectContaining({ code: "body_invalid" });

describe("a body", () => {
  test.each([
    ["text/plain", new TextEncoder().encode("grün 😀"), "grün 😀"],
    ["text/plain; charset=ISO-8859-1", ascii("gr\xfcn"), "grün"],
    ['text/html;charset="windows-1252"; x=y', ascii("\x80 5"), "€ 5"],
    ["text/plain; charset=utf-16le", ascii("a\0b\0"), "ab"],
    ["text/plain; charset=shift_jis", ascii("\x93\xfa\x96{"), "日本"],
    [`${form}; charset=iso-8859-1`, ascii("a%FC+b=gr%fcn&c=%2B&&d"), { "aü b": "grün", c: "+", d: "" }],
    [`${form}; charset=iso-8859-1`, ascii("a=gr\xfcn&a=%zz=%2"), { a: "%zz=%2" }],
    [`${form}; charset=UTF-8`, ascii("a=gr%C3%BCn"), { a: "grün" }],
    [form, ascii("a=gr%C3%BCn&b=1+2"), { a: "grün", b: "1 2" }],
    ["application/problem+json ; x=y", ascii("[1]"), [1]],
    ["application/json; charset=iso-8859-1", new TextEncoder().encode('"grün"'), "grün"],
    ["image/png; charset=iso-8859-1", ascii("\xfc"), ascii("\xfc")],
    ["text/plain; charset=none", new Uint8Array(), null],
  ])("of %s is read in its charset", (type, bytes, body) => {
    expect(readBody(type, bytes)).toEqual(body);
  });

  test.each([
    ["text/plain", ascii("gr\xfcn")],
    ["text/plain; charset=none", ascii("a")],
    ["text/plain; charset=shift_jis", ascii("\x93")],
    [`${form}; charset=none`, ascii("a=1")],
    [`${form}; charset=shift_jis`, ascii("a=%93")],
    [`${form}; charset=utf-16`, ascii("a=1")],
    [form, ascii("a=gr\xfcn")],
    [form, ascii("a=gr%FCn")],
  ])("of %s that is not what it says is refused", (type, bytes) => {
    expect(() => readBody(type, bytes)).toThrow(refused);
  });
});
