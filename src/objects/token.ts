/**
 * Owns: webhook addresses: signed, so that nobody makes one up, and bound to one life of one run.
 * Does not own: whether the wait behind an address is still open.
 *
 * A token is `<payload>.<mac>`, both base64url: the payload is the JSON of run id, creation instant
 * and call; the mac is HMAC-SHA-256 over it with SIGNING_SECRET.
 */
import { HoldfastError } from "../core/error.ts";
import { variable } from "./address.ts";
import type { HookAddress } from "./rpc.ts";

export type HookTarget = HookAddress & { readonly runId: string };

const minSecret = 16;

/** @throws webhook_unavailable, naming the variable that is missing */
export async function hookUrl(target: HookTarget, origin: string | null): Promise<string> {
  const base = variable("PUBLIC_URL") || origin;
  if (!base) {
    throw new HoldfastError(
      "webhook_unavailable",
      "PUBLIC_URL is not set, so a webhook of a run that no request started has no address",
    );
  }
  return `${base.replace(/\/+$/, "")}/hooks/${await sign(target)}`;
}

async function sign({ runId, createdAt, call }: HookTarget): Promise<string> {
  const payload = new TextEncoder().encode(JSON.stringify([runId, createdAt, call]));
  const mac = await crypto.subtle.sign("HMAC", await key(), payload);
  return `${toBase64Url(payload)}.${toBase64Url(new Uint8Array(mac))}`;
}

/** @throws webhook_not_found for anything this deployment did not sign */
export async function verifyToken(token: string): Promise<HookTarget> {
  const [payload, mac, ...rest] = token.split(".").map(fromBase64Url);
  if (payload && mac && rest.length === 0 && (await crypto.subtle.verify("HMAC", await key(), mac, payload))) {
    const [runId, createdAt, call] = JSON.parse(new TextDecoder().decode(payload)) as [string, number, string];
    return { runId, createdAt, call };
  }
  throw new HoldfastError("webhook_not_found", "no webhook has this address");
}

async function key(): Promise<CryptoKey> {
  const secret = variable("SIGNING_SECRET") ?? "";
  if (secret.length < minSecret) {
    throw new HoldfastError(
      "webhook_unavailable",
      `SIGNING_SECRET is not set, or is shorter than ${minSecret} characters`,
    );
  }
  const bytes = new TextEncoder().encode(secret);
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
}

function toBase64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

function fromBase64Url(text: string): Uint8Array | null {
  try {
    const padded = text.replaceAll("-", "+").replaceAll("_", "/");
    return Uint8Array.from(atob(padded), (char) => char.charCodeAt(0));
  } catch {
    return null;
  }
}
