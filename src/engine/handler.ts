/**
 * Owns: calling a workflow's handler, from its input on record to its output in stored form.
 * Does not own: what its end means.
 */
import type { Definition } from "../core/definition/definition.ts";
import type { Step } from "../core/definition/step.ts";
import { decode, encode } from "../core/value/value.ts";
import type { Stored } from "../core/value/value.ts";
import type { Course } from "./turn/course.ts";
import type { Validations } from "./wait/validation.ts";

/**
 * Rejects with whatever the handler throws; output_invalid, value_uncloneable, value_too_large.
 * @throws HoldfastError journal_corrupt, journal_newer: the input on record cannot be read, and the handler is not called
 */
export function callHandler(definition: Definition, { state, validations }: Course, step: Step): Promise<Stored> {
  return call(definition, decode(state.creation.input), step, validations);
}

async function call(definition: Definition, input: unknown, step: Step, validations: Validations): Promise<Stored> {
  const handler = definition.handler as (input: unknown, step: Step) => unknown;
  const output = await validations.fit(definition.output, await handler(input, step), "output_invalid", "the output");
  return encode(output, "the output of the run");
}
