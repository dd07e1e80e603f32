/**
 * Owns: how a refusal is returned between objects: as an answer, because RPC does not preserve classes of errors.
 * Does not own: the refusals (core/error), the methods of objects (rpc/).
 *
 * Requests and answers are plain data whose fields are only added to, never changed, so that a Worker and an object of
 * successive deployments understand each other.
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

/** The result of the function, or its HoldfastError as a refusal. Other errors are rethrown. */
export async function answer<Value>(ask: () => Value | Promise<Value>): Promise<Answer<Value>> {
  try {
    return { ok: true, value: await ask() };
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    const { code, message, issues, retryAfterMs } = error;
    return { ok: false, refusal: { code, message, ...defined({ issues, retryAfterMs }) } };
  }
}

/** The same for a request that is answered with nothing. */
export async function acknowledge(act: () => void | Promise<void>): Promise<Answer<null>> {
  return await answer(async () => {
    await act();
    return null;
  });
}

/** Returns the value. @throws HoldfastError if the answer is a refusal */
export function unwrap<Value>(answered: Answer<Value>): Value {
  if (answered.ok) return answered.value;
  const { code, message, ...details } = answered.refusal;
  throw new HoldfastError(code, message, details);
}
