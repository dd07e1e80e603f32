/** Variables of the Worker, as text into what they mean. */
import { describe, expect, test } from "vitest";
import { HoldfastError } from "../../src/core/error.ts";
import { parseConfig, signingSecrets } from "../../src/http/config.ts";

const team = "https://team.cloudflareaccess.com";
const whole = { ACCESS_TEAM_DOMAIN: team, ACCESS_AUD: "a", ACCESS_ROLES: "read:*" };

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
    ["read.shapes:a", [{ role: "read", shapes: true, text: "a" }]],
    ["admin:sha256", [{ role: "admin", text: "sha256" }]],
    [`operate.shapes:sha256:${"A1".repeat(32)}`, [{ role: "operate", shapes: true, sha256: "a1".repeat(32) }]],
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

describe("ACCESS_*", () => {
  test("nothing set is nothing set up; all of it is", () => {
    expect(parseConfig({}).access).toBeNull();
    expect(parseConfig({ ACCESS_TEAM_DOMAIN: "", ACCESS_AUD: " " }).access).toBeNull();
    const roles = "read:*, admin.shapes:*@Example.com ,operate:Ana@example.com,operate:nightly.access";
    expect(parseConfig({ ...whole, ACCESS_AUD: "one, two", ACCESS_ROLES: roles }).access).toEqual({
      issuer: team,
      audiences: ["one", "two"],
      grants: [
        { role: "read", pattern: "*" },
        { role: "admin", shapes: true, pattern: "*@example.com" },
        { role: "operate", pattern: "ana@example.com" },
        { role: "operate", pattern: "nightly.access" },
      ],
    });
  });

  test("AUTH=none looks at none of it", () => {
    expect(parseConfig({ AUTH: "none", ACCESS_AUD: "alone" }).access).toBeNull();
  });
});

test("CORS_ORIGINS is nobody unless set", () => {
  expect(parseConfig({}).origins).toEqual([]);
  const origins = ["https://app.example.com", "http://localhost:5173"];
  expect(parseConfig({ CORS_ORIGINS: ` ${origins.join(" , ")} ` }).origins).toEqual(origins);
});

describe("a malformed variable is an error that names it", () => {
  test.each([
    ["AUTH", { AUTH: "off" }],
    ["AUTH", { AUTH: "None" }],
    ["AUTH", { AUTH: true }],
    ["AUTH", { AUTH: "admin:secretword" }],
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
    ["API_TOKENS", { API_TOKENS: "read.payload:secretword" }],
    ["API_TOKENS", { API_TOKENS: "read.shapes.shapes:secretword" }],
    ["API_TOKENS", { API_TOKENS: "shapes:secretword" }],
    ["API_TOKENS", { API_TOKENS: "read:secretword,read.shapes:secretword" }],
    ["API_TOKENS", { API_TOKENS: "read:sha256:secretword" }],
    ["API_TOKENS", { API_TOKENS: `read:sha256:${"a".repeat(63)}` }],
    ["API_TOKENS", { API_TOKENS: `read:sha256:${"a".repeat(64)},admin:sha256:${"A".repeat(64)}` }],
    ["CORS_ORIGINS", { CORS_ORIGINS: "*" }],
    ["CORS_ORIGINS", { CORS_ORIGINS: "https://app.example.com/" }],
    ["CORS_ORIGINS", { CORS_ORIGINS: "app.example.com" }],
    ["CORS_ORIGINS", { CORS_ORIGINS: "https://a.example,,https://b.example" }],
    ["CORS_ORIGINS", { CORS_ORIGINS: "null" }],
    ["ACCESS_TEAM_DOMAIN", { ACCESS_AUD: "a", ACCESS_ROLES: "read:*" }],
    ["ACCESS_AUD", { ACCESS_TEAM_DOMAIN: team, ACCESS_ROLES: "read:*" }],
    ["ACCESS_ROLES", { ACCESS_TEAM_DOMAIN: team, ACCESS_AUD: "a" }],
    ["ACCESS_TEAM_DOMAIN", { ...whole, ACCESS_TEAM_DOMAIN: "team.cloudflareaccess.com" }],
    ["ACCESS_TEAM_DOMAIN", { ...whole, ACCESS_TEAM_DOMAIN: "http://team.cloudflareaccess.com" }],
    ["ACCESS_TEAM_DOMAIN", { ...whole, ACCESS_TEAM_DOMAIN: "http://127.0.0.1.example.com" }],
    ["ACCESS_TEAM_DOMAIN", { ...whole, ACCESS_TEAM_DOMAIN: `${team}/cdn-cgi/access/certs` }],
    ["ACCESS_TEAM_DOMAIN", { ...whole, ACCESS_TEAM_DOMAIN: "https://user:secretword@team.cloudflareaccess.com" }],
    ["ACCESS_AUD", { ...whole, ACCESS_AUD: "one,,two" }],
    ["ACCESS_AUD", { ...whole, ACCESS_AUD: "one two" }],
    ["ACCESS_ROLES", { ...whole, ACCESS_ROLES: "ana@example.com" }],
    ["ACCESS_ROLES", { ...whole, ACCESS_ROLES: "root:ana@example.com" }],
    ["ACCESS_ROLES", { ...whole, ACCESS_ROLES: "read:" }],
    ["ACCESS_ROLES", { ...whole, ACCESS_ROLES: "read:*.example.com" }],
    ["ACCESS_ROLES", { ...whole, ACCESS_ROLES: "read:ana@*" }],
    ["ACCESS_ROLES", { ...whole, ACCESS_ROLES: "read:a@b@c" }],
    ["PUBLIC_URL", { PUBLIC_URL: "example.com" }],
    ["PUBLIC_URL", { PUBLIC_URL: "https://example.com/path" }],
    ["PUBLIC_URL", { PUBLIC_URL: "https://example.com/?q" }],
    ["PUBLIC_URL", { PUBLIC_URL: "https://user:secretword@example.com" }],
    ["PUBLIC_URL", { PUBLIC_URL: "ftp://example.com" }],
  ])("%s: %j", (name, env) => {
    const error = thrown(() => parseConfig(env));
    expect(error).toBeInstanceOf(HoldfastError);
    expect(error).toMatchObject({ code: "config_invalid", message: expect.stringContaining(name) });
    // Callers who have shown no token yet are told.
    expect((error as Error).message).not.toContain("secret");
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

test("each of the signing secrets has 16 characters or more", () => {
  const read = (signing: string) => signingSecrets(parseConfig({ SIGNING_SECRET: signing }));
  const [first, second] = ["a".repeat(16), "b".repeat(16)];
  expect(read(`${first}, ${second}`)).toEqual([first, second]);
  for (const short of ["", "a".repeat(15), `${first},${"b".repeat(15)}`]) {
    expect(() => read(short)).toThrow(expect.objectContaining({ code: "config_invalid" }));
  }
});
