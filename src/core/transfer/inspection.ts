/**
 * Checks entries that are imported. A journal of our own is checked against `core/history/grammar.ts` only; a text that
 * anybody may have written is checked field by field: no unknown field, no value that could not have been stored, and every
 * entry has to follow from those before it.
 */
import { listOf, maybe, object, orNull, text } from "../check.ts";
import type { Check } from "../check.ts";
import { keyIdOf } from "../cipher/cipher.ts";
import { endStatus } from "../history/end.ts";
import type { Entry, EntryOf } from "../history/entry.ts";
import { isValueField } from "../history/field.ts";
import { HoldfastError, hasCode, messageOf } from "../error.ts";
import { fold } from "../state/fold.ts";
import { grammar } from "../history/grammar.ts";
import { readObject, refuseLine } from "./manifest.ts";
import type { Manifest, Trailer } from "./manifest.ts";
import { checkName, checkRunId } from "../name.ts";
import { isRecord } from "../record.ts";
import { group } from "../size.ts";
import { RunState } from "../state/state.ts";
import { parseTrace } from "../trace/trace.ts";
import { maxDigits } from "../value/revival.ts";
import { decode, encode, undefinedValue } from "../value/value.ts";
import type { Stored } from "../value/value.ts";

/** Entries may be this far in the future, because clocks differ. */
const skewMs = 60_000;
/** Half of the last instant that the API can show, so that a duration can be added to it. */
const lastAt = 4_320_000_000_000_000;
/** Half of the largest whole number: entries are added after the last one. */
const lastSeq = 2 ** 52;
const maxText = 4096;
const maxErrors = 16;

type Fields = Readonly<Record<string, unknown>>;
/** Opens the result of a sensitive step. @throws HoldfastError */
export type Open = (sealed: string, entry: EntryOf<"step.completed">) => string;

/** Checks one imported text, entry by entry. */
export class Inspection {
  readonly state = new RunState();
  readonly #manifest: Manifest;
  readonly #now: number;
  readonly #open: Open;
  #entries = 0;

  /** @param now epoch ms */
  constructor(manifest: Manifest, now: number, open: Open) {
    this.#manifest = manifest;
    this.#now = now;
    this.#open = open;
  }

  /** Checks an entry and returns it. @throws HoldfastError import_invalid, key_missing */
  admit(text: string, line: number): Entry {
    const fields = readObject(text, line);
    this.#place(fields, line);
    checkKind(fields, line);
    const entry = this.#unsealed(fields as unknown as Entry, line);
    for (const [name, value] of Object.entries(entry)) {
      const why = problemOf(name, value, entry);
      if (why !== null) throw refuseLine(line, `its field ${name} ${why}`);
    }
    this.#follow(entry, line);
    return entry;
  }

  /** Checks that the text is complete. @param line that of the trailer @throws HoldfastError import_invalid */
  finish({ entries }: Trailer, line: number): void {
    const { end, paused, seq, calls, created } = this.state;
    const { status, seq: last } = this.#manifest;
    if (entries !== this.#entries) throw refuseLine(line, `it says ${entries} entries, and there are ${this.#entries}`);
    if (created === null || seq !== last)
      throw refuseLine(line - 1, `the last entry is not entry ${last}, as line 1 says`);
    const stands = end !== null ? endStatus(end) : paused !== null ? "paused" : "unfinished";
    if (stands === "unfinished") throw refuseLine(line - 1, "a run that has not ended travels only while it is paused");
    if (stands !== status) throw refuseLine(1, `its status is ${status}, and by its entries it is ${stands}`);
    for (const call of calls.values()) {
      if (end !== null || call.kind !== "child" || call.done) continue;
      throw refuseLine(line - 1, `child ${JSON.stringify(call.id)} is still open, and would not be there`);
    }
  }

  #place({ seq, at, kind }: Fields, line: number): void {
    const { created, seq: before, at: since } = this.state;
    const isFirst = created === null;
    if (isFirst !== (kind === "run.created")) {
      throw refuseLine(line, isFirst ? "the first entry must be run.created" : "there is a second run.created");
    }
    const follows = isFirst ? isWhole(seq) && seq > 0 && seq < lastSeq : seq === before + 1;
    if (!follows) throw refuseLine(line, isFirst ? "its seq is none" : `after entry ${before} comes ${String(seq)}`);
    // Whole, because those of a run are stored as whole numbers in the directory.
    if (!isWhole(at) || at < since) {
      throw refuseLine(line, "its at is no time, or before that of the entry before it");
    }
    if (at > this.#now + skewMs) throw refuseLine(line, "its at has not come yet");
  }

  #unsealed(entry: Entry, line: number): Entry {
    try {
      return unseal(entry, this.#open);
    } catch (thrown) {
      if (!hasCode(thrown, "journal_corrupt")) throw thrown;
      throw refuseLine(
        line,
        "its sealed result does not open: it was changed, or is another run's, or the key is another",
      );
    }
  }

  #follow(entry: Entry, line: number): void {
    try {
      if (entry.kind === "run.created") checkCreated(entry, this.#manifest);
      fold(this.state, entry);
    } catch (error) {
      throw refuseLine(line, messageOf(error));
    }
    this.#entries++;
  }
}

/** The entry with its result opened, if it is sealed. @throws HoldfastError what `open` throws */
export function unseal(entry: Entry, open: Open): Entry {
  if (entry.kind !== "step.completed" || typeof entry.result !== "string" || keyIdOf(entry.result) === null)
    return entry;
  return { ...entry, result: open(entry.result, entry) as Stored };
}

function checkKind(fields: Fields, line: number): void {
  const { kind } = fields;
  if (typeof kind !== "string" || !Object.hasOwn(grammar, kind)) {
    const shown = typeof kind === "string" ? kind.slice(0, 80) : typeof kind;
    throw refuseLine(line, `entries of kind ${JSON.stringify(shown)} are not known here: a newer version may`);
  }
  const checks: Readonly<Record<string, Check>> = grammar[kind as Entry["kind"]];
  for (const name of Object.keys(fields)) {
    if (Object.hasOwn(checks, name) || ["seq", "at", "kind", "used"].includes(name)) continue;
    throw refuseLine(line, `${kind} has a field that is not known here, ${JSON.stringify(name.slice(0, 80))}`);
  }
  for (const [name, isFit] of Object.entries(checks)) {
    if (name === "result" && fields["sensitive"] === true && typeof fields[name] === "string") continue;
    if (!isFit(fields[name])) throw refuseLine(line, `its field ${name} is missing, or is none that ${kind} has`);
  }
}

function checkCreated({ id, workflow, version }: EntryOf<"run.created">, manifest: Manifest): void {
  const said = [manifest.run, manifest.workflow, manifest.workflowVersion];
  if (id !== said[0] || workflow !== said[1]) throw new Error("line 1 tells of another run, or of another workflow");
  if (version === "" || version.length > 256) throw new Error("its version is none");
}

const instants = new Set(["at", "startAt", "notAfter", "retryAt", "startedAt", "until", "wakeAt", "shiftMs"]);

const names = new Set(["step", "name", "call", "update", "patch", "lane", "version"]);

/** What is wrong with the field, beyond the check of its kind; null where nothing is. */
function problemOf(name: string, value: unknown, entry: Entry): string | null {
  if (value === null) return null;
  if (isValueField(name)) return problemOfValue(value);
  if (instants.has(name)) return isInstant(value) ? null : "is no time";
  if (names.has(name)) return word(value) && value !== "" ? null : "is no name";
  if (name === "omitted")
    return entry.kind === "step.completed" && entry.result === undefinedValue ? null : "stands beside a result";
  if (name === "url" || name === "notify") return [value].flat().every(isWebUrl) ? null : "is no address of the web";
  if (name === "trace") return parseTrace(String(value)) === null ? "is no traceparent" : null;
  const shape = Object.hasOwn(shapes, name) ? shapes[name] : undefined;
  if (shape !== undefined) return shape(value) ? null : "has a part that is none of its";
  return typeof value === "object" && !Array.isArray(value) ? "is an object, which it never is" : null;
}

/** A stored value has to be one that can be read and written. */
function problemOfValue(value: unknown): string | null {
  try {
    if (hasHugeNumber(value as Stored)) return `has a number of more than ${group(maxDigits)} digits`;
    encode(decode(value as Stored), "the value");
    return null;
  } catch (error) {
    return `is no stored value: ${error instanceof HoldfastError ? error.message : "it cannot be read"}`;
  }
}

/** Looked for before the value is read: such a number takes seconds to read, and at every look at the run to write. */
function hasHugeNumber(value: Stored): boolean {
  if (value.length <= maxDigits) return false;
  const parts = JSON.parse(value) as unknown;
  const isHuge = (part: unknown): boolean =>
    Array.isArray(part) && part[0] === "BigInt" && String(part[1]).length > maxDigits;
  return Array.isArray(parts) && parts.some(isHuge);
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function isInstant(value: unknown): boolean {
  return typeof value === "number" && value >= 0 && value <= lastAt;
}

function isWebUrl(value: unknown): boolean {
  return typeof value === "string" && URL.canParse(value) && /^https?:$/.test(new URL(value).protocol);
}

/** Half a surrogate pair would fail wherever the text becomes a part of an address. */
const word: Check = (value) => typeof value === "string" && value.length <= maxText && value.isWellFormed();
const count: Check = (value) => typeof value === "number" && Number.isFinite(value) && value >= 0;
const stored: Check = (value) => typeof value === "string" && problemOfValue(value) === null;

/** An object with these fields and no others. */
const exactly =
  (checks: Readonly<Record<string, Check>>): Check =>
  (value) =>
    isRecord(value) &&
    Object.keys(value).every((name) => Object.hasOwn(checks, name)) &&
    Object.entries(checks).every(([name, isFit]) => isFit(value[name]));

const runId: Check = (value) => passes(() => checkRunId(value));
const link = exactly({ id: runId, workflow: (value) => passes(() => checkName(value, "workflow")) });
const tally = exactly({ completed: count, failed: count, failedAttempts: count, ms: count });

function errorWithin(depth: number): Check {
  const inner: Check = (value) => depth > 0 && errorWithin(depth - 1)(value);
  return exactly({
    ...{
      name: text,
      message: text,
      code: maybe(word),
      step: maybe(word),
      attempts: maybe(count),
      stack: maybe(text),
    },
    ...{ cause: maybe(inner), errors: maybe(listOf(inner)), index: maybe(count), child: maybe(word) },
    ...{ undone: maybe(listOf(word)), notUndone: maybe(listOf(exactly({ step: word, message: text }))) },
  });
}

const error = errorWithin(maxErrors);
const updateEnd: Check = (value) =>
  exactly({ kind: (kind) => kind === "completed", result: stored })(value) ||
  exactly({ kind: (kind) => kind === "failed", error })(value);

/** Checks of fields that hold objects or lists. `lanes`, `claims` and `reply` belong to their deployment, and are dropped. */
const shapes: Readonly<Record<string, Check>> = {
  labels,
  parent: link,
  child: link,
  schedule: exactly({ id: word, at: isInstant }),
  fork: exactly({ id: runId, step: orNull(word), upTo: count, reason: orNull(text), print: maybe(word) }),
  continuation: exactly({
    ...{ count, createdAt: isInstant, keys: listOf(exactly({ key: word, name: word, payload: stored })) },
    updates: maybe(listOf(exactly({ key: word, id: word, name: word, sent: stored, end: updateEnd }))),
    debounced: maybe(listOf(word)),
    actions: maybe(listOf(exactly({ key: word, kind: word, reason: orNull(text), url: maybe(isWebUrl) }))),
    tallies: maybe(listOf((value) => Array.isArray(value) && value.length === 2 && word(value[0]) && tally(value[1]))),
    labels: maybe(labels),
    restarted: maybe(exactly({ step: orNull(word), upTo: count })),
  }),
  retention: exactly({ completedMs: maybe(count), failedMs: maybe(count) }),
  from: exactly({ id: runId, digest: word }),
  used: exactly({ rowsWritten: count, requests: count, awakeMs: count, bytesStored: count }),
  error,
  ...{ reply: object, lanes: listOf(object), claims: listOf(word) },
  calls: listOf(exactly({ call: word, id: word })),
  ...{ steps: listOf(word), cleared: listOf(word), awaited: listOf(word) },
};

function labels(value: unknown): boolean {
  return isRecord(value) && !Object.hasOwn(value, "__proto__") && Object.entries(value).flat().every(word);
}

function passes(check: () => unknown): boolean {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}
