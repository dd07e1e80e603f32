/** Owns: what a page can do without. */
import type { ErrorCode } from "../../core/code.ts";
import { hasCode } from "../../core/error.ts";

/** Null where it is refused with one of these codes. */
export async function orNull<Value>(pending: Promise<Value>, ...codes: readonly ErrorCode[]): Promise<Value | null> {
  try {
    return await pending;
  } catch (error) {
    if (hasCode(error, ...codes)) return null;
    throw error;
  }
}
