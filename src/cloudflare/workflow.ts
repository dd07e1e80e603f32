/**
 * Owns: converting a class that was written for Cloudflare Workflows to a workflow of Holdfast.
 * Does not own: what its steps do (step), the binding that callers use (binding).
 */
import { env } from "cloudflare:workers";
import type { WorkflowEvent, WorkflowStep } from "cloudflare:workers";
import type { Definition } from "../core/definition/definition.ts";
import { checkName } from "../core/name.ts";
import { fieldsOf, refused } from "../core/option.ts";
import { collectSchedules } from "../core/schedule/schedule.ts";
import type { Schema } from "../core/definition/schema.ts";
import type { RunInfo, Step } from "../core/definition/step.ts";
import { defineWorkflow } from "../objects/deployment/workflow.ts";
import type { PlainOptions, Workflow as Defined } from "../objects/deployment/workflow.ts";
import { Binding } from "./binding.ts";
import { defaultRetry } from "./config.ts";
import { WorkflowEntrypoint } from "./entrypoint.ts";
import { createStep } from "./step.ts";

/** A class for Cloudflare Workflows, with the types of its event and its output. */
type Entrypoint<Env, Params, Output> = new (
  ctx: ExecutionContext,
  env: Env,
) => {
  run(event: Readonly<WorkflowEvent<Params>>, step: WorkflowStep): Promise<Output>;
};

type NoSignals = Record<never, never>;

const ownOptions: readonly string[] = ["handler", "signals", "retries", "retry"];

/** The options of `defineWorkflow`, except for those that the class defines: handler, retries and events. */
export type MoveOptions<Params, Output> = Omit<
  PlainOptions<Params, Output, NoSignals>,
  "handler" | "input" | "signals" | "retries" | "retry"
> & {
  /** Validates the params. */
  readonly input?: Schema<unknown, Params>;
};

/** A workflow for `createWorker`, with an object that replaces the binding in the Worker's environment. */
export interface MovedWorkflow<Params, Output> extends Defined<Params, Output> {
  readonly binding: Workflow<Params>;
}

/**
 * A workflow of Holdfast that runs the class unchanged. `name` is recorded in its runs, and must not change later.
 * @throws HoldfastError options_invalid, name_invalid, duration_invalid, naming the option
 */
export function toWorkflow<Env, Params, Output>(
  name: string,
  Entry: Entrypoint<Env, Params, Output>,
  options: MoveOptions<Params, Output> = {},
): MovedWorkflow<Params, Output> {
  const what = `workflow ${checkName(name, "workflow")}`;
  if (typeof Entry !== "function" || !(Entry.prototype instanceof WorkflowEntrypoint))
    throw refused(what, "the class", "must be derived from WorkflowEntrypoint as holdfast/cloudflare has it");
  const said = Object.keys(fieldsOf(options, what)).find((option) => ownOptions.includes(option));
  if (said !== undefined) throw refused(what, said, "is no option here: the class says it itself");
  const handler = async (params: Params, step: Step): Promise<Output> => {
    const failure = { error: new Error("the run was ended from outside") as unknown };
    try {
      return await new Entry(context, env as Env).run(
        eventOf(defined.definition, params, step.info),
        createStep(step, failure),
      );
    } catch (error) {
      failure.error = error;
      throw error;
    }
  };
  const own = { ...options, handler, retry: defaultRetry } as unknown as PlainOptions<Params, Output, NoSignals>;
  const defined = defineWorkflow<Params, Output>(name, own);
  return { ...defined, binding: new Binding<Params>(defined.definition) };
}

/** The object of a run stays awake for the promises of `waitUntil`, so nothing else has to be done for them. */
const context = {
  waitUntil: (promise: Promise<unknown>) =>
    void Promise.resolve(promise).catch((error: unknown) => console.error(error)),
  passThroughOnException: () => {},
  props: {},
} as unknown as ExecutionContext;

function eventOf<Params>(definition: Definition, params: Params | undefined, info: RunInfo): WorkflowEvent<Params> {
  const { id, workflow, createdAt, schedule } = info;
  // A schedule that is not in the code has its rule in the scheduler only.
  const rule = schedule === null ? undefined : collectSchedules([definition]).find((each) => each.id === schedule.id);
  return {
    payload: params === undefined ? ({} as Params) : params,
    timestamp: new Date(createdAt),
    instanceId: id,
    workflowName: workflow,
    ...(schedule && rule ? { schedule: { cron: rule.cron, scheduledTime: schedule.at } } : {}),
  };
}
