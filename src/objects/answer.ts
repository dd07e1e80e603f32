/**
 * Owns: how a refusal crosses between objects: as an answer, because classes do not survive the wire.
 * Does not own: which refusals there are (core/error), what can be asked of which object (rpc/).
 *
 * Whatever is asked and answered there is plain data, so that a Worker and an object of neighbouring deployments
 * understand each other: fields are added, never changed.
 */
import type { ErrorCode } from "../core/code.ts";
import { HoldfastError } from "../core/error.ts";
import type { Issue } from "../core/error.ts";
import { defined } from "../core/record.ts";

export type Refusal = {
  readonly code: ErrorCode;
  readonly message: string;
  readonly issues?: readonly Issue[];
  readonly retryAfterMs?: number;
};

export type Answer<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly refusal: Refusal };

/** What the function returns, or its HoldfastError as a refusal. Anything else it throws is thrown on. */
export async function answer<Value>(ask: () => Value | Promise<Value>): Promise<Answer<Value>> {
  try {
    return { ok: true, value: await ask() };
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    const { code, message, issues, retryAfterMs } = error;
    return {
      ok: false,
      refusal: {
        code,
        message,
        ...defined({ issues, retryAfterMs }),
      },
    };
  }
}

/** @throws HoldfastError the refusal, if it is one */
export function unwrap<Value>(answered: Answer<Value>): Value {
  if (answered.ok) return answered.value;
  throw toError(answered.refusal);
}

function toError({ code, message, ...details }: Refusal): HoldfastError {
  return new HoldfastError(code, message, details);
}
