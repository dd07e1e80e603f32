/** Reads a stored commit: returns its entries, or refuses them if they are damaged or unknown. */
import type { Entry, EntryOf } from "./entry.ts";
import { HoldfastError } from "../error.ts";
import { checksByKind } from "./grammar.ts";
import type { Stored } from "../value/value.ts";

const later = "deploy the version again that wrote it";
const spoiled = "nothing of the run was changed; restore its storage, or delete the run";

/** The entry before the commit. */
export type Before = { readonly seq: number; readonly at: number };

/**
 * The entries of a commit.
 * @param first the `seq` that its row gives its first entry
 * @param before the entry before it; null where it is the first that is read
 * @throws HoldfastError journal_corrupt, journal_newer; both name the entry
 */
export function readCommit(text: string, first: number, before: Before | null): Entry[] {
  const plain = readPlain(text, first, before);
  if (plain !== null) return [plain];
  const entries = parse(text, first);
  let last = before;
  // By index here and below, which leaves nothing behind to be collected: a journal has tens of thousands of fields.
  for (let at = 0; at < entries.length; at++) {
    check(entries[at], first + at, last);
    last = entries[at] as Entry;
  }
  return entries as Entry[];
}

function parse(text: string, first: number): readonly unknown[] {
  let entries: unknown;
  try {
    entries = JSON.parse(text);
  } catch {
    throw corrupt(`the commit that begins with entry ${first} is cut off or is no JSON`);
  }
  if (Array.isArray(entries) && entries.length > 0) return entries;
  throw corrupt(`the commit that begins with entry ${first} is no list of entries`);
}

/** Characters: for longer texts the pattern is slower than JSON. */
const longestPlain = 2000;
const count = String.raw`([1-9]\d{0,14})`;
const letters = String.raw`[^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*`;
const completed = new RegExp(
  String.raw`^\[\{"seq":${count},"at":${count},"kind":"step\.completed","step":"(${letters})",` +
    String.raw`"attempt":${count},"startedAt":${count},"result":"(\[${letters}|-[1-6])"\}\]$`,
);

/**
 * Reads the commonest commit of long journals, the end of one plain step alone, faster than by way of JSON and its checks:
 * a text that fits the pattern also fits the grammar. Null where the text is anything else, or in the wrong place.
 */
function readPlain(text: string, first: number, before: Before | null): EntryOf<"step.completed"> | null {
  const found = text.length <= longestPlain ? completed.exec(text) : null;
  if (found === null) return null;
  // Not by destructuring, which alone takes a sixth of the time.
  const seq = numberOf(found[1]);
  const at = numberOf(found[2]);
  if (seq !== first || (before !== null && (seq !== before.seq + 1 || at < before.at))) return null;
  try {
    return {
      seq,
      at,
      kind: "step.completed",
      step: unescaped(found[3] ?? ""),
      attempt: numberOf(found[4]),
      startedAt: numberOf(found[5]),
      result: unescaped(found[6] ?? "") as Stored,
    };
  } catch {
    return null;
  }
}

/** Reads at most fifteen digits, which is always exact; faster than `Number`. */
function numberOf(digits = ""): number {
  let number = 0;
  for (let at = 0; at < digits.length; at++) number = 10 * number + digits.charCodeAt(at) - zero;
  return number;
}

const zero = "0".charCodeAt(0);

/** @throws SyntaxError where the text is not valid JSON */
function unescaped(text: string): string {
  return text.includes("\\") ? (JSON.parse(`"${text}"`) as string) : text;
}

function check(entry: unknown, seq: number, before: Before | null): void {
  const fields = entry as Readonly<Record<string, unknown>> | null;
  if (typeof fields !== "object" || fields === null || fields["seq"] !== seq) {
    throw corrupt(`where entry ${seq} belongs, there is another`);
  }
  if (before !== null && seq !== before.seq + 1) {
    throw corrupt(`entry ${before.seq + 1} is missing: after ${before.seq} comes ${seq}`);
  }
  const { at, kind } = fields;
  if (typeof at !== "number" || !Number.isFinite(at) || at < (before?.at ?? 0)) {
    throw corrupt(`entry ${seq} has no time, or one before that of the entry before it`);
  }
  const checks = checksByKind.get(kind);
  if (checks === undefined) throw unknownKind(seq, kind);
  for (let at = 0; at < checks.names.length; at++) {
    const field = checks.names[at] ?? "";
    if (checks.fits[at]?.(fields[field]) !== true) throw unfit(seq, String(kind), field, fields[field]);
  }
}

function unknownKind(seq: number, kind: unknown): HoldfastError {
  if (typeof kind !== "string" || !/^[a-z]{1,32}\.[a-z_]{1,32}$/.test(kind)) {
    return corrupt(`entry ${seq} is of no kind`);
  }
  return newer(`entry ${seq} is of the kind ${kind}, which this version does not know`);
}

/** A field that holds text may be in a form of a newer version; anything else is damage. */
function unfit(seq: number, kind: string, field: string, value: unknown): HoldfastError {
  const what = `entry ${seq}, ${kind}: its field ${field}`;
  return typeof value === "string" && value !== ""
    ? newer(`${what} says something that this version does not know`)
    : corrupt(`${what} is missing or is no such thing`);
}

/** A journal whose bytes cannot be right. */
export function corrupt(what: string): HoldfastError {
  return new HoldfastError("journal_corrupt", `the journal is damaged: ${what}; ${spoiled}`);
}

function newer(what: string): HoldfastError {
  return new HoldfastError("journal_newer", `the journal is a newer version's: ${what}; ${later}`);
}
