/** Sealed texts: what opens them, what does not, and that it is AES-GCM as anybody else has it. */
import { describe, expect, it, test } from "vitest";
import { gcm } from "../../src/core/cipher/aes.ts";
import { toBase64 } from "../../src/core/bytes.ts";
import { keyIdOf, parseKeys, unsealed, Vault } from "../../src/core/cipher/cipher.ts";
import { HoldfastError } from "../../src/core/error.ts";
import { createRandom } from "../../src/core/random.ts";

const seed = process.env["CIPHER_SEED"] ?? String(Date.now());
const keyOf = (fill: number) => toBase64(new Uint8Array(32).fill(fill));
const ring = (text: string) => () => parseKeys(text);
const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
const vault = (keys: string, object = "one") => new Vault(object, ring(keys), random, () => gcm);
const one = `k1:${keyOf(1)}`;
const two = `k2:${keyOf(2)}`;

function codeOf(act: () => unknown): string {
  try {
    act();
    return "opened";
  } catch (error) {
    return error instanceof HoldfastError ? error.code : String(error);
  }
}

describe("a sealed text", () => {
  it.each(["[]", "", "ünï 😀 \u0000 \u2028", "x".repeat(100_000)])("is opened where it was sealed: %#", (text) => {
    const sealed = vault(one).seal(text, "row 1");
    expect(sealed).toMatch(/^enc1\.k1\.[A-Za-z0-9+/]+=*$/);
    expect(vault(one).open(sealed, "row 1") === text).toBe(true);
  });

  it("is AES-256-GCM as the platform has it: nonce, ciphertext and tag, bound to object and place", async () => {
    const sealed = vault(one).seal("hello", "row 7");
    const bytes = Uint8Array.from(atob(sealed.slice("enc1.k1.".length)), (unit) => unit.charCodeAt(0));
    const key = await crypto.subtle.importKey("raw", new Uint8Array(32).fill(1), "AES-GCM", false, ["decrypt"]);
    const additionalData = new TextEncoder().encode("one\nrow 7");
    const algorithm = { name: "AES-GCM", iv: bytes.slice(0, 12), additionalData };
    const opened = await crypto.subtle.decrypt(algorithm, key, bytes.slice(12));
    expect(new TextDecoder().decode(opened)).toBe("hello");
  });

  it("is another each time", () => {
    const sealed = Array.from({ length: 500 }, () => vault(one).seal("same", "row 1"));
    expect(new Set(sealed.map((text) => text.slice(0, 24))).size).toBe(500);
  });

  it("opens in no other row, table or object", () => {
    const sealed = vault(one).seal("[1]", "row 1");
    expect(codeOf(() => vault(one).open(sealed, "row 2"))).toBe("journal_corrupt");
    expect(codeOf(() => vault(one, "two").open(sealed, "row 1"))).toBe("journal_corrupt");
  });

  it("with any of its bytes changed, is refused or the same; never another text", () => {
    const next = createRandom(`cipher ${seed}`);
    const sealed = vault(one).seal('[{"seq":1,"value":"secret"}]', "row 1");
    const codes = new Map<string, number>();
    for (let times = 0; times < 4000; times++) {
      const at = Math.floor(next.next() * sealed.length);
      const changed = String.fromCharCode(sealed.charCodeAt(at) ^ (1 << Math.floor(next.next() * 7)));
      const text = sealed.slice(0, at) + changed + sealed.slice(at + 1);
      const code = codeOf(() => {
        const opened = vault(one).open(text, "row 1");
        // What is no sealed text any more is no JSON either.
        if (opened === text) JSON.parse(text);
        if (opened !== '[{"seq":1,"value":"secret"}]') throw new Error(`opened as ${opened}, seed ${seed}`);
      });
      codes.set(code.startsWith("SyntaxError") ? "no JSON" : code, (codes.get(code) ?? 0) + 1);
    }
    expect([...codes.keys()].filter((code) => code.startsWith("Error"))).toEqual([]);
    expect(codes.get("journal_corrupt")).toBeGreaterThan(3000);
  });

  it("of a later form is a newer version's", () => {
    const sealed = vault(one).seal("[]", "row 1").replace("enc1.", "enc2.");
    expect(codeOf(() => vault(one).open(sealed, "row 1"))).toBe("journal_newer");
  });
});

describe("keys", () => {
  it("the first seals, every one opens", () => {
    const old = vault(one).seal("[1]", "row 1");
    const rotated = vault(`${two},${one}`);
    expect([keyIdOf(old), keyIdOf(rotated.seal("[2]", "row 2"))]).toEqual(["k1", "k2"]);
    expect(rotated.open(old, "row 1")).toBe("[1]");
    expect([rotated.isStale(old), rotated.isStale("[1]"), rotated.isStale(rotated.seal("[2]", ""))]).toEqual([
      true,
      true,
      false,
    ]);
  });

  it("that are gone are named, and their bytes are not", () => {
    const sealed = vault(one).seal("[1]", "row 1");
    expect(() => vault(two).open(sealed, "row 1")).toThrow(
      'row 1 is sealed with the key "k1", which ENCRYPTION_KEYS does not have',
    );
    expect(codeOf(() => unsealed.open(sealed, "row 1"))).toBe("key_missing");
  });

  it("of another value under the same id open nothing", () => {
    const sealed = vault(one).seal("[1]", "row 1");
    expect(codeOf(() => vault(`k1:${keyOf(2)}`).open(sealed, "row 1"))).toBe("journal_corrupt");
  });

  test("without any, texts stay the very same", () => {
    expect(unsealed.seal("[1]", "row 1")).toBe("[1]");
    expect(vault(one).open("[1]", "row 1")).toBe("[1]");
    expect([parseKeys(undefined), parseKeys(""), parseKeys("  ")]).toEqual([null, null, null]);
    expect([unsealed.newest, unsealed.isStale("[1]")]).toEqual([null, false]);
  });

  it.each([
    [keyOf(1), "ENCRYPTION_KEYS, key 1: write id:base64key"],
    [`:${keyOf(1)}`, "ENCRYPTION_KEYS, key 1: write id:base64key"],
    [`a b:${keyOf(1)}`, "ENCRYPTION_KEYS, key 1: write id:base64key"],
    [`k1:${keyOf(1)}:x`, "ENCRYPTION_KEYS, key 1: write id:base64key"],
    [`${"i".repeat(33)}:${keyOf(1)}`, "ENCRYPTION_KEYS, key 1: write id:base64key"],
    [`${one},`, "ENCRYPTION_KEYS, key 2: write id:base64key"],
    [`${one},k2:!!!`, "ENCRYPTION_KEYS, key 2 (k2): the key is not base64"],
    [`${one},k2:${toBase64(new Uint8Array(16))}`, "ENCRYPTION_KEYS, key 2 (k2): a key has 32 bytes, not 16"],
    [`${one},k1:${keyOf(2)}`, "ENCRYPTION_KEYS, key 2: the id k1 is given twice"],
  ])("malformed are refused with their place, and never shown: %#", (text, message) => {
    let said = "";
    try {
      parseKeys(text);
    } catch (error) {
      if (error instanceof HoldfastError && error.code === "config_invalid") said = error.message;
    }
    expect(said.startsWith(message)).toBe(true);
    expect(said).not.toContain(keyOf(1).slice(0, 8));
    expect(said).not.toContain(keyOf(2).slice(0, 8));
  });
});

test("bytes where a text was stored are damage, and never a TypeError", () => {
  const ring = parseKeys(`k1:${btoa("x".repeat(32))}`);
  const stored = new Uint8Array([0, 255]).buffer as unknown as string;
  for (const keys of [ring, null]) {
    const vault = new Vault(
      "it",
      () => keys,
      (length) => new Uint8Array(length),
      () => gcm,
    );
    expect(vault.isStale(stored)).toBe(keys !== null);
    expect(() => vault.open(stored, "row 1")).toThrow(expect.objectContaining({ code: "journal_corrupt" }) as Error);
  }
});
