/** Who is behind a request, and why: what the headers may say, and what is refused. */
import { expect, test } from "vitest";
import type { Caller } from "../../src/http/auth/auth.ts";
import { readAuthor, readReason, readWhy } from "../../src/http/auth/author.ts";
import type { Role } from "../../src/http/config.ts";
import { problem } from "../../src/http/problem.ts";

function withToken(role: Role): Caller {
  return { role, visibility: "whole", way: "token", name: null };
}

const [read, operate, admin] = [withToken("read"), withToken("operate"), withToken("admin")];

function request(headers: Readonly<Record<string, string>>): Request {
  return new Request("http://example.com/v1/runs", { method: "POST", headers });
}

/** What the caller is answered. */
async function refusedFor(read: () => unknown): Promise<string> {
  try {
    return `not refused: ${JSON.stringify(read())}`;
  } catch (error) {
    const { status, code, detail } = (await problem(error).json()) as { status: number; code: string; detail: string };
    return `${status} ${code} ${detail}`;
  }
}

test("without a name it is the token's role; with one the name, and the role beside it", () => {
  expect(readAuthor(request({}), operate)).toEqual({ by: "operate" });
  expect(readAuthor(request({ "holdfast-actor": "ana" }), operate)).toEqual({ by: "ana", role: "operate" });
  expect(readAuthor(request({ "Holdfast-Actor": "%20ana%20m%C3%BCnchen%20" }), admin)).toEqual({
    ...{ by: "ana münchen", role: "admin" },
  });
});

test("a name cannot take the place of a role, the engine or a schedule: its own role shows", () => {
  for (const by of ["admin", "engine", "schedule:nightly", "bulk 01K"]) {
    const headers = { "holdfast-actor": encodeURIComponent(by) };
    expect(readAuthor(request(headers), operate)).toEqual({ by, role: "operate" });
  }
});

test("a name that Access has verified is the name, and no header puts another in its place", () => {
  const caller: Caller = { role: "operate", visibility: "whole", way: "access", name: "ana@example.com" };
  for (const actor of ["", "bob", "%ff"]) {
    expect(readAuthor(request({ "holdfast-actor": actor }), caller)).toEqual({
      by: "ana@example.com",
      role: "operate",
    });
  }
});

test("an empty header says nothing", () => {
  expect(readAuthor(request({ "holdfast-actor": "  " }), admin)).toEqual({ by: "admin" });
  expect(readReason(request({ "holdfast-reason": "" }))).toBeNull();
  expect(readWhy(request({}))).toEqual({});
});

test("the reason is any text, lines and all", () => {
  const reason = "3 × é\nand 100 %";
  expect(readReason(request({ "holdfast-reason": encodeURIComponent(reason) }))).toBe(reason);
  expect(readWhy(request({ "holdfast-reason": "checking%20the%20invoice" }))).toEqual({
    reason: "checking the invoice",
  });
  expect(readReason(request({ "holdfast-reason": "r".repeat(4096) }))).toHaveLength(4096);
});

test.each([
  ["no UTF-8", "%ff"],
  ["a percent sign that encodes nothing", "100 %"],
  ["what is not ASCII and not encoded", "m\u00fcnchen"],
  ["nothing but blanks", "%20%0A"],
  ["NUL", "a%00b"],
  ["more than it may hold", "r".repeat(4097)],
])("refused, and the header named: %s", async (_what, text) => {
  await expect(refusedFor(() => readReason(request({ "holdfast-reason": text })))).resolves.toMatch(
    /^400 header_invalid Holdfast-Reason must be percent-encoded UTF-8 of 1 to 4096 characters/,
  );
  await expect(refusedFor(() => readAuthor(request({ "holdfast-actor": text }), admin))).resolves.toMatch(
    /^400 header_invalid Holdfast-Actor must be percent-encoded UTF-8 of 1 to 256 characters/,
  );
});

test("a name has at most 256 characters", async () => {
  expect(readAuthor(request({ "holdfast-actor": "a".repeat(256) }), read).by).toHaveLength(256);
  await expect(refusedFor(() => readAuthor(request({ "holdfast-actor": "a".repeat(257) }), read))).resolves.toMatch(
    /^400/,
  );
});
