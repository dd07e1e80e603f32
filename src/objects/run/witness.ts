/**
 * Owns: reporting to a run's object that it died during a call, which only the caller's stub sees. The effect of the call may not
 * be recorded, and the object may die again when the call is repeated.
 * Does not own: the reaction of the object (host), repeating the call (its caller).
 */
import { aroundCalls } from "../interception.ts";
import { within } from "../patience.ts";
import type { HolderRpc } from "../rpc/lane.ts";
import type { RunRpc } from "../rpc/run.ts";

/** Short, because the caller waits for this before it gets the error. */
const limitMs = 2000;

/** Methods that may run the handler. Deaths during other calls are not reported. */
const moving: ReadonlySet<string | symbol> = new Set<keyof RunRpc | keyof HolderRpc>([
  "start",
  "repeat",
  "debounce",
  "debounced",
  "act",
  "restart",
  "restartFrom",
  "signal",
  "update",
  "hook",
  "childEnded",
  "orderEnded",
  "granted",
]);

/** Makes failed calls that may run the handler reported. @param anew makes a new stub, because the failed one stays broken */
export function reportingDeaths<Rpc extends object>(object: Rpc, anew: () => Pick<RunRpc, "died">): Rpc {
  const watched = async (call: () => unknown): Promise<unknown> => {
    try {
      return await call();
    } catch (error) {
      // An overloaded object gets no further call.
      if (!isOverloaded(error)) await within(anew().died(), limitMs).catch(() => {});
      throw error;
    }
  };
  return aroundCalls(object, (make, args, name) => {
    return moving.has(name) ? watched(() => make(...args)) : make(...args);
  });
}

export function isOverloaded(error: unknown): boolean {
  return error instanceof Error && "overloaded" in error && error.overloaded === true;
}
