/**
 * Owns: whom a call is for, where an object is not called as its runs are: one that stands for a key has had several,
 * each with an id of its own. Who calls says so behind the arguments; the object refuses what is for another.
 * Does not own: which object that is (address), which ids those are (core/key).
 * Invariant 1: a run that is called as its object is, which most are, takes no notice of any of this.
 */
import { HoldfastError } from "../core/error.ts";
import { isMeant, objectName } from "../core/key.ts";
import { isRecord } from "../core/record.ts";
import { answer } from "./answer.ts";
import type { HolderRpc } from "./rpc/lane.ts";
import type { Callee, RunRpc } from "./rpc/run.ts";

/** What of it a request says, which has no arguments. */
export const calleeHeader = "holdfast-callee";

/** They say it in what they ask, or mean whichever run is there. */
const unaddressed: ReadonlySet<string | symbol> = new Set<keyof RunRpc | keyof HolderRpc>([
  "start",
  "repeat",
  "recall",
  "remember",
  "arrive",
  "hook",
  "lookAtHook",
  "rekey",
  "died",
  "fetch",
]);

/** The stub of the object that answers for the id, of which each call is for that run. */
export function addressed<Rpc extends object>(object: Rpc, id: string): Rpc {
  if (objectName(id) === id) return object;
  const callee: Callee = { callee: id };
  return new Proxy(object, {
    get(target, name) {
      const call = Reflect.get(target, name) as unknown;
      if (typeof call !== "function") return call;
      const more = unaddressed.has(name) ? [] : [callee];
      return (...args: unknown[]): unknown => Reflect.apply(call, target, [...args, ...more]);
    },
  });
}

/**
 * Has every method of the object refuse what is for another run than the one that is there, but those that `act`.
 * @param ownId of the run; undefined where there is none, or nobody can tell
 */
export function refuseOthers<Called extends object>(
  prototype: Called,
  ownId: (object: Called) => string | undefined,
): void {
  for (const [name, { value, ...property }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
    if (name === "constructor" || name === "act" || typeof value !== "function") continue;
    const method = value as (...args: unknown[]) => unknown;
    const checked = function (this: Called, ...args: unknown[]): unknown {
      const callee = calleeOf(args);
      if (callee === undefined) return method.apply(this, args);
      if (isOther(callee, ownId(this))) return answer(() => Promise.reject(noRun()));
      return method.apply(this, args.slice(0, -1));
    };
    Object.defineProperty(prototype, name, { ...property, value: checked });
  }
}

/** @param own the run that is there; undefined where none is, or nobody can tell */
export function isOther(callee: string, own: string | undefined): boolean {
  return own !== undefined && !isMeant(callee, own);
}

export function noRun(): HoldfastError {
  return new HoldfastError("run_not_found", "no run has this id");
}

function calleeOf(args: readonly unknown[]): string | undefined {
  const last = args.at(-1);
  return isRecord(last) && typeof last["callee"] === "string" ? last["callee"] : undefined;
}
