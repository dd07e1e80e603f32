/**
 * Owns: addressing calls to one run, in objects whose name is not the run's id: the object of a key may have several runs in
 * turn, with different ids. The caller appends the id to the arguments, and the object refuses calls for another run.
 * Does not own: which object that is (address), which ids those are (core/run/key).
 * Invariant 1: calls of runs whose id is the object's name, which most are, are not changed.
 */
import { HoldfastError } from "../core/error.ts";
import { isKeyName, isMeant, objectName } from "../core/run/key.ts";
import { isRecord } from "../core/record.ts";
import { answer } from "./answer.ts";
import { aroundCalls, aroundMethods } from "./interception.ts";
import type { HolderRpc } from "./rpc/lane.ts";
import type { Callee, RunRpc } from "./rpc/run.ts";

/** The header with the id, for HTTP requests to the object. */
export const calleeHeader = "holdfast-callee";

/** Methods whose requests contain the id, or that are for any run in the object. */
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

/** The stub, whose calls are addressed to the run with that id. */
export function addressed<Rpc extends object>(object: Rpc, id: string): Rpc {
  if (objectName(id) === id) return object;
  const callee: Callee = { callee: id };
  return aroundCalls(object, (make, args, name) => (unaddressed.has(name) ? make(...args) : make(...args, callee)));
}

/**
 * Makes every method of the object refuse calls for another run than its present one, except for those that `act`.
 * @param ownId of the present run; undefined if there is none, or it cannot be read
 */
export function refuseOthers<Called extends object>(
  prototype: Called,
  ownId: (object: Called) => string | undefined,
): void {
  aroundMethods(prototype, (object, make, args, name) => {
    const callee = name === "act" ? undefined : calleeOf(args);
    if (callee === undefined) return make(...args);
    if (isOther(callee, ownId(object))) return answer(() => Promise.reject(noRun(callee)));
    return make(...args.slice(0, -1));
  });
}

/** @param own the present run; undefined if there is none, or it cannot be read */
export function isOther(callee: string, own: string | undefined): boolean {
  return own !== undefined && !isMeant(callee, own);
}

/** @param id of the run, or the name of its object, which for one of a key says nothing to the caller */
export function noRun(id: string | undefined): HoldfastError {
  const shown = id === undefined || isKeyName(id) ? "this id" : `the id ${id}`;
  return new HoldfastError("run_not_found", `no run has ${shown}`);
}

function calleeOf(args: readonly unknown[]): string | undefined {
  const last = args.at(-1);
  return isRecord(last) && typeof last["callee"] === "string" ? last["callee"] : undefined;
}
