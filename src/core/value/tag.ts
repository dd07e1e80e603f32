/** Explains why a stored value cannot be read: its text is damaged, or has a type that only a newer version knows. */
import { isByteType } from "../bytes.ts";
import { HoldfastError } from "../error.ts";

/** The types that this version writes, besides those of bytes. */
const known: ReadonlySet<string> = new Set([
  ...["Date", "Map", "Set", "BigInt", "RegExp", "Object", "null", "Error"],
  "Shape",
]);

/** The error for text that could not be parsed: journal_newer or journal_corrupt. */
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

/** The name of an unknown type in the text, if there is one: lists that begin with text name the type of a value. */
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
