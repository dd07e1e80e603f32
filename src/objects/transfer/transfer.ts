/**
 * Owns: the Worker's part in transferring runs between deployments as text: exporting a text page by page, and passing an
 * imported one to the object of its run.
 * Does not own: the format (core/transfer/manifest), what is transferred (core/transfer), the import (arrival).
 * Invariant 1: the Worker never has a whole text in memory.
 */
import { authorOf } from "../../core/author.ts";
import { joinBytes, readUtf8, toHex } from "../../core/bytes.ts";
import { objectName } from "../../core/run/key.ts";
import { readManifest, refuseLine } from "../../core/transfer/manifest.ts";
import type { Manifest, Trailer } from "../../core/transfer/manifest.ts";
import { checkRunId } from "../../core/name.ts";
import type { Made } from "../../core/run/run.ts";
import type { ImportRequest } from "../../core/service/service.ts";
import { runObject, shardCount } from "../address.ts";
import { unwrap } from "../answer.ts";
import { nameOfKey } from "../deployment/digest.ts";
import { unpack } from "../packing.ts";
import { within } from "../patience.ts";
import type { Arrival, ExportPlan } from "../rpc/run.ts";

/** Above the length of any first line. */
const maxManifest = 65_536;
/** How much of a refused text is read, in bytes and in time. */
const maxDropped = 64 * 1024 * 1024;
const dropMs = 10_000;

/** @throws HoldfastError run_not_found, not_exportable */
export async function exportRun(id: string): Promise<ReadableStream<Uint8Array>> {
  const plan = unwrap(await runObject(checkRunId(id)).depart());
  const text = textOf(id, plan);
  const source: UnderlyingSource<Uint8Array> = {
    async pull(controller) {
      const { done, value } = await text.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    // Or the object would keep its page for a caller who has left.
    cancel: async () => void (await text.return(undefined)),
  };
  return new ReadableStream(source, { highWaterMark: 0 });
}

/** The text of a run, one page of its history after the other. The last line confirms that it is complete. */
async function* textOf(id: string, { manifest, createdAt, isSealed }: ExportPlan): AsyncGenerator<Uint8Array> {
  const digest = new crypto.DigestStream("SHA-256");
  const digesting = digest.getWriter();
  const digested = async (bytes: Uint8Array): Promise<Uint8Array> => {
    await digesting.write(bytes);
    return bytes;
  };
  yield await digested(lineOf(manifest));
  let entries = 0;
  for (let after = 0; after < manifest.seq;) {
    const page = unwrap(await runObject(id).lines({ createdAt, after, upTo: manifest.seq, isSealed }));
    for await (const bytes of page.text) yield await digested(bytes);
    after = page.last;
    entries += page.entries;
  }
  await digesting.close();
  yield lineOf({ entries, sha256: toHex(new Uint8Array(await digest.digest)) });
}

function lineOf(fields: Manifest | Trailer): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(fields)}\n`);
}

/**
 * @throws HoldfastError import_invalid, run_exists, id_invalid, value_too_large, key_missing, webhook_unavailable,
 * idempotency_conflict
 */
export async function importRun(
  text: ReadableStream<Uint8Array> | null,
  { id, key, origin, reason, ...author }: ImportRequest,
): Promise<Made> {
  if (id !== undefined) checkRunId(id);
  const reader = (text ?? new Blob().stream()).getReader();
  try {
    const asked = { shards: shardCount(), origin: origin ?? null, reason: reason ?? null, ...authorOf(author) };
    return await importFrom(reader, { id, key }, asked);
  } finally {
    await dropRest(reader);
  }
}

async function importFrom(
  reader: Reader,
  { id, key }: { readonly id: string | undefined; readonly key: string | undefined },
  asked: Omit<Arrival, "id">,
): Promise<Made> {
  const head = await readHead(reader);
  const manifest = readManifest(head.line);
  const target = id ?? manifest.run;
  const own = objectName(target);
  const name = key === undefined ? own : await nameOfKey(key);
  // The key is bound to one run, which knows the text that it was made from.
  const bound = name === own ? null : unwrap(await runObject(name).bind(target));
  const { readable, writable } = new IdentityTransformStream();
  const writer = writable.getWriter();
  // Fails if the object stops reading to refuse the text; then the answer has the reason.
  void send(writer, head.bytes, reader);
  try {
    const arrived = await runObject(target).arrive(readable, { id: target, ...asked });
    // The key may be used again, with the right text and another id, unless it was bound before.
    if (!arrived.ok && bound?.isNew === true) unwrap(await runObject(name).unbind(target));
    const { run, created } = unwrap(arrived);
    return { run: await unpack(run), created };
  } finally {
    void writer.abort().catch(() => undefined);
  }
}

type Reader = ReadableStreamDefaultReader<Uint8Array>;

/**
 * Reads the rest of a refused text, up to a limit, because a client that is cut off while sending does not get the answer.
 */
async function dropRest(reader: Reader): Promise<void> {
  const drop = async (): Promise<void> => {
    for (let dropped = 0; dropped < maxDropped;) {
      const { done, value } = await reader.read();
      if (done) return;
      dropped += value.length;
    }
  };
  await within(drop(), dropMs).catch(() => undefined);
  void reader.cancel().catch(() => undefined);
}

/** The first line, and all bytes that were read to find it. @throws HoldfastError import_invalid */
async function readHead(reader: Reader): Promise<{ readonly line: string; readonly bytes: Uint8Array }> {
  let bytes = new Uint8Array(0);
  for (;;) {
    const end = bytes.indexOf(10);
    if (end >= 0) return { line: decodeLine(bytes.subarray(0, end)), bytes };
    if (bytes.length > maxManifest) throw refuseLine(1, "it is longer than a first line is");
    const { done, value } = await reader.read();
    if (done) {
      throw refuseLine(1, bytes.length === 0 ? "there is nothing" : "the text ends within it");
    }
    bytes = joinBytes([bytes, value]);
  }
}

function decodeLine(bytes: Uint8Array): string {
  const text = readUtf8(bytes);
  if (text === null) throw refuseLine(1, "it is not UTF-8 text");
  return text;
}

async function send(writer: WritableStreamDefaultWriter<Uint8Array>, head: Uint8Array, reader: Reader): Promise<void> {
  try {
    await writer.write(head);
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      await writer.write(value);
    }
    await writer.close();
  } catch (error) {
    // The reader must not take an incomplete text for a complete one.
    await writer.abort(error).catch(() => undefined);
  }
}
