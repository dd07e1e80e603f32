/**
 * Owns: telling a run's object that it died under a call, which only the caller's stub sees. What the call did may not be
 * on record, and the caller makes it again: perhaps the object dies of it again.
 * Does not own: what the object makes of it (host), repeating the call (its caller).
 */
import { within } from "./patience.ts";
import type { HolderRpc } from "./rpc/lane.ts";
import type { RunRpc } from "./rpc/run.ts";

/** Whoever made the call waits for this before it hears that it failed. */
const limitMs = 2000;

/** Calls that may set a handler going. Whoever merely looks at a run has nothing to tell. */
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

/** The object of a run, as far as it is told of its death. */
interface Mortal {
  died(): Promise<void>;
}

/** The object, of which a call that may set its handler going tells it if it fails. @param anew makes a stub that works: the one that failed stays broken */
export function witnessed<Rpc extends object>(object: Rpc, anew: () => Mortal): Rpc {
  return new Proxy(object, {
    get(target, name) {
      const call = Reflect.get(target, name) as unknown;
      if (typeof call !== "function") return call;
      if (!moving.has(name)) return (...args: unknown[]): unknown => Reflect.apply(call, target, args);
      return async (...args: unknown[]): Promise<unknown> => {
        try {
          return (await Reflect.apply(call, target, args)) as unknown;
        } catch (error) {
          // One that has too much to do already is left alone.
          if (!isOverloaded(error)) await within(anew().died(), limitMs).catch(() => {});
          throw error;
        }
      };
    },
  });
}

export function isOverloaded(error: unknown): boolean {
  return error instanceof Error && "overloaded" in error && error.overloaded === true;
}
