/**
 * Owns: the dashboard's sessions. A token given on the sign-in page becomes a cookie that proves
 * knowledge of it without holding it: an expiry, and its HMAC under the token. Nothing is stored, and a
 * token that is removed from the configuration takes its sessions with it.
 */
import type { Role, Token } from "./config.ts";

/** How long a browser stays signed in. */
export const sessionMs = 7 * 24 * 60 * 60 * 1000;

/** Over https the name itself makes the browser insist on Secure, on Path=/ and on no Domain. */
function nameOf(request: Request): string {
  return isSecure(request) ? "__Host-holdfast_session" : "holdfast_session";
}

function isSecure(request: Request): boolean {
  return new URL(request.url).protocol === "https:";
}

/** The cookie's header for a token that was found to be right. */
export async function createSession(request: Request, token: string, now: number): Promise<string> {
  const expires = String(now + sessionMs);
  const proof = toText(await prove(token, expires));
  return cookie(request, `${expires}.${proof}`, sessionMs / 1000);
}

/** The cookie's header that ends a session. */
export function endSession(request: Request): string {
  return cookie(request, "", 0);
}

function cookie(request: Request, value: string, seconds: number): string {
  const secure = isSecure(request) ? "; Secure" : "";
  return `${nameOf(request)}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${secure}`;
}

/** What the request's cookie says; null where it has none. */
export function readSession(request: Request): string | null {
  const name = nameOf(request);
  for (const pair of (request.headers.get("cookie") ?? "").split(";")) {
    const at = pair.indexOf("=");
    if (pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim() || null;
  }
  return null;
}

/** The role of the token that the session was opened with; null when it has ended, by time or by its token's end. */
export async function roleOfSession(session: string, tokens: readonly Token[], now: number): Promise<Role | null> {
  const [, expires, proof] = /^(\d{1,15})\.([0-9a-f]{64})$/.exec(session) ?? [];
  if (expires === undefined || proof === undefined || Number(expires) <= now) return null;
  const given = fromText(proof);
  let found: Role | null = null;
  for (const { role, text } of tokens) {
    const key = await keyOf(text);
    if (await crypto.subtle.verify("HMAC", key, given, messageOf(expires))) found = role;
  }
  return found;
}

async function prove(token: string, expires: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", await keyOf(token), messageOf(expires)));
}

function keyOf(token: string): Promise<CryptoKey> {
  const bytes = new TextEncoder().encode(token);
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
}

function messageOf(expires: string): Uint8Array {
  return new TextEncoder().encode(`holdfast session until ${expires}`);
}

function toText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function fromText(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/**
 * Whether the request was made by a page of this very address. A browser sends the cookie by itself,
 * so whoever rides on it must not come from elsewhere; a GET changes nothing and may, unless it opens a
 * socket, whose answers another page could read.
 */
export function isOwn(request: Request): boolean {
  const isSocket = request.headers.get("upgrade") !== null;
  if (!isSocket && (request.method === "GET" || request.method === "HEAD")) return true;
  const site = request.headers.get("sec-fetch-site");
  if (site !== null) return site === "same-origin";
  const origin = request.headers.get("origin");
  if (origin === null || !URL.canParse(origin)) return false;
  const { host, origin: own } = new URL(request.url);
  // Behind a proxy that ends TLS the scheme may differ, the host may not.
  return origin === own || new URL(origin).host === (request.headers.get("host") ?? host);
}
