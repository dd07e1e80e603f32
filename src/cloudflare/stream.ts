/**
 * Owns: the result of a step that is a stream: on record are its bytes, and what its caller is given is a stream of them.
 * Does not own: keeping them (core/value), whose limits are theirs.
 */
import { HoldfastError } from "../core/error.ts";
import { maxValueBytes } from "../core/size.ts";
import type { AttemptContext } from "../core/step.ts";

/** Under it, alone in a map, the bytes are kept. */
const mark = "holdfast:ReadableStream";

/** What is kept of what a step gives. */
export function toKept(given: unknown, name: string, context: AttemptContext): unknown {
  const keep = (value: unknown): unknown => (value instanceof ReadableStream ? drain(value, name, context) : value);
  return given instanceof Promise ? given.then(keep) : keep(given);
}

/** What a step gives, of what was kept. */
export function fromKept(kept: unknown): unknown {
  const bytes: unknown = kept instanceof Map && kept.size === 1 ? kept.get(mark) : undefined;
  // A body of a known length, as storage takes it.
  return bytes instanceof Uint8Array ? new Response(bytes as Uint8Array<ArrayBuffer>).body : kept;
}

async function drain(stream: ReadableStream, name: string, { signal }: AttemptContext): Promise<unknown> {
  const refuse = (why: string) =>
    new HoldfastError("value_uncloneable", `the stream of step ${name} cannot be kept: ${why}`);
  if (stream.locked) throw refuse("it is read by another already");
  const reader: ReadableStreamDefaultReader<unknown> = stream.getReader();
  const stop = (): void => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", stop, { once: true });
  try {
    const bytes: Uint8Array[] = [];
    for (let size = 0; ;) {
      const { done, value } = await reader.read();
      if (done) return new Map([[mark, joined(bytes, size)]]);
      const chunk = bytesOf(value);
      if (chunk === null) throw refuse("it has more in it than bytes");
      bytes.push(chunk);
      size += chunk.length;
      if (size > maxValueBytes)
        throw new HoldfastError("value_too_large", `the stream of step ${name} is too large to keep`);
    }
  } catch (error) {
    stop();
    throw error;
  }
}

function bytesOf(chunk: unknown): Uint8Array | null {
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  return ArrayBuffer.isView(chunk) ? new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength) : null;
}

function joined(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
