/**
 * Owns: where code runs that makes a call: in which branch of which race, or inside of which step or schema, where
 * no call is made.
 * Does not own: settling the race (race).
 *
 * What a branch calls belongs to it, also after it has awaited something, of ours or not: the runtime carries
 * the scope along with the code, as the proposal AsyncContext of TC39 describes it.
 */
import { HoldfastError } from "../../core/error.ts";
import { AsyncVariable } from "./variable.js";

export type Scope = {
  readonly parent: Scope | null;
  /** The run whose code it is, by its id. */
  readonly run: string | null;
  /** In words, the step whose function this is, or the schema: it makes no calls of its own. */
  readonly inside: string | null;
  /** The race was settled by another branch: what is called in here waits for nothing. */
  withdrawn: boolean;
};

const carried = new AsyncVariable<Scope>();
/** Set once any scope was opened in another. Before that there is only one, and looking it up would take longer than the rest of a call. */
let nested = false;

/** @param inside of what, where that makes no calls of its own */
export function openScope(parent: Scope, inside: string | null = null): Scope {
  nested = true;
  return { parent, run: parent.run, inside, withdrawn: false };
}

/** That of a whole handler. */
export function rootScope(run: string | null): Scope {
  return { parent: null, run, inside: null, withdrawn: false };
}

/** Calls the function, and whatever it leads to, in this scope. */
export function within<Result>(scope: Scope, act: () => Result): Result {
  return carried.run(scope, act);
}

/**
 * An async context that was captured: calls functions in it, so that they see what the runtime carried along there, the
 * author's own AsyncLocalStorage too. What the proposal calls AsyncContext.Snapshot.
 */
export type AsyncContext = <Result>(act: () => Result) => Result;

/** Captures the async context of whoever calls this; takes as long as a quick step. */
export function captureAsyncContext(): AsyncContext {
  return AsyncVariable.snapshot();
}

/** The scope of the caller; undefined outside of every handler. */
export function currentScope(): Scope | undefined {
  return nested ? carried.getStore() : undefined;
}

/** The run whose handler calls this; null inside of a step or schema, and outside of every handler. */
export function callingRun(): string | null {
  const scope = carried.getStore();
  return scope === undefined || insideOf(scope) !== null ? null : scope.run;
}

/** Inside of which step or schema this is; null outside of all. */
export function insideOf(scope: Scope): string | null {
  for (let each: Scope | null = scope; each !== null; each = each.parent) if (each.inside !== null) return each.inside;
  return null;
}

/** The handler that it is in, by its outermost scope. */
export function rootOf(scope: Scope): Scope {
  let root = scope;
  while (root.parent !== null) root = root.parent;
  return root;
}

/** It, or one it is in, was withdrawn. */
export function isWithdrawn(scope: Scope): boolean {
  for (let each: Scope | null = scope; each !== null; each = each.parent) if (each.withdrawn) return true;
  return false;
}

/**
 * Calls made inside of a step cannot go on record: a replay could not tell them from the handler's own. A queue that runs
 * the handler's callbacks from within a step looks the same here; the message says what to do about it.
 * @throws HoldfastError step_nested inside of a step or schema
 */
export function checkPlace(scope: Scope, name: string): void {
  const outer = insideOf(scope);
  if (outer === null) return;
  const what = `${name} was called inside of ${outer}: call it in the handler, outside of that`;
  const way = "if a queue shared with steps called it back, wrap the callback in AsyncLocalStorage.bind";
  throw new HoldfastError("step_nested", `${what}; ${way}`);
}
