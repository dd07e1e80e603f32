/**
 * Owns: runs as texts that travel from one deployment to another, as far as the Worker has a part in it: putting a
 * text together page by page, and handing one that comes in to the object it is for.
 * Does not own: what a text is (core/manifest), what of a run may travel (core/transfer), taking it in (arrival).
 * Invariant 1: neither way is a text ever whole in the Worker's memory.
 */
import { authorOf } from "../core/author.ts";
import { joinBytes, toHex } from "../core/bytes.ts";
import { objectName } from "../core/key.ts";
import { readManifest, refuseLine } from "../core/manifest.ts";
import { checkRunId } from "../core/name.ts";
import type { Made } from "../core/run.ts";
import type { ImportRequest } from "../core/service.ts";
import { runObject, shardCount } from "./address.ts";
import { unwrap } from "./answer.ts";
import { nameOfKey } from "./digest.ts";
import { unpack } from "./parcel.ts";
import { within } from "./patience.ts";
import type { Arrival, Departure } from "./rpc/run.ts";

/** The first line is never as long. */
const maxManifest = 65_536;
/** Of a text that is refused: as many bytes as one may have, and how long. */
const maxDropped = 64 * 1024 * 1024;
const dropMs = 10_000;

/** @throws HoldfastError run_not_found, not_exportable */
export async function exportRun(id: string): Promise<ReadableStream<Uint8Array>> {
  const departure = unwrap(await runObject(checkRunId(id)).depart());
  return new ReadableStream<Uint8Array>(new ExportSource(id, departure), { highWaterMark: 0 });
}

/** The text of a run, made a page of its history at a time; the last line tells whether all of them came. */
class ExportSource {
  readonly #id: string;
  readonly #departure: Departure;
  readonly #digest = new crypto.DigestStream("SHA-256");
  readonly #digesting = this.#digest.getWriter();
  /** The `seq` of the newest entry that is on its way; null before the first line. */
  #last: number | null = null;
  #entries = 0;

  constructor(id: string, departure: Departure) {
    this.#id = id;
    this.#departure = departure;
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const { manifest, createdAt, isSealed } = this.#departure;
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
  // For one run and no other; which text made that run, it knows itself.
  const bound = name === own ? null : unwrap(await runObject(name).bind(target));
  const { readable, writable } = new IdentityTransformStream();
  const writer = writable.getWriter();
  // Fails where whoever takes it has read enough to refuse it, which is what the answer says.
  void send(writer, head.bytes, reader);
  try {
    const arrived = await runObject(target).arrive(readable, { id: target, ...asked });
    // The right text may come under this key yet, for another id; not where the key is of a run that came before.
    if (!arrived.ok && bound?.isNew === true) unwrap(await runObject(name).unbind(target));
    const { run, created } = unwrap(arrived);
    return { run: await unpack(run), created };
  } finally {
    void writer.abort().catch(() => undefined);
  }
}

type Reader = ReadableStreamDefaultReader<Uint8Array>;

/**
 * Reads what is left of a text that was refused, up to a bound: who is cut off while it sends is told by no
 * answer why.
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

/** The first line, and all that was read to find it. @throws HoldfastError import_invalid */
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
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw refuseLine(1, "it is not UTF-8 text");
  }
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
    // Whoever reads it must not take what there is for all there is.
    await writer.abort(error).catch(() => undefined);
  }
}
