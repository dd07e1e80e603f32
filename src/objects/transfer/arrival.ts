/**
 * Owns: importing a run from the text that another deployment exported: reading it, having it validated, and the entries that
 * are recorded.
 * Does not own: validating entries (core/transfer/inspection), what is changed for this deployment (core/transfer), writing (memory).
 *
 * Invariants
 * 1. Everything is validated before anything is written; a refused run leaves nothing behind.
 * 2. To save memory, the text is kept as bytes and parsed twice, line by line.
 */
import { authorOf } from "../../core/author.ts";
import { toHex } from "../../core/bytes.ts";
import { Inspection, unseal } from "../../core/transfer/inspection.ts";
import type { Open } from "../../core/transfer/inspection.ts";
import { describeMs } from "../../core/duration.ts";
import type { Entry, EntryOf, Fact } from "../../core/history/entry.ts";
import { limitsOf } from "../../core/lane/flow.ts";
import { isBuiltIn } from "../../core/name.ts";
import { checkTextLength, readManifest, readObject, readTrailer, refuseLine } from "../../core/transfer/manifest.ts";
import type { Manifest, Trailer } from "../../core/transfer/manifest.ts";
import { arriving } from "../../core/transfer/transfer.ts";
import type { Placement } from "../../core/transfer/transfer.ts";
import { openCalls } from "../../core/state/state.ts";
import type { RunState } from "../../core/state/state.ts";
import { retentionOf } from "../../engine/drive.ts";
import type { Find } from "../../engine/drive.ts";
import { transferVault } from "../deployment/keys.ts";
import type { Arrival } from "../rpc/run.ts";
import { hookUrl } from "../webhook/token.ts";

const newline = 10;
/** The length of a commit: large enough for far fewer rows than entries, small enough to avoid large rows. */
const commitLength = 50_000;

/** An entry as it is stored here, with the length of its line. */
type Placed = { readonly entry: Entry; readonly length: number };

/** A validated run. */
export type Arrived = {
  /** The id that it had, and the digest of the text. */
  readonly from: EntryOf<"run.imported">["from"];
  /** Its own entries as they are stored here; each call parses them again. */
  readonly entries: () => Iterable<Placed>;
  /** The entries that are added after these. */
  readonly added: readonly Entry[];
  readonly placement: Placement;
  readonly state: RunState;
};

/**
 * @param refuse throws, before anything is read, if no run can be imported here
 * @throws HoldfastError import_invalid, value_too_large, key_missing, webhook_unavailable
 */
export async function receive(
  text: ReadableStream<Uint8Array>,
  request: Arrival,
  find: Find,
  refuse: () => void,
): Promise<Arrived> {
  refuse();
  const { manifest, trailer, lines, entries: sent } = await read(text);
  const { workflow } = manifest;
  if (isBuiltIn(workflow))
    throw refuseLine(1, `${workflow} is built in, and acted on another deployment: leave it out`);
  const open = opener(manifest);
  const inspection = new Inspection(manifest, Date.now(), open);
  for (const { text: entry, line } of sent()) inspection.admit(entry, line);
  inspection.finish(trailer, lines);
  const { state } = inspection;
  const { creation: created } = state;
  refuseExpired(state, retentionOf(find, created, state.end));
  const { id, shards, origin } = request;
  // One that goes on here is limited as this deployment's code says.
  const definition = state.end === null ? find(created.workflow, created.version) : undefined;
  const lanes = definition === undefined ? [] : limitsOf(definition, created.input).lanes;
  const placement = { id, shards, origin, lanes };
  const from = { id: manifest.run, digest: trailer.sha256 };
  const added = await additions(state, placement, request, from);
  const entries = function* (): Generator<Placed> {
    for (const { text, line } of sent()) {
      const entry = unseal(readObject(text, line) as unknown as Entry, open);
      yield { entry: arriving(entry, placement), length: text.length };
    }
  };
  return { from, entries, added, placement, state };
}

/** The history, with the added entries, in commits. */
export function* commitsOf({ entries, added }: Arrived): Generator<readonly Entry[]> {
  let commit: Entry[] = [];
  let size = 0;
  for (const { entry, length } of entries()) {
    commit.push(entry);
    size += length;
    if (size < commitLength) continue;
    yield commit;
    commit = [];
    size = 0;
  }
  yield [...commit, ...added];
}

/**
 * Whether this run was imported here before, from the same text or another one of the same history. Each export encrypts
 * results of sensitive steps differently, so decrypted entries are compared.
 * @param kept the journal here, which may have grown since
 */
export function isTheSame(arrived: Arrived, { imported }: RunState, kept: Iterable<Entry>): boolean {
  if (imported === null) return false;
  const { from, added, placement, state, entries } = arrived;
  if (imported.from.digest === from.digest) return true;
  if (imported.from.id !== from.id || imported.seq !== state.seq + added.length) return false;
  const text = (entry: Entry): string => JSON.stringify(arriving(entry, placement));
  const own = entries()[Symbol.iterator]();
  for (const entry of kept) {
    const { done, value } = own.next();
    if (done === true) return true;
    // Fields that depend on this deployment may differ, so both are compared with the present ones.
    if (text(entry) !== text(value.entry)) return false;
  }
  return false;
}

function opener({ run, workflow }: Manifest): Open {
  const vault = transferVault();
  return (sealed, entry) => vault.open(sealed, placeOf({ id: run, workflow }, entry));
}

/** Binds the encrypted result of a sensitive step to its place, so that it cannot be given to a step that would reveal it. */
export function placeOf(
  { id, workflow }: Pick<EntryOf<"run.created">, "id" | "workflow">,
  { seq, step }: EntryOf<"step.completed">,
): string {
  return `entry ${seq}, of step ${JSON.stringify(step)}, of run ${id} of ${JSON.stringify(workflow)},`;
}

/** The retention counts from the end of the run, also if that was in another deployment. */
function refuseExpired({ end }: RunState, retentionMs: number): void {
  const ageMs = end === null ? 0 : Date.now() - end.at;
  if (ageMs <= retentionMs) return;
  const kept = `such a run is kept for ${describeMs(retentionMs)} here: it would be gone at once`;
  throw refuseLine(1, `the run ended ${describeMs(ageMs)} ago, and ${kept}`);
}

/** The entries to add after the history: new addresses of webhooks, and the import itself. */
async function additions(
  state: RunState,
  { id, origin }: Placement,
  request: Arrival,
  from: EntryOf<"run.imported">["from"],
): Promise<Entry[]> {
  const facts: Fact[] = [];
  const { reason } = request;
  const runAt = state.creation.at;
  for (const call of state.end === null ? openCalls(state) : []) {
    if (call.kind !== "webhook" || call.url === null) continue;
    const generation = call.generation + 1;
    const url = await hookUrl({ id, at: runAt, origin }, call.id, generation);
    const why = "the run was imported, and its addresses are those of another deployment";
    facts.push({
      kind: "webhook.revoked",
      name: call.name,
      call: call.id,
      url,
      generation,
      ...authorOf(request),
      reason: why,
    });
  }
  facts.push({ kind: "run.imported", from, ...authorOf(request), reason });
  const at = Math.max(Date.now(), state.at);
  return facts.map((fact, index) => ({ ...fact, seq: state.seq + 1 + index, at }));
}

/** The complete text, of which only the bytes are kept; each call of `entries` parses them again. */
type Received = {
  readonly manifest: Manifest;
  readonly trailer: Trailer;
  /** The number of lines. */
  readonly lines: number;
  readonly entries: () => Iterable<{ readonly text: string; readonly line: number }>;
};

async function read(text: ReadableStream<Uint8Array>): Promise<Received> {
  const chunks = await readAll(text);
  let lines = 0;
  let first = "";
  let last = "";
  for (const line of linesOf(chunks)) {
    lines++;
    if (lines === 1) first = line;
    last = line;
  }
  const manifest = readManifest(first);
  const trailer = readTrailer(last, lines);
  const before = lengthOf(chunks) - new TextEncoder().encode(last).length - 1;
  if ((await digestOf(chunks, before)) !== trailer.sha256) {
    throw refuseLine(lines, "its sha256 is not that of the lines before it: one of them was changed");
  }
  const entries = function* (): ReturnType<Received["entries"]> {
    let line = 0;
    for (const entry of linesOf(chunks)) {
      line++;
      if (line > 1 && line < lines) yield { text: entry, line };
    }
  };
  return { manifest, trailer, lines, entries };
}

async function readAll(text: ReadableStream<Uint8Array>): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of text) {
    length += chunk.length;
    checkTextLength(length);
    chunks.push(chunk);
  }
  return chunks;
}

function lengthOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((length, chunk) => length + chunk.length, 0);
}

/** The lines, without line feeds. @throws HoldfastError import_invalid */
function* linesOf(chunks: readonly Uint8Array[]): Generator<string> {
  let parts: Uint8Array[] = [];
  let line = 1;
  for (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, from)) {
      yield decodeLine([...parts, chunk.subarray(from, end)], line++);
      parts = [];
      from = end + 1;
    }
    parts.push(chunk.subarray(from));
  }
  if (lengthOf(parts) > 0) throw refuseLine(line, "the text ends within it: a part of it is missing");
}

function decodeLine(parts: readonly Uint8Array[], line: number): string {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    return parts.map((part) => decoder.decode(part, { stream: true })).join("") + decoder.decode();
  } catch {
    throw refuseLine(line, "it is not UTF-8 text");
  }
}

async function digestOf(chunks: readonly Uint8Array[], length: number): Promise<string> {
  const digest = new crypto.DigestStream("SHA-256");
  const writer = digest.getWriter();
  let left = length;
  for (const chunk of chunks) {
    if (left <= 0) break;
    await writer.write(chunk.subarray(0, left));
    left -= chunk.length;
  }
  await writer.close();
  return toHex(new Uint8Array(await digest.digest));
}
