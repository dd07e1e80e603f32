/**
 * Owns: passing a run with large values through calls between objects, which are limited to 32 MiB.
 * Does not own: the limit of a value (core/size), and of several (core/value/capacity).
 */
import type { RunSnapshot } from "../core/run/run.ts";
import type { ForkRequest } from "../core/service/service.ts";
import { checkTogether } from "../core/value/capacity.ts";
import type { Stored } from "../core/value/value.ts";
import { runObject } from "./address.ts";
import { unwrap } from "./answer.ts";
import { answered } from "./directory/lag.ts";
import type { PackedRun, ValueField } from "./rpc/run.ts";

/** The limit of characters in one call; a character has one or two bytes. */
export const maxTogether = 8_000_000;

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

/** The values of a start, or of a fork, as they were sent and as their schemas make them. */
type Carried = {
  readonly input?: Stored;
  readonly sent?: Stored;
  readonly signal?: { readonly payload: Stored; readonly fitted?: Stored };
  readonly fork?: Pick<ForkRequest, "results">;
};

/** @throws HoldfastError value_too_large: the values of the start do not fit into one call, or into an answer with the entry */
export function checkCarriable({ input, sent, signal, fork }: Carried): void {
  const texts = [input, sent, signal?.payload, signal?.fitted, ...(fork?.results.values() ?? [])];
  const what = "the values of a start, as they were sent and as their schemas make them, have";
  checkTogether(
    texts.filter((text) => text !== undefined),
    what,
  );
}
