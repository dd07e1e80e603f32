/**
 * The variables the web layer reads. They are judged at the request and not at the start, because
 * a Worker that cannot start answers nobody, and a missing token must be said to whoever asks.
 */
import { HoldfastError } from "../core/error.ts";

/** What a token may do; each role may do all that those before it may. */
export type Role = "read" | "operate" | "admin";

export const roles: readonly Role[] = ["read", "operate", "admin"];

export type Token = { readonly role: Role; readonly text: string };

export type Config = {
  /** `none` answers on loopback hosts only. Empty `tokens` refuse every call. */
  readonly auth: { readonly kind: "none" } | { readonly kind: "token"; readonly tokens: readonly Token[] };
  /** Scheme and host of the webhooks' addresses; null: those of the request that started the run. */
  readonly publicUrl: string | null;
};

/** The last one parsed: variables change with the deployment, and requests come by the thousand. */
let last: { readonly texts: readonly unknown[]; readonly config: Config } | null = null;

/**
 * The same variables give the same object.
 * @throws HoldfastError config_invalid, naming the variable. A message never holds a token.
 */
export function parseConfig(env: Record<string, unknown>): Config {
  const texts = [env["AUTH"], env["API_TOKENS"], env["PUBLIC_URL"]];
  if (last?.texts.every((text, index) => text === texts[index]) === true) return last.config;
  const config = parse(env);
  last = { texts, config };
  return config;
}

function parse(env: Record<string, unknown>): Config {
  const publicUrl = parsePublicUrl(text(env, "PUBLIC_URL"));
  const kind = text(env, "AUTH") || "token";
  if (kind === "none") return { auth: { kind }, publicUrl };
  if (kind === "token") return { auth: { kind, tokens: parseTokens(text(env, "API_TOKENS")) }, publicUrl };
  throw new HoldfastError("config_invalid", `AUTH must be "token" or "none", not "${kind}"`);
}

function text(env: Record<string, unknown>, name: string): string {
  const value = env[name] ?? "";
  if (typeof value === "string") return value.trim();
  throw new HoldfastError("config_invalid", `${name} must be text`);
}

function parseTokens(list: string): Token[] {
  if (list === "") return [];
  const owners = new Map<string, Role>();
  for (const [index, item] of list.split(",").entries()) {
    const token = parseToken(item.trim(), `API_TOKENS, token ${index + 1}`);
    const owner = owners.get(token.text) ?? token.role;
    // Which of the two it means is a guess, and the wrong guess is somebody's privilege.
    if (owner !== token.role) {
      throw new HoldfastError("config_invalid", `API_TOKENS gives one token two roles, ${owner} and ${token.role}`);
    }
    owners.set(token.text, token.role);
  }
  return [...owners].map(([token, role]) => ({ role, text: token }));
}

function parseToken(item: string, where: string): Token {
  const colon = item.indexOf(":");
  const role = roles.find((known) => known === item.slice(0, Math.max(colon, 0)));
  if (role === undefined) {
    throw new HoldfastError("config_invalid", `${where}: write role:token, with the role ${roles.join(", ")}`);
  }
  const token = item.slice(colon + 1);
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new HoldfastError("config_invalid", `${where}: a token is printable ASCII without blanks, and not empty`);
  }
  return { role, text: token };
}

function parsePublicUrl(value: string): string | null {
  if (value === "") return null;
  const url = URL.canParse(value) ? new URL(value) : null;
  const isOrigin = url !== null && `${url.origin}/` === url.href && /^https?:$/.test(url.protocol);
  if (isOrigin) return url.origin;
  throw new HoldfastError("config_invalid", `PUBLIC_URL must be http(s)://host without a path, not "${value}"`);
}
