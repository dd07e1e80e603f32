/** Parses signatures and timestamps in the headers of webhook senders; does not verify them. */
import { fromBase64, fromBase64Url, fromHex } from "../bytes.ts";

export type Encoding = "hex" | "base64" | "base64url";

/** The bytes of a signature; null where the text is none. Case does not matter in hex, nor padding in base64url. */
export function readSignature(text: string, encoding: Encoding): Uint8Array<ArrayBuffer> | null {
  switch (encoding) {
    case "hex":
      return fromHex(text);
    case "base64":
      return fromBase64(text);
    case "base64url":
      return fromBase64Url(text);
    default:
      return encoding satisfies never;
  }
}

/** Seconds since 1970, as senders write when they signed; some write milliseconds. Epoch ms; null for anything else. */
export function readTimestamp(text: string): number | null {
  if (!/^\d{1,14}$/.test(text)) return null;
  const count = Number(text);
  // As seconds this is the year 5138, as milliseconds March 1973: larger numbers are milliseconds.
  return count >= 100_000_000_000 ? count : count * 1000;
}

/** Why the timestamp of a call is refused; null where it is recent. @param at the present, epoch ms */
export function staleness(signedAt: number, at: number, toleranceMs: number): string | null {
  if (at - signedAt > toleranceMs) return "its timestamp is too old";
  if (signedAt - at > toleranceMs) return "its timestamp is too far ahead";
  return null;
}

/** `t=1,v1=a,v1=b` as Stripe writes it: the one `t`, and each `v1`. Null for anything else. */
export function readPairs(header: string): { readonly t: string; readonly v1: readonly string[] } | null {
  const pairs = header.split(",").map((pair) => pair.trim().split("="));
  const valuesOf = (name: string): string[] => pairs.flatMap(([key, value]) => (key === name && value ? [value] : []));
  const [t, ...more] = valuesOf("t");
  return t === undefined || more.length > 0 ? null : { t, v1: valuesOf("v1") };
}
