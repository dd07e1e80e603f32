/**
 * Owns: webhook addresses, which are signed, and bound to one incarnation of one run.
 * Does not own: whether the wait of an address is still open, or the address revoked.
 *
 * A token is `<payload>.<mac>`, both base64url. The payload is the JSON of run id, creation instant, call and, if not 0, the
 * number of earlier revocations. The mac is its HMAC-SHA-256 with the first secret of SIGNING_SECRET; macs with any of the
 * secrets are accepted.
 */
import { fromBase64Url, toBase64Url } from "../../core/bytes.ts";
import { HoldfastError } from "../../core/error.ts";
import { variable } from "../address.ts";
import type { HookAddress } from "../rpc/run.ts";

export type HookTarget = HookAddress & { readonly runId: string };

const minSecret = 16;

/** One incarnation of a run with webhooks; `origin` is used in addresses if PUBLIC_URL is not set. */
export type HookedRun = { readonly id: string; readonly at: number; readonly origin: string | null };

/**
 * The address of a webhook. @param generation how often an address of it was revoked before
 * @throws webhook_unavailable, naming the missing variable
 */
export async function hookUrl({ id, at, origin }: HookedRun, call: string, generation = 0): Promise<string> {
  const base = variable("PUBLIC_URL") || origin;
  if (!base) {
    throw new HoldfastError(
      "webhook_unavailable",
      "PUBLIC_URL is not set, so a webhook of a run that no request started has no address",
    );
  }
  return `${base.replace(/\/+$/, "")}/hooks/${await sign({ runId: id, createdAt: at, call, generation })}`;
}

async function sign({ runId, createdAt, call, generation }: Required<HookTarget>): Promise<string> {
  const place = [runId, createdAt, call, ...(generation === 0 ? [] : [generation])];
  const payload = new TextEncoder().encode(JSON.stringify(place));
  const [first = ""] = secrets();
  const mac = await crypto.subtle.sign("HMAC", await keyOf(first), payload);
  return `${toBase64Url(payload)}.${toBase64Url(new Uint8Array(mac))}`;
}

/** @throws webhook_not_found for a token that this deployment did not sign */
export async function verifyToken(token: string): Promise<HookTarget> {
  const [payload, mac, ...rest] = token.split(".").map(fromText);
  if (payload && mac && rest.length === 0 && (await isSigned(payload, mac))) {
    const [runId, createdAt, call, generation = 0] = JSON.parse(new TextDecoder().decode(payload)) as [
      ...[string, number, string],
      number?,
    ];
    return { runId, createdAt, call, generation };
  }
  throw new HoldfastError("webhook_not_found", "no webhook has this address");
}

async function isSigned(payload: Uint8Array, mac: Uint8Array): Promise<boolean> {
  for (const secret of secrets()) {
    if (await crypto.subtle.verify("HMAC", await keyOf(secret), mac, payload)) return true;
  }
  return false;
}

/**
 * The secrets of SIGNING_SECRET, separated by commas: the first one signs and all verify, so that a new one can be added in
 * front while addresses stay valid. The whole text is also accepted as one secret, because a secret with a comma was used as a
 * whole before several were supported.
 */
function secrets(): string[] {
  const text = variable("SIGNING_SECRET") ?? "";
  const each = text.split(",").map((secret) => secret.trim());
  const short = each.findIndex((secret) => secret.length < minSecret);
  if (short < 0) return each.length > 1 ? [...each, text] : [text];
  const which = each.length > 1 ? `: secret ${short + 1} of ${each.length} is` : " is not set, or is";
  throw new HoldfastError("webhook_unavailable", `SIGNING_SECRET${which} shorter than ${minSecret} characters`);
}

async function keyOf(secret: string): Promise<CryptoKey> {
  const bytes = new TextEncoder().encode(secret);
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
}

/** Null for text that is not the canonical encoding of its bytes, because decoders accept several texts for the same bytes. */
function fromText(text: string): Uint8Array | null {
  const bytes = fromBase64Url(text);
  return bytes !== null && toBase64Url(bytes) === text ? bytes : null;
}
