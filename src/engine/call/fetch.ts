/**
 * Owns: the plan of `step.fetch`: checks its arguments and describes the request.
 * Does not own: having it made (orders), making it (whoever provides the couriers).
 */
import { describeMs } from "../../core/duration.ts";
import { longestOrderMs } from "../../core/courier/order.ts";
import { readRequest } from "../../core/courier/request.ts";
import type { FetchOptions, RunOptions } from "../../core/definition/options.ts";
import type { RunPlan } from "./call.ts";
import { checkOptions, refused } from "../../core/option.ts";

/** The function of a step that is a request: it is never called. */
export function elsewhere(): never {
  throw new Error("a request is made by a courier");
}

/**
 * @param describe the step that the options make
 * @throws HoldfastError options_invalid, duration_invalid, value_too_large
 */
export function fetchPlan(
  name: unknown,
  target: unknown,
  options: FetchOptions = {},
  describe: (options: RunOptions) => RunPlan,
): RunPlan {
  const what = `step ${String(name)}`;
  checkOptions(options, ["retry", "timeout", "undo", "undoPolicy", "onExhausted", "sensitive", "acceptStatus"], what);
  const { acceptStatus = [], ...rest } = options;
  if (!Array.isArray(acceptStatus) || !acceptStatus.every(isStatus))
    throw refused(what, "acceptStatus", "must be a list of statuses, such as [404]");
  const plan = describe(rest);
  if (plan.timeoutMs > longestOrderMs) {
    const longest = `must be ${describeMs(longestOrderMs)} at most`;
    throw refused(what, "timeout", `${longest}: what takes longer may call a webhook of the run once it is done`);
  }
  return { ...plan, request: readRequest(target, [...acceptStatus], what) };
}

function isStatus(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 200 && Number(value) <= 599;
}
