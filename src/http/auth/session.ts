/**
 * Owns: the dashboard's sessions. A token given on the sign-in page becomes a cookie that proves knowledge of the token
 * without holding it: an expiry, and its HMAC with the token as key. Nothing is stored, and removing a token from the
 * configuration ends its sessions. For a token that is configured by its SHA-256 only, the key is made from that and
 * SIGNING_SECRET, so that neither of the two is enough to forge a session.
 */
import { fromHex, toHex } from "../../core/bytes.ts";
import { signingSecrets, tokensOf } from "../config.ts";
import type { Config, Token } from "../config.ts";
import { urlOf } from "../url.ts";

/** How long a browser stays signed in. */
export const sessionMs = 7 * 24 * 60 * 60 * 1000;

/** Over https the prefix `__Host-` makes the browser insist on Secure, on Path=/ and on no Domain. */
function nameOf(request: Request): string {
  return isSecure(request) ? "__Host-holdfast_session" : "holdfast_session";
}

function isSecure(request: Request): boolean {
  return urlOf(request).protocol === "https:";
}

/**
 * The `Set-Cookie` header that begins a session with a valid token.
 * @param now epoch ms
 * @throws HoldfastError config_invalid: SIGNING_SECRET is needed
 */
export async function createSession(request: Request, token: Token, config: Config, now: number): Promise<string> {
  const expires = String(now + sessionMs);
  const secret = "text" in token ? "" : (signingSecrets(config)[0] ?? "");
  const proof = toHex(await prove(await keyOf(token, secret), expires));
  return cookie(request, `${expires}.${proof}`, sessionMs / 1000);
}

/** The `Set-Cookie` header that ends a session. */
export function endSession(request: Request): string {
  return cookie(request, "", 0);
}

function cookie(request: Request, value: string, seconds: number): string {
  const secure = isSecure(request) ? "; Secure" : "";
  return `${nameOf(request)}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${secure}`;
}

/** The session cookie of the request; null where it has none. */
export function readSession(request: Request): string | null {
  const name = nameOf(request);
  for (const pair of (request.headers.get("cookie") ?? "").split(";")) {
    const at = pair.indexOf("=");
    if (pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim() || null;
  }
  return null;
}

/** The expiry of a session, unverified, epoch ms; 0 where the text is not one. */
export function expiryOf(session: string): number {
  return Number(/^(\d{1,15})\./.exec(session)?.[1] ?? 0);
}

/** The token that the session was begun with; null where it has expired, is forged, or its token is not configured any more. */
export async function tokenOfSession(session: string, config: Config, now: number): Promise<Token | null> {
  const [, expires, proof] = /^(\d{1,15})\.([0-9a-f]{64})$/.exec(session) ?? [];
  if (expires === undefined || proof === undefined || Number(expires) <= now) return null;
  const given = fromHex(proof) ?? new Uint8Array();
  let found: Token | null = null;
  for (const token of tokensOf(config)) {
    for (const secret of "text" in token ? [""] : knownSecrets(config)) {
      const key = await keyOf(token, secret);
      if (await crypto.subtle.verify("HMAC", key, given, messageOf(expires))) found = token;
    }
  }
  return found;
}

/** The signing secrets; none where they are not set: sessions of tokens that are configured as text do not need them. */
function knownSecrets(config: Config): readonly string[] {
  try {
    return signingSecrets(config);
  } catch {
    return [];
  }
}

async function prove(key: CryptoKey, expires: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, messageOf(expires)));
}

/** @param secret used only where just the SHA-256 of the token is configured */
async function keyOf(token: Token, secret: string): Promise<CryptoKey> {
  if ("text" in token) return await hmacKey(encoded(token.text));
  const parent = await hmacKey(encoded(secret));
  return await hmacKey(await crypto.subtle.sign("HMAC", parent, encoded(`holdfast session key of ${token.sha256}`)));
}

function hmacKey(bytes: BufferSource): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
}

function messageOf(expires: string): Uint8Array {
  return encoded(`holdfast session until ${expires}`);
}

function encoded(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/**
 * Whether the request was made by a page of this very address. A browser sends the cookie also with requests of other sites'
 * pages (CSRF). A GET of another site is allowed, because it changes nothing, unless it opens a WebSocket, whose messages
 * the other page could read.
 */
export function isOwn(request: Request): boolean {
  const isSocket = request.headers.get("upgrade") !== null;
  if (!isSocket && (request.method === "GET" || request.method === "HEAD")) return true;
  const site = request.headers.get("sec-fetch-site");
  if (site !== null) return site === "same-origin";
  const origin = request.headers.get("origin") ?? "";
  const { host, origin: own } = urlOf(request);
  // Behind a proxy that ends TLS the scheme may differ, the host may not.
  return origin === own || URL.parse(origin)?.host === (request.headers.get("host") ?? host);
}

/** The same, or by no page at all: programs do not send the headers by which browsers name the origin of a change. */
export function isOwnOrPlain(request: Request): boolean {
  const isPlain = !request.headers.has("sec-fetch-site") && !request.headers.has("origin");
  return isPlain || isOwn(request);
}
