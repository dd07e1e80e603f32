/**
 * The variables that the web layer reads. They are checked at each request and not when the Worker starts: a Worker that
 * cannot start answers nobody, and a caller should be told what is missing.
 */
import { HoldfastError } from "../core/error.ts";

/** What a token may do; each role may do all that those before it may. */
export type Role = "read" | "operate" | "admin";

export const roles: readonly Role[] = ["read", "operate", "admin"];

/** `shapes`: it may see the shapes of payloads only. */
export type Right = { readonly role: Role; readonly shapes?: true };

/** A token as text, or by its SHA-256 as 64 hexadecimal digits in lower case. */
export type Token = Right & ({ readonly text: string } | { readonly sha256: string });

/** The configuration of Cloudflare Access, and what those whom it lets in may do here. */
export type Access = {
  /** Scheme and host of the team: the issuer of assertions, where also its keys are. */
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly grants: readonly Grant[];
};

/** `*`, `*@example.com`, an e-mail address in lower case, or the common name of a service token. */
export type Grant = Right & { readonly pattern: string };

export type Config = {
  /** `none` answers on loopback hosts only. Empty `tokens` refuse every call that Access does not let in. */
  readonly auth: { readonly kind: "none" } | { readonly kind: "token"; readonly tokens: readonly Token[] };
  /** Null where none is set up; always with `AUTH=none`. */
  readonly access: Access | null;
  /** Origins whose pages may call the API with a token. */
  readonly origins: readonly string[];
  /** SIGNING_SECRET, unchecked; {@link signingSecrets} checks it. */
  readonly signing: string;
  /** Scheme and host of the webhooks' addresses; null: those of the request that started the run. */
  readonly publicUrl: string | null;
};

/** None with `AUTH=none`. */
export function tokensOf({ auth }: Config): readonly Token[] {
  return auth.kind === "token" ? auth.tokens : [];
}

const accessNames = ["ACCESS_TEAM_DOMAIN", "ACCESS_AUD", "ACCESS_ROLES"] as const;
const names = ["AUTH", "API_TOKENS", "PUBLIC_URL", "SIGNING_SECRET", "CORS_ORIGINS", ...accessNames];

/** A cache of the last parsed configuration: variables change with a deployment only. */
let last: { readonly texts: readonly unknown[]; readonly config: Config } | null = null;

/**
 * Returns the same object for the same variables.
 * @throws HoldfastError config_invalid, naming the variable. Callers without a token are told, so a message never holds what
 * a variable says: it may be a secret in the wrong place.
 */
export function parseConfig(env: Record<string, unknown>): Config {
  const texts = names.map((name) => env[name]);
  if (last?.texts.every((text, index) => text === texts[index]) === true) return last.config;
  const config = parse(env);
  last = { texts, config };
  return config;
}

function parse(env: Record<string, unknown>): Config {
  const kind = text(env, "AUTH") || "token";
  const rest = {
    origins: parseOrigins(text(env, "CORS_ORIGINS")),
    signing: text(env, "SIGNING_SECRET"),
    publicUrl: parsePublicUrl(text(env, "PUBLIC_URL")),
  };
  if (kind === "none") return { auth: { kind }, access: null, ...rest };
  if (kind !== "token") throw invalid('AUTH must be "token" or "none"');
  return { auth: { kind, tokens: parseTokens(text(env, "API_TOKENS")) }, access: parseAccess(env), ...rest };
}

function invalid(message: string): HoldfastError {
  return new HoldfastError("config_invalid", message);
}

function text(env: Record<string, unknown>, name: string): string {
  const value = env[name] ?? "";
  if (typeof value === "string") return value.trim();
  throw invalid(`${name} must be text`);
}

/** The items of a comma-separated list, each with its place for messages; none for an empty text. */
function itemsOf(list: string, name: string): { readonly item: string; readonly where: string }[] {
  if (list === "") return [];
  return list.split(",").map((item, index) => ({ item: item.trim(), where: `${name}, item ${index + 1}` }));
}

function parseTokens(list: string): Token[] {
  const known = new Map<string, Token>();
  for (const { item, where } of itemsOf(list, "API_TOKENS")) {
    const token = parseToken(item, where);
    const key = "text" in token ? `text:${token.text}` : `sha256:${token.sha256}`;
    const owner = known.get(key) ?? token;
    // Refused, because choosing one of two roles could give somebody too many rights.
    if (nameOf(owner) !== nameOf(token)) {
      throw invalid(`API_TOKENS gives one token two roles, ${nameOf(owner)} and ${nameOf(token)}`);
    }
    known.set(key, token);
  }
  return [...known.values()];
}

/** Higher for a higher role; of the same role, higher for the one that sees more. */
export function rankOf({ role, shapes }: Right): number {
  return 2 * roles.indexOf(role) + (shapes === true ? 0 : 1);
}

/** `operate.shapes` */
function nameOf({ role, shapes }: Right): string {
  return shapes === true ? `${role}.shapes` : role;
}

function parseToken(item: string, where: string): Token {
  const { right, rest } = parseRight(item, where, "token");
  if (!/^[\x21-\x7e]+$/.test(rest)) {
    throw invalid(`${where}: a token is printable ASCII without blanks, and not empty`);
  }
  if (!rest.startsWith("sha256:")) return { ...right, text: rest };
  const sha256 = rest.slice(7).toLowerCase();
  if (/^[0-9a-f]{64}$/.test(sha256)) return { ...right, sha256 };
  throw invalid(`${where}: after sha256: there must be the SHA-256 of the token, as 64 hexadecimal digits`);
}

/** Parses the text before the first colon as a right; `rest` is the text after it. */
function parseRight(item: string, where: string, what: string): { readonly right: Right; readonly rest: string } {
  const colon = Math.max(item.indexOf(":"), 0);
  const [name = "", suffix, ...more] = item.slice(0, colon).split(".");
  const role = roles.find((known) => known === name);
  if (role === undefined || more.length > 0 || (suffix !== undefined && suffix !== "shapes")) {
    throw invalid(
      `${where}: write role:${what}, with the role ${roles.join(", ")}, or one of them with .shapes behind it`,
    );
  }
  return { right: suffix === undefined ? { role } : { role, shapes: true }, rest: item.slice(colon + 1).trim() };
}

/** All three variables have to be set, or none of them. */
function parseAccess(env: Record<string, unknown>): Access | null {
  const [domain = "", audiences = "", grants = ""] = accessNames.map((name) => text(env, name));
  const missing = accessNames.filter((name) => text(env, name) === "");
  if (missing.length === accessNames.length) return null;
  const [first] = missing;
  if (first !== undefined) throw invalid(`${first} must be set as well: ${accessNames.join(", ")} belong together`);
  return {
    issuer: parseTeam(domain),
    audiences: itemsOf(audiences, "ACCESS_AUD").map(({ item, where }) => {
      if (/^[\x21-\x7e]+$/.test(item)) return item;
      throw invalid(`${where}: an audience tag is printable ASCII without blanks, and not empty`);
    }),
    grants: itemsOf(grants, "ACCESS_ROLES").map(({ item, where }) => parseGrant(item, where)),
  };
}

/** Plain http is allowed for the local machine only. */
function parseTeam(domain: string): string {
  const url = URL.parse(domain);
  const isSafe = url?.protocol === "https:" || (url?.protocol === "http:" && url.hostname === "127.0.0.1");
  if (url !== null && isSafe && `${url.origin}/` === url.href) return url.origin;
  throw invalid("ACCESS_TEAM_DOMAIN must be like https://team.cloudflareaccess.com, without a path");
}

function parseGrant(item: string, where: string): Grant {
  const { right, rest } = parseRight(item, where, "pattern");
  const isMail = /^(?:\*|[^\s@*]+)@[^\s@*]+$/.test(rest);
  if (!isMail && rest !== "*" && !/^[^\s@*]+$/.test(rest)) {
    throw invalid(`${where}: a pattern is an e-mail address, *@host, *, or the common name of a service token`);
  }
  return { ...right, pattern: isMail ? rest.toLowerCase() : rest };
}

function parseOrigins(list: string): string[] {
  return itemsOf(list, "CORS_ORIGINS").map(({ item, where }) => {
    const url = URL.parse(item);
    if (url !== null && /^https?:$/.test(url.protocol) && url.origin === item) return item;
    throw invalid(`${where}: an origin is like https://app.example.com, without a path or a slash at its end`);
  });
}

const minSecret = 16;

/**
 * The secrets: the first one signs, and all are accepted.
 * @throws HoldfastError config_invalid: SIGNING_SECRET is not set, or one of it is too short
 */
export function signingSecrets({ signing }: Config): readonly string[] {
  const secrets = signing.split(",").map((each) => each.trim());
  if (secrets.every(({ length }) => length >= minSecret)) return secrets;
  throw invalid(
    `SIGNING_SECRET is needed to sign in with a token of which API_TOKENS holds the SHA-256 only: set it to ${minSecret} random characters or more; several are separated by commas`,
  );
}

function parsePublicUrl(value: string): string | null {
  if (value === "") return null;
  const url = URL.parse(value);
  const isOrigin = url !== null && `${url.origin}/` === url.href && /^https?:$/.test(url.protocol);
  if (isOrigin) return url.origin;
  throw invalid("PUBLIC_URL must be http(s)://host without a path");
}
