/**
 * Owns: rejecting calls that cannot be made, and what becomes of a handler that goes on making them.
 * Does not own: why they cannot be made (step, calls).
 */
import type { Calls } from "./calls.ts";
import type { Renewal } from "../end/renewal.ts";
import type { Errors } from "../errors.ts";

type Caller = {
  readonly calls: Pick<Calls, "refuses">;
  readonly renewal: Pick<Renewal, "leave">;
  readonly errors: Errors;
};

/**
 * Makes the call, or rejects with why it cannot be made. A handler that catches that and calls again would let nothing else
 * happen, for ever: in the end the run fails with it, and the call stays pending.
 */
export function orRefuse(caller: Caller, call: () => Promise<unknown>): Promise<unknown> {
  try {
    return call();
  } catch (error) {
    if (caller.calls.refuses()) return Promise.reject(error);
    caller.renewal.leave({ kind: "run.failed", error: caller.errors.toRunError(error) });
    return new Promise(() => {});
  }
}
