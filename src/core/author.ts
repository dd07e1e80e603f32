/** Who asks for something, why, and under which key. */
import { HoldfastError } from "./error.ts";
import { isLonger } from "./size.ts";

/** The author of a request. If the caller gave the name `by` without proof, `role` is the role of the caller's token. */
export type Author = { readonly by: string; readonly role?: string };

/** What every request that changes something carries: its author, the given reason, and its `Idempotency-Key`. */
export type RequestMetadata = Author & { readonly reason: string | null; readonly key?: string };

export function authorOf({ by, role }: Author): Author {
  return role === undefined ? { by } : { by, role };
}

/** Null also for an empty reason. @throws HoldfastError options_invalid */
export function readReason(reason: unknown): string | null {
  return reason === "" || reason === null ? null : (readText(reason, "the reason", 4096) ?? null);
}

/** An idempotency key; in characters as long as over HTTP. @throws HoldfastError options_invalid */
export function readKey(key: unknown): string | undefined {
  return readText(key, "idempotencyKey", 256);
}

/** @throws HoldfastError options_invalid: not text, empty, or too long */
function readText(value: unknown, what: string, longest: number): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "string" && value !== "" && !isLonger(value, longest)) return value;
  throw new HoldfastError("options_invalid", `${what} must be text of 1 to ${longest} characters`);
}
