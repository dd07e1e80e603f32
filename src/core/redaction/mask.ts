/** What replaces values, errors and words of people that may not be shown. */
import type { StoredError } from "../error.ts";
import { defined } from "../record.ts";
import { outlineOf } from "../value/shape.ts";
import { decode, encodeShape } from "../value/value.ts";
import type { Stored } from "../value/value.ts";

/** Replaces words. */
export const hidden = "(hidden)";

export function shapeOf(stored: Stored): Stored {
  return encodeShape(outlineOf(decode(stored)));
}

export function shapeOrNull(stored: Stored | null): Stored | null {
  return stored === null ? null : shapeOf(stored);
}

export function redactError(error: StoredError): StoredError {
  const { name, code, step, attempts, index, child, cause, errors, undone, notUndone } = error;
  return {
    name,
    message: hidden,
    ...defined({ code, step, attempts, index, child }),
    ...defined({ cause: cause && redactError(cause), errors: errors?.map(redactError), undone }),
    ...defined({ notUndone: notUndone?.map(({ step: of }) => ({ step: of, message: hidden })) }),
  };
}

export function errorOrNull(error: StoredError | null): StoredError | null {
  return error === null ? null : redactError(error);
}

export function wordsOf<Words extends string | null>(words: Words): Words | typeof hidden {
  return words === null ? words : hidden;
}
