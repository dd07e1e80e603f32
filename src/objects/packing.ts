/**
 * Owns: passing a run with large values through calls between objects, which are limited to 32 MiB.
 * Does not own: the limit of a value (core/size).
 */
import type { RunSnapshot } from "../core/run/run.ts";
import { runObject } from "./address.ts";
import { unwrap } from "./answer.ts";
import { answered } from "./directory/lag.ts";
import type { PackedRun, ValueField } from "./rpc/run.ts";

/** The limit of characters in one call; a character has one or two bytes. */
const maxTogether = 8_000_000;

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
