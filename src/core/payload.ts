/** What a workflow's own schema makes of the payload of a signal. */
import type { Definition } from "./definition.ts";
import { validate } from "./schema.ts";
import { decode, encode } from "./value.ts";
import type { Stored } from "./value.ts";

/** The payload as it is where the workflow has no schema for the name. @throws HoldfastError signal_invalid */
export function fitPayload(
  definition: Pick<Definition, "signals"> | undefined,
  name: string,
  payload: Stored,
): Stored | Promise<Stored> {
  const signals = definition?.signals ?? {};
  const schema = Object.hasOwn(signals, name) ? signals[name] : undefined;
  if (schema === undefined) return payload;
  const what = `the payload of signal ${name}`;
  const fitted = validate(schema, decode(payload), "signal_invalid", what);
  return fitted instanceof Promise ? fitted.then((value) => encode(value, what)) : encode(fitted, what);
}
