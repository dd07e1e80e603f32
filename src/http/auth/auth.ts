/**
 * Owns: authentication and authorisation. Closed by default: without a configured token every call is refused, and
 * `AUTH=none` works on the local machine only.
 */
import { fromHex, isSameBytes } from "../../core/bytes.ts";
import type { Visibility } from "../../core/redaction/redaction.ts";
import { readAssertion, rightOf, verifyAssertion } from "./access.ts";
import { rankOf, roles, tokensOf } from "../config.ts";
import type { Access, Config, Right, Role, Token } from "../config.ts";
import { addressOf } from "./lockout.ts";
import type { Lockout } from "./lockout.ts";
import { RequestError } from "../problem.ts";
import { expiryOf, isOwn, isOwnOrPlain, readSession, tokenOfSession } from "./session.ts";
import { urlOf } from "../url.ts";

/** A caller who was let in: by which way, with which role, and what they are shown. */
export type Caller = {
  /** "local" where no token is asked for. */
  readonly role: Role | "local";
  readonly visibility: Visibility;
  readonly way: "local" | "token" | "session" | "access";
  /** The name that Cloudflare Access has verified; null for other callers. */
  readonly name: string | null;
};

const local: Caller = { role: "local", visibility: "whole", way: "local", name: null };

const challenge = { "www-authenticate": 'Bearer realm="holdfast"' };
const badChallenge = { "www-authenticate": 'Bearer realm="holdfast", error="invalid_token"' };

/**
 * @throws RequestError token_missing, token_unknown, role_insufficient, auth_unconfigured,
 * loopback_only, origin_refused, too_many_failures, access_keys_unavailable
 */
export async function authorise(request: Request, config: Config, needed: Role, lockout: Lockout): Promise<Caller> {
  if (config.auth.kind === "none") {
    refuseStrangers(request);
    return local;
  }
  refuseUnconfigured(config);
  const caller = await identify(request, config, lockout);
  if (mayAs(caller, needed)) return caller;
  throw new RequestError("role_insufficient", `This call needs the role ${needed}; the caller has ${caller.role}.`);
}

/** Whether the caller has at least the role. */
export function mayAs({ role }: Caller, needed: Role): boolean {
  return role === "local" || roles.indexOf(role) >= roles.indexOf(needed);
}

function callerOf(right: Right, way: Caller["way"], name: string | null = null): Caller {
  const { role, shapes } = right;
  return { role, visibility: shapes === true ? "shapes" : role === "read" ? "unaddressed" : "whole", way, name };
}

/** Identifies the caller by the request's token, else by its session cookie, else by Cloudflare Access. */
async function identify(request: Request, config: Config, lockout: Lockout): Promise<Caller> {
  const session = readSession(request);
  const assertion = readAssertion(request, config.access);
  if (request.headers.has("authorization") || (session === null && assertion === null)) {
    const token = bearer(request);
    return callerOf(await checkCredential(request, lockout, () => findToken(token, tokensOf(config))), "token");
  }
  const now = Date.now();
  // An expired session is not a wrong guess: it is treated as absent.
  const isOld = session !== null && expiryOf(session) <= now;
  if (isOld && assertion === null) throw ended();
  return await checkCredential(request, lockout, async () => {
    const token = session === null ? null : await tokenOfSession(session, config, now);
    if (token !== null) {
      if (isOwnOrPlain(request)) return callerOf(token, "session");
      throw foreign("With the dashboard's cookie, only the dashboard itself may call this.");
    }
    if (assertion !== null && config.access !== null) return await visit(request, assertion, config.access, now);
    throw ended();
  });
}

function ended(): RequestError {
  return new RequestError("token_unknown", "The session has ended; sign in again.", { headers: badChallenge });
}

/** The browser sends the cookie of Access by itself, like a session's, so the request must come from a page of our own. */
async function visit(request: Request, assertion: string, access: Access, now: number): Promise<Caller> {
  const visitor = await verifyAssertion(assertion, access, now);
  const mayRide = visitor.kind === "person" ? isOwn(request) : isOwnOrPlain(request);
  if (!mayRide) throw foreign("Let in by Cloudflare Access, only pages of this address may call this.");
  return callerOf(rightOf(visitor, access), "access", visitor.name);
}

function foreign(detail: string): RequestError {
  return new RequestError("origin_refused", detail);
}

/**
 * Checks a credential, unless its sender has presented too many wrong ones; counts it if it is wrong.
 * @throws RequestError too_many_failures, and what `prove` throws
 */
export async function checkCredential<Proof>(
  request: Request,
  lockout: Lockout,
  prove: () => Promise<Proof>,
): Promise<Proof> {
  const address = addressOf(request);
  lockout.check(address, Date.now());
  try {
    return await prove();
  } catch (error) {
    if (error instanceof RequestError && error.code === "token_unknown") lockout.fail(address, Date.now());
    throw error;
  }
}

function bearer(request: Request): string {
  const text = /^bearer +(\S+)$/i.exec(request.headers.get("authorization")?.trim() ?? "")?.[1];
  if (text !== undefined) return text;
  throw new RequestError("token_missing", "Send the header Authorization: Bearer <token>.", { headers: challenge });
}

/** @throws RequestError auth_unconfigured */
export function refuseUnconfigured(config: Config): void {
  if (tokensOf(config).length === 0 && config.access === null) {
    throw new RequestError(
      "auth_unconfigured",
      "No token is configured, so every call is refused. Set the secret API_TOKENS to role:token, for example with: npx wrangler secret put API_TOKENS; for wrangler dev in .dev.vars, or pass it --var AUTH:none",
    );
  }
}

/**
 * Finds the configured token. The text is compared with every token, each in full and by its digest, so that the time taken
 * does not tell how close a guess came. A token that is configured twice, as text and as digest, has the lower role.
 * @throws RequestError token_unknown
 */
export async function findToken(text: string, tokens: readonly Token[]): Promise<Token> {
  const given = await digest(text);
  const found = (await digests(tokens)).filter((known) => isSameBytes(given, known.digest)).map(({ token }) => token);
  const [lowest] = found.toSorted((one, other) => rankOf(one) - rankOf(other));
  if (lowest !== undefined) return lowest;
  throw new RequestError("token_unknown", "This token is not known here.", { headers: badChallenge });
}

type Known = { readonly token: Token; readonly digest: Uint8Array };

/** Digests of tokens by the parsed list they belong to; no promises, because these belong to one request. */
const cache = new WeakMap<readonly Token[], readonly Known[]>();

async function digests(tokens: readonly Token[]): Promise<readonly Known[]> {
  const cached = cache.get(tokens);
  if (cached !== undefined) return cached;
  const known = await Promise.all(tokens.map(async (token) => ({ token, digest: await digestOf(token) })));
  cache.set(tokens, known);
  return known;
}

async function digestOf(token: Token): Promise<Uint8Array> {
  if ("text" in token) return await digest(token.text);
  return fromHex(token.sha256) ?? new Uint8Array();
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

/**
 * Refuses requests that are not from this machine while no tokens are asked for. The two ways in would be another host name
 * that leads here, and a web page that is open in a browser of this machine.
 */
export function refuseStrangers(request: Request): void {
  const { host, hostname: own } = urlOf(request);
  const named = request.headers.get("host") ?? "localhost";
  const hosts = named === host ? [own] : [own, hostname(`http://${named}`)];
  if (!hosts.every(isLoopback)) {
    throw new RequestError(
      "loopback_only",
      "AUTH=none answers on loopback hosts only. Set AUTH to token and the secret API_TOKENS to role:token.",
    );
  }
  const origin = request.headers.get("origin");
  if (origin !== null && !isLoopback(hostname(origin))) {
    throw foreign("With AUTH=none, pages of other sites may not call this API.");
  }
}

function hostname(url: string): string {
  return URL.parse(url)?.hostname ?? "";
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}
