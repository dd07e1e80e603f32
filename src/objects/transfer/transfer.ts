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
  return new ReadableStream<Uint8Array>(new ExportSource(id, plan), { highWaterMark: 0 });
}

/** Makes the text of a run, one page of its history at a time. The last line confirms that it is complete. */
class ExportSource {
  readonly #id: string;
  readonly #plan: ExportPlan;
  readonly #digest = new crypto.DigestStream("SHA-256");
  readonly #digesting = this.#digest.getWriter();
  /** The `seq` of the newest entry that was sent; null before the first line. */
  #last: number | null = null;
  #entries = 0;

  constructor(id: string, plan: ExportPlan) {
    this.#id = id;
    this.#plan = plan;
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const { manifest, createdAt, isSealed } = this.#plan;
    if (this.#last === null) {
      this.#last = 0;
      return await this.#send(controller, `${JSON.stringify(manifest)}\n`);
    }
    if (this.#last < manifest.seq) {
      const page = { createdAt, after: this.#last, upTo: manifest.seq, isSealed };
      const { text, last, entries } = unwrap(await runObject(this.#id).carry(page));
      this.#last = last;
      this.#entries += entries;
      return await this.#send(controller, text);
    }
    await this.#digesting.close();
    const sha256 = toHex(new Uint8Array(await this.#digest.digest));
    controller.enqueue(new TextEncoder().encode(`${JSON.stringify({ entries: this.#entries, sha256 })}\n`));
    controller.close();
  }

  async #send(controller: ReadableStreamDefaultController<Uint8Array>, text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    await this.#digesting.write(bytes);
    controller.enqueue(bytes);
  }
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
  const reader = text?.getReader();
  try {
    return await importFrom(
      reader,
      { id, key },
      {
        shards: shardCount(),
        origin: origin ?? null,
        reason: reason ?? null,
        ...authorOf(author),
      },
    );
  } finally {
    await dropRest(reader);
  }
}

async function importFrom(
  reader: Reader | undefined,
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
async function dropRest(reader: Reader | undefined): Promise<void> {
  const drop = async (): Promise<void> => {
    for (let dropped = 0; dropped < maxDropped;) {
      const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
      if (done || value === undefined) return;
      dropped += value.length;
    }
  };
  await within(drop(), dropMs).catch(() => undefined);
  void reader?.cancel().catch(() => undefined);
}

/** The first line, and all bytes that were read to find it. @throws HoldfastError import_invalid */
async function readHead(reader: Reader | undefined): Promise<{ readonly line: string; readonly bytes: Uint8Array }> {
  let bytes = new Uint8Array(0);
  for (;;) {
    const end = bytes.indexOf(10);
    if (end >= 0) return { line: decodeLine(bytes.subarray(0, end)), bytes };
    if (bytes.length > maxManifest) throw refuseLine(1, "it is longer than a first line is");
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
    if (done || value === undefined) {
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

async function send(
  writer: WritableStreamDefaultWriter<Uint8Array>,
  head: Uint8Array,
  reader: Reader | undefined,
): Promise<void> {
  try {
    await writer.write(head);
    for (;;) {
      const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
      if (done || value === undefined) break;
      await writer.write(value);
    }
    await writer.close();
  } catch (error) {
    // The reader must not take an incomplete text for a complete one.
    await writer.abort(error).catch(() => undefined);
  }
}
