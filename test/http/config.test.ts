/** Variables of the Worker, as text into what they mean. */
import { describe, expect, test } from "vitest";
import { HoldfastError } from "../../src/core/error.ts";
import { parseConfig } from "../../src/http/config.ts";

describe("AUTH and API_TOKENS", () => {
  test.each([
    ["read:abc", [{ role: "read", text: "abc" }]],
    [
      "read:a, operate:b ,admin:c",
      [
        { role: "read", text: "a" },
        { role: "operate", text: "b" },
        { role: "admin", text: "c" },
      ],
    ],
    [
      "admin:a,admin:b",
      [
        { role: "admin", text: "a" },
        { role: "admin", text: "b" },
      ],
    ],
    ["admin:with:colons=", [{ role: "admin", text: "with:colons=" }]],
    ["read:same,read:same", [{ role: "read", text: "same" }]],
    ["", []],
    [" \n", []],
  ])("API_TOKENS %j", (list, tokens) => {
    expect(parseConfig({ API_TOKENS: list }).auth).toEqual({ kind: "token", tokens });
  });

  test("guarantee 9: nothing set is a configuration without tokens, not one without locks", () => {
    expect(parseConfig({}).auth).toEqual({ kind: "token", tokens: [] });
    expect(parseConfig({ AUTH: "" }).auth).toEqual({ kind: "token", tokens: [] });
  });

  test("AUTH=none needs no tokens, and looks at none", () => {
    expect(parseConfig({ AUTH: "none", API_TOKENS: "broken" }).auth).toEqual({ kind: "none" });
  });

  test("the same variables give the same object, others another", () => {
    const one = parseConfig({ API_TOKENS: "read:one" });
    expect(parseConfig({ API_TOKENS: "read:one" })).toBe(one);
    expect(parseConfig({ API_TOKENS: "read:two" })).not.toBe(one);
  });
});

describe("a malformed variable is an error that names it", () => {
  test.each([
    ["AUTH", { AUTH: "off" }],
    ["AUTH", { AUTH: "None" }],
    ["AUTH", { AUTH: true }],
    ["API_TOKENS", { API_TOKENS: "secretword" }],
    ["API_TOKENS", { API_TOKENS: "root:secretword" }],
    ["API_TOKENS", { API_TOKENS: "READ:secretword" }],
    ["API_TOKENS", { API_TOKENS: ":secretword" }],
    ["API_TOKENS", { API_TOKENS: "read:" }],
    ["API_TOKENS", { API_TOKENS: "read:secret word" }],
    ["API_TOKENS", { API_TOKENS: "read:secretwörd" }],
    ["API_TOKENS", { API_TOKENS: "read:secretword," }],
    ["API_TOKENS", { API_TOKENS: "read:a,,admin:secretword" }],
    ["API_TOKENS", { API_TOKENS: "read:secretword,admin:secretword" }],
    ["API_TOKENS", { API_TOKENS: 7 }],
    ["PUBLIC_URL", { PUBLIC_URL: "example.com" }],
    ["PUBLIC_URL", { PUBLIC_URL: "https://example.com/path" }],
    ["PUBLIC_URL", { PUBLIC_URL: "https://example.com/?q" }],
    ["PUBLIC_URL", { PUBLIC_URL: "https://user:secretword@example.com" }],
    ["PUBLIC_URL", { PUBLIC_URL: "ftp://example.com" }],
  ])("%s: %j", (name, env) => {
    const error = thrown(() => parseConfig(env));
    expect(error).toBeInstanceOf(HoldfastError);
    expect(error).toMatchObject({ code: "config_invalid", message: expect.stringContaining(name) });
    expect((error as Error).message.startsWith("API_TOKENS") && (error as Error).message.includes("secret")).toBe(
      false,
    );
  });

  test.each([
    ["https://example.com", "https://example.com"],
    ["https://example.com/", "https://example.com"],
    ["http://localhost:8787", "http://localhost:8787"],
    ["", null],
  ])("PUBLIC_URL %j is %j", (text, publicUrl) => {
    expect(parseConfig({ PUBLIC_URL: text }).publicUrl).toBe(publicUrl);
  });
});

function thrown(ask: () => unknown): unknown {
  try {
    return ask();
  } catch (error) {
    return error;
  }
}
