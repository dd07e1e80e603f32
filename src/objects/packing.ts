/**
 * Owns: passing a run with large values through calls between objects, which are limited to 32 MiB.
 * Does not own: the limit of a value (core/size).
 */
import { HoldfastError } from "../core/error.ts";
import type { RunSnapshot } from "../core/run/run.ts";
import { group } from "../core/size.ts";
import { runObject } from "./address.ts";
import { unwrap } from "./answer.ts";
import { answered } from "./directory/lag.ts";
import type { PackedRun, ValueField } from "./rpc/run.ts";
import type { CheckedStart } from "./rpc/start.ts";

/** The limit of characters in one call; a character has one or two bytes. */
const maxTogether = 8_000_000;
/** What the values of a start may have together in its call, with room for the rest. */
const maxStartBytes = 31 * 1024 * 1024;

export function pack(run: RunSnapshot): PackedRun {
  const fields: readonly ValueField[] = ["input", "output", "progress"];
  if (fields.reduce((size, field) => size + (run[field]?.length ?? 0), 0) <= maxTogether) return { ...run, apart: [] };
  const apart = fields.filter((field) => run[field] !== null);
  return { ...run, input: null, output: null, progress: null, apart };
}

export async function unpack({ apart, ...run }: PackedRun): Promise<RunSnapshot> {
  answered(run.finishedAt);
  const whole: Record<string, unknown> = run;
  for (const field of apart) whole[field] = unwrap(await runObject(run.id).value(field));
  return run as RunSnapshot;
}

/** @throws HoldfastError value_too_large: the values of the start do not fit into one call, or into an answer with the entry */
export function checkCarriable({ input, sent, signal, fork }: CheckedStart): void {
  const texts = [input, sent ?? "", signal?.payload ?? "", signal?.fitted ?? "", ...(fork?.results.values() ?? [])];
  // Most are far smaller, so that their letters do not matter.
  if (texts.reduce((sum, { length }) => sum + 2 * length, 0) <= maxStartBytes) return;
  const bytes = texts.reduce((sum, text) => sum + (/[\u0100-\uffff]/.test(text) ? 2 : 1) * text.length, 0);
  if (bytes <= maxStartBytes) return;
  const what = "the values of a start, as they were sent and as their schemas make them, have";
  throw new HoldfastError(
    "value_too_large",
    `${what} ${group(bytes)} bytes in memory; ${group(maxStartBytes)} are allowed`,
  );
}
