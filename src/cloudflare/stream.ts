/**
 * Owns: streams as results of steps: their bytes are recorded, and callers get a new stream of these bytes.
 * Does not own: how values are stored and how large they may be (core/value).
 */
import { bytesOf, joinBytes } from "../core/bytes.ts";
import { HoldfastError } from "../core/error.ts";
import { maxValueBytes } from "../core/size.ts";
import type { AttemptContext } from "../core/definition/options.ts";
import { isThenable } from "../core/thenable.ts";

/** The recorded value is a map with this one key and the bytes. */
const mark = "holdfast:ReadableStream";

/** The value to record for the result of a step. */
export function toRecorded(given: unknown, name: string, context: AttemptContext): unknown {
  const record = (value: unknown): unknown => (value instanceof ReadableStream ? drain(value, name, context) : value);
  return isThenable(given) ? Promise.resolve(given).then(record) : record(given);
}

/** The result of a step, made from its recorded value. */
export function fromRecorded(recorded: unknown): unknown {
  const bytes: unknown = recorded instanceof Map && recorded.size === 1 ? recorded.get(mark) : undefined;
  // With a known length, which R2 needs.
  return bytes instanceof Uint8Array ? new Response(bytes as Uint8Array<ArrayBuffer>).body : recorded;
}

async function drain(stream: ReadableStream, name: string, { signal }: AttemptContext): Promise<unknown> {
  const refuse = (why: string) =>
    new HoldfastError("value_uncloneable", `the stream of step ${name} cannot be kept: ${why}`);
  if (stream.locked) throw refuse("it is locked by another reader");
  const reader: ReadableStreamDefaultReader<unknown> = stream.getReader();
  const stop = (): void => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", stop, { once: true });
  try {
    // The attempt may have timed out before the function returned the stream.
    signal.throwIfAborted();
    const bytes: Uint8Array[] = [];
    for (let size = 0; ;) {
      const { done, value } = await reader.read();
      // A stream that was cancelled ends as if it were complete.
      signal.throwIfAborted();
      if (done) return new Map([[mark, joinBytes(bytes)]]);
      const chunk = bytesOf(value);
      if (chunk === null) throw refuse("it has chunks that are not bytes");
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
