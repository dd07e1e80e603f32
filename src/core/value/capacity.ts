/** What fits into one call between objects, which carries 32 MiB: how much memory the texts of values take. */
import { HoldfastError } from "../error.ts";
import { group } from "../size.ts";

/** What values may have together that travel with one call between objects, which carries 32 MiB, with room for the rest. */
const maxTogetherBytes = 31 * 1024 * 1024;

/** @param what names the values, with a verb @throws HoldfastError value_too_large: in one call, or one entry, they do not fit */
export function checkTogether(texts: readonly string[], what: string): void {
  // Most are far smaller, so that their letters do not matter.
  if (texts.reduce((sum, { length }) => sum + 2 * length, 0) <= maxTogetherBytes) return;
  const bytes = texts.reduce((sum, text) => sum + (/[\u0100-\uffff]/.test(text) ? 2 : 1) * text.length, 0);
  if (bytes <= maxTogetherBytes) return;
  const message = `${what} ${group(bytes)} bytes in memory; ${group(maxTogetherBytes)} are allowed`;
  throw new HoldfastError("value_too_large", message);
}

/** The longest JSON text that may have two bytes a character in memory: a call between objects carries 32 MiB. */
const longestWide = 12_000_000;

/**
 * The same JSON in a text that takes no more memory than it must: one character beyond Latin-1 makes two bytes of every
 * other one, so those are escaped where that is shorter.
 */
export function narrowed(json: string): string {
  if (json.length <= longestWide) return json;
  let wide = 0;
  for (let at = 0; at < json.length; at += 1) if (json.charCodeAt(at) > 0xff) wide += 1;
  // Escaped, each of them has six characters instead of one.
  if (5 * wide >= json.length) return json;
  const escape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  const escaped = json.replace(/[\u0100-\uffff]/g, escape);
  // Made anew, because a text that came of a wide one stays wide.
  return new TextDecoder().decode(new TextEncoder().encode(escaped));
}
