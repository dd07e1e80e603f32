/**
 * Owns: the plans of `step.invoke`, `step.start` and `step.signal`: checks their arguments and describes the work.
 * Does not own: doing it (children, attempts).
 */
import { toMs } from "../../core/duration.ts";
import type { ChildPolicy } from "../../core/run/origin.ts";
import { checkName, checkRunId } from "../../core/name.ts";
import type { AttemptContext, InvokeOptions } from "../../core/definition/options.ts";
import { encode } from "../../core/value/value.ts";
import type { ChildPlan } from "./call.ts";
import { checkOptions, isPlain, refused } from "../../core/option.ts";
import type { World } from "../world.ts";

const maxNameLength = 256;
const policies: readonly unknown[] = ["cancel", "terminate", "abandon"] satisfies ChildPolicy[];

/** The name of a workflow that is given by itself or by its name. @throws HoldfastError name_invalid */
export function workflowName(workflow: unknown): string {
  const named = typeof workflow === "object" && workflow !== null && "name" in workflow ? workflow.name : workflow;
  return checkName(named, "workflow");
}

/**
 * @param detached nobody waits for the child
 * @throws HoldfastError name_invalid, options_invalid, id_invalid, duration_invalid, value_uncloneable, value_too_large
 */
export function childPlan(workflow: unknown, input: unknown, options: InvokeOptions = {}, detached = false): ChildPlan {
  const name = workflowName(workflow);
  const what = `the ${detached ? "start" : "invocation"} of ${name}`;
  checkOptions(options, ["id", "labels", "onParentEnd", ...(detached ? [] : ["timeout"])], what);
  const { id, labels = {}, onParentEnd: policy = detached ? "abandon" : "cancel", timeout } = options;
  const timeoutMs = timeout === undefined ? null : toMs(timeout, `the timeout of ${what}`);
  if (!policies.includes(policy)) throw refused(what, "onParentEnd", 'must be "cancel", "terminate" or "abandon"');
  if (!isPlain(labels) || Object.values(labels).some((value) => typeof value !== "string"))
    throw refused(what, "labels", "must be an object whose values are text");
  return {
    kind: "child",
    workflow: name,
    input: encode(input, `the input of ${name}`),
    id: id === undefined ? null : checkRunId(id),
    labels: { ...labels },
    policy,
    timeoutMs,
    detached,
  };
}

/** A signal to another run, as the step that sends it. */
export type Sending = {
  /** The same signal to the same run has the same name in every replay. */
  readonly name: string;
  readonly fn: (context: AttemptContext) => Promise<void>;
};

/** @param from the id of the run that sends. @throws HoldfastError id_invalid, name_invalid, value_uncloneable, value_too_large */
export function sending(world: World, from: string, runId: unknown, name: unknown, payload: unknown): Sending {
  const to = checkRunId(runId);
  const signal = checkName(name, "signal");
  const stored = encode(payload, `the payload of signal ${signal}`);
  const request = { name: signal, payload: stored, by: `run ${from}` };
  return {
    name: stepName(signal, to),
    fn: async ({ idempotencyKey: key, traceparent: trace }) =>
      await world.children.signal(to, { ...request, key, trace }),
  };
}

/** Cut where it is too long for a name; calls of one name are told apart by their occurrence. */
function stepName(signal: string, to: string): string {
  const rest = `signal  to ${to}`;
  const characters = [...signal];
  const room = maxNameLength - rest.length;
  const shown = characters.length <= room ? signal : `${characters.slice(0, room - 1).join("")}…`;
  return `signal ${shown} to ${to}`;
}
