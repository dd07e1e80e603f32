/**
 * Owns: who is asking, and whether they may. Closed by default: without a configured token every
 * call is refused, and `AUTH=none` answers on this machine only.
 */
import { roles } from "./config.ts";
import type { Config, Role, Token } from "./config.ts";
import { RequestError } from "./problem.ts";
import { isOwn, readSession, roleOfSession } from "./session.ts";

/** Whom the journal names: the role of the token, or "local" where no token is asked for. */
export type Caller = Role | "local";

const challenge = { "www-authenticate": 'Bearer realm="holdfast"' };
const badChallenge = { "www-authenticate": 'Bearer realm="holdfast", error="invalid_token"' };

/**
 * @throws RequestError token_missing, token_unknown, role_insufficient, auth_unconfigured,
 * loopback_only, origin_refused
 */
export async function authorise(request: Request, config: Config, needed: Role): Promise<Caller> {
  if (config.auth.kind === "none") {
    refuseStrangers(request);
    return "local";
  }
  const role = await roleOfRequest(request, config.auth.tokens);
  if (roles.indexOf(role) < roles.indexOf(needed)) {
    throw new RequestError("role_insufficient", `This call needs the role ${needed}; the token has ${role}.`);
  }
  return role;
}

/** By the token of the request; where it has none, by the cookie of a browser that has signed in. */
async function roleOfRequest(request: Request, tokens: readonly Token[]): Promise<Role> {
  const session = readSession(request);
  if (session === null || request.headers.has("authorization")) return roleOfToken(bearer(request, tokens), tokens);
  refuseUnconfigured(tokens);
  const role = await roleOfSession(session, tokens, Date.now());
  if (role === null) {
    throw new RequestError("token_unknown", "The session has ended; sign in again.", { headers: badChallenge });
  }
  if (isOwn(request)) return role;
  throw new RequestError("origin_refused", "With the dashboard's cookie, only the dashboard itself may call this.");
}

/** @throws RequestError token_unknown */
export async function roleOfToken(token: string, tokens: readonly Token[]): Promise<Role> {
  const role = await roleOf(token, tokens);
  if (role !== null) return role;
  throw new RequestError("token_unknown", "This token is not known here.", { headers: badChallenge });
}

function bearer(request: Request, tokens: readonly Token[]): string {
  refuseUnconfigured(tokens);
  const text = /^bearer +(\S+)$/i.exec(request.headers.get("authorization")?.trim() ?? "")?.[1];
  if (text !== undefined) return text;
  throw new RequestError("token_missing", "Send the header Authorization: Bearer <token>.", { headers: challenge });
}

/** @throws RequestError auth_unconfigured */
export function refuseUnconfigured(tokens: readonly Token[]): void {
  if (tokens.length === 0) {
    throw new RequestError(
      "auth_unconfigured",
      "No token is configured, so every call is refused. Set the secret API_TOKENS to role:token, for example with: npx wrangler secret put API_TOKENS",
    );
  }
}

/**
 * Every configured token is compared, each in full and by its digest, so that the time taken says
 * nothing about how close a guess came.
 */
async function roleOf(text: string, tokens: readonly Token[]): Promise<Role | null> {
  const given = await digest(text);
  let found: Role | null = null;
  for (const known of await digests(tokens)) {
    if (isSame(given, known.digest)) found = known.role;
  }
  return found;
}

type Known = { readonly role: Role; readonly digest: Uint8Array };

/** Digests by the parsed list they belong to; bytes and no promises, which belong to one request. */
const cache = new WeakMap<readonly Token[], readonly Known[]>();

async function digests(tokens: readonly Token[]): Promise<readonly Known[]> {
  const cached = cache.get(tokens);
  if (cached !== undefined) return cached;
  const known = await Promise.all(tokens.map(async ({ role, text }) => ({ role, digest: await digest(text) })));
  cache.set(tokens, known);
  return known;
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

function isSame(left: Uint8Array, right: Uint8Array): boolean {
  let difference = left.length ^ right.length;
  for (const [index, byte] of left.entries()) difference |= byte ^ (right[index] ?? 0);
  return difference === 0;
}

/**
 * Without tokens, the two ways in for somebody else are another host name that leads here, and a
 * web page open in the browser of this machine.
 */
export function refuseStrangers(request: Request): void {
  const hosts = [new URL(request.url).hostname, hostname(`http://${request.headers.get("host") ?? "localhost"}`)];
  if (!hosts.every(isLoopback)) {
    throw new RequestError(
      "loopback_only",
      "AUTH=none answers on loopback hosts only. Set AUTH to token and the secret API_TOKENS to role:token.",
    );
  }
  const origin = request.headers.get("origin");
  if (origin !== null && !isLoopback(hostname(origin))) {
    throw new RequestError("origin_refused", "With AUTH=none, pages of other sites may not call this API.");
  }
}

function hostname(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname : "";
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}
