import { describe, expect, test } from "vitest";
import {
  fromBase64,
  fromBase64Url,
  fromHex,
  isSameBytes,
  joinBytes,
  toBase64,
  toBase64Url,
  toHex,
} from "../../src/core/bytes.ts";

const all = Uint8Array.from({ length: 256 }, (_, index) => index);
const texts = [0, 1, 2, 3, 4, 255, 256].map((length) => all.slice(256 - length));

describe.each([
  { name: "base64", write: toBase64, read: fromBase64, others: ["A", "A=", "====", "AA ==", "Ä===", "-_=="] },
  { name: "base64url", write: toBase64Url, read: fromBase64Url, others: ["A", "A=A", "AA AA", "ÄÄÄÄ"] },
  { name: "hex", write: toHex, read: fromHex, others: ["0", "000", "00g", "0g", "0 ", "", "0x00"] },
])("$name", ({ name, write, read, others }) => {
  test("bytes come back as they were", () => {
    for (const bytes of texts.filter(({ length }) => name !== "hex" || length > 0)) {
      expect(read(write(bytes))).toEqual(bytes);
    }
  });

  test.each(others)("%j is none", (text) => {
    expect(read(text)).toBeNull();
  });
});

test("base64url has no letters that a URL would change, and no padding", () => {
  expect(toBase64Url(Uint8Array.from([251, 255, 254, 1]))).toBe("-__-AQ");
  expect(fromBase64Url("-__-AQ==")).toEqual(Uint8Array.from([251, 255, 254, 1]));
});

test("base64url that ends in anything else than its padding is none, however much of it there is", () => {
  // As anybody may send it in the address of a webhook.
  expect(fromBase64Url(`${"=".repeat(600_000)}x`)).toBeNull();
  expect(fromBase64Url("AAAA====")).toBeNull();
});

test("hex is written small and read in either case", () => {
  expect(toHex(Uint8Array.from([0, 171, 255]))).toBe("00abff");
  expect(fromHex("00ABff")).toEqual(Uint8Array.from([0, 171, 255]));
});

test("parts are put side by side in their order", () => {
  expect(joinBytes([])).toEqual(new Uint8Array());
  expect(joinBytes([all.subarray(1, 3), all.subarray(0, 0), all.subarray(9, 10)])).toEqual(Uint8Array.from([1, 2, 9]));
});

test("bytes are the same where all of them are", () => {
  expect(isSameBytes(all, all.slice())).toBe(true);
  expect(isSameBytes(all, all.subarray(1))).toBe(false);
  expect(
    isSameBytes(
      all,
      all.map((byte) => (byte === 200 ? 201 : byte)),
    ),
  ).toBe(false);
});
