/** The payload of a signal: its checks, and its validation by the workflow's schema. */
import type { Definition } from "./definition.ts";
import { HoldfastError } from "../error.ts";
import { checkName } from "../name.ts";
import { isRecord } from "../record.ts";
import { validate } from "./schema.ts";
import type { Schema } from "./schema.ts";
import type { SignalRequest } from "../service/service.ts";
import { checkTogether } from "../value/capacity.ts";
import { decode, encode } from "../value/value.ts";
import type { Stored } from "../value/value.ts";

/**
 * The payload validated by the workflow's schema for the name; unchanged where it has none.
 * @throws HoldfastError signal_invalid
 */
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
 * The schema's output for a payload. An empty payload is given to it as `{}`, and as undefined if it refuses that.
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

/** An empty object, which is also how a signal without payload is recorded. */
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

/** A signal with its validated payload; `sent` is the payload as it came, where a repeated signal is compared with it. */
export type FittedSignal = SignalRequest & { readonly sent?: Stored };

/** @throws HoldfastError value_too_large: the payload as it was sent and as it is do not fit into one entry */
export function refit(signal: SignalRequest, payload: Stored): FittedSignal {
  if (signal.key === undefined || payload === signal.payload) return { ...signal, payload };
  const what = `the payload of signal ${signal.name}, as it was sent and as its schema makes it, has`;
  checkTogether([signal.payload, payload], what);
  return { ...signal, payload, sent: signal.payload };
}

/** @throws HoldfastError name_invalid, signal_invalid */
export function checkSignal(signal: SignalRequest): SignalRequest {
  checkName(signal.name, "signal");
  const payload = decode(signal.payload);
  if (payload === null) throw new HoldfastError("signal_invalid", "the payload of a signal cannot be null");
  return payload === undefined ? { ...signal, payload: encode({}, "the payload") } : signal;
}
