/** The payload of a signal: what it may be, and what a workflow's own schema makes of it. */
import type { Definition } from "./definition.ts";
import { HoldfastError } from "./error.ts";
import { checkName } from "./name.ts";
import { isRecord } from "./record.ts";
import { validate } from "./schema.ts";
import type { Schema } from "./schema.ts";
import type { SignalRequest } from "./service.ts";
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
  const fitted = takePayload(schema, decode(payload), what);
  return fitted instanceof Promise ? fitted.then((value) => encode(value, what)) : encode(fitted, what);
}

/**
 * What a schema makes of a payload. An empty one is seen as `{}`, and as nothing where the schema takes that alone.
 * @throws HoldfastError signal_invalid
 */
export function takePayload(schema: Schema, payload: unknown, what: string): unknown {
  const take = (value: unknown): unknown => validate(schema, value, "signal_invalid", what);
  if (!isEmpty(payload)) return take(payload);
  const takeNothing = (refusal: unknown): unknown => {
    const refuse = (): never => {
      throw refusal;
    };
    return orElse(() => take(undefined), refuse);
  };
  return orElse(() => take(payload), takeNothing);
}

/** As one that was sent without anything is on record. */
function isEmpty(payload: unknown): boolean {
  const isPlain = isRecord(payload) && Object.getPrototypeOf(payload) === Object.prototype;
  return isPlain && Object.keys(payload).length === 0;
}

function orElse(make: () => unknown, other: (error: unknown) => unknown): unknown {
  try {
    const made = make();
    return made instanceof Promise ? made.catch(other) : made;
  } catch (error) {
    return other(error);
  }
}

/** A signal with the payload that is delivered; `sent` is what came in, where that must be known when it is repeated. */
export type FittedSignal = SignalRequest & { readonly sent?: Stored };

export function refit(signal: SignalRequest, payload: Stored): FittedSignal {
  const sent = signal.key === undefined || payload === signal.payload ? {} : { sent: signal.payload };
  return { ...signal, payload, ...sent };
}

/** @throws HoldfastError name_invalid, signal_invalid */
export function checkSignal(signal: SignalRequest): SignalRequest {
  checkName(signal.name, "signal");
  const payload = decode(signal.payload);
  if (payload === null) throw new HoldfastError("signal_invalid", "the payload of a signal cannot be null");
  return payload === undefined ? { ...signal, payload: encode({}, "the payload") } : signal;
}
