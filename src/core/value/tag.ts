/** Why a stored value cannot be read: its text is damaged, or holds a type that only a newer version knows. */
import { isByteType } from "../bytes.ts";
import { HoldfastError } from "../error.ts";

/** Those that are written, beside the kinds of bytes. */
const known: ReadonlySet<string> = new Set([
  ...["Date", "Map", "Set", "BigInt", "RegExp", "Object", "null", "Error"],
  "Shape",
]);

/** Of a text that could not be read: journal_newer or journal_corrupt. */
export function unreadable(stored: string, cause: unknown): HoldfastError {
  const tag = unknownTag(stored);
  if (tag === null) {
    return new HoldfastError("journal_corrupt", "a stored value is damaged: it cannot be read", { cause });
  }
  return new HoldfastError(
    "journal_newer",
    `a stored value is of the type ${tag}, which this version does not know; deploy the version again that wrote it`,
    { cause },
  );
}

/** A list that begins with text is a value of the type that the text names. */
function unknownTag(stored: string): string | null {
  let parts: unknown;
  try {
    parts = JSON.parse(stored);
  } catch {
    return null;
  }
  for (const part of Array.isArray(parts) ? (parts as unknown[]) : []) {
    const tag: unknown = Array.isArray(part) ? part[0] : null;
    if (typeof tag === "string" && !known.has(tag) && !isByteType(tag) && /^[A-Za-z]\w{0,40}$/.test(tag)) return tag;
  }
  return null;
}
