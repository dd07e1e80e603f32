/**
 * Owns: `rehearse`.
 * Does not own: the calls of the run after that (control).
 */
import { isWorkflow } from "../core/definition/definition.ts";
import { toInstant } from "../core/duration.ts";
import { labelsOf } from "../core/definition/label.ts";
import { checkRunId } from "../core/name.ts";
import { isPlain, mention } from "../core/option.ts";
import { validate } from "../core/definition/schema.ts";
import type { SignalTypes } from "../core/definition/step.ts";
import { decode, encode } from "../core/value/value.ts";
import type { Workflow } from "../objects/deployment/workflow.ts";
import { RehearsalError, checkKnown } from "./error.ts";
import { RehearsalControl } from "./control.ts";
import type { Rehearsal } from "./rehearsal.ts";
import { Script } from "./script.ts";
import type { RehearsalOptions, StandIns } from "./script.ts";
import { Stage } from "./stage.ts";

const defaultStartAt = Date.UTC(2026, 0, 5, 9);

/**
 * Starts a run of the workflow in memory, and advances it as far as possible without time passing.
 * @throws HoldfastError input_invalid, label_invalid, id_invalid, duration_invalid; RehearsalError
 */
export async function rehearse<Input, Output, Signals extends SignalTypes>(
  workflow: Workflow<Input, Output, Signals>,
  ...args: undefined extends Input
    ? [input?: Input, options?: RehearsalOptions]
    : [input: Input, options?: RehearsalOptions]
): Promise<Rehearsal<Output, Signals>> {
  const [given, options = {}] = args;
  if (!isWorkflow(workflow)) throw new RehearsalError("rehearse takes a workflow, as defineWorkflow makes it");
  const { definition } = workflow;
  checkOptions(options);
  const { id = "rehearsal", startAt = defaultStartAt, labels, schedule = null } = options;
  const { name, version } = definition;
  const what = `the input of ${name}`;
  const sent = encode(given, what);
  const input = encode(await validate(definition.input, decode(sent), "input_invalid", what), what);
  const script = new Script(definition, options);
  const stage = new Stage(script, toInstant(startAt, "startAt"));
  stage.create({
    ...{ id: checkRunId(id), workflow: name, version, input, by: "rehearsal" },
    labels: labelsOf(definition, input, labels),
    ...{ parent: null, schedule, startAt: null, notAfter: null, origin: null },
  });
  const run = new RehearsalControl<Output>(stage, id, []);
  await run.settle();
  return run;
}

const parts = ["steps", "undos", "patches"] as const;
const ownOptions = [...parts, "children", "id", "startAt", "labels", "schedule", "lenient", "patience"];

function checkOptions(options: RehearsalOptions): void {
  checkKnown(options, ownOptions, "rehearse");
  const { children = {}, lenient = false, schedule } = options;
  if (typeof lenient !== "boolean") throw new RehearsalError("lenient must be true or false");
  if (schedule !== undefined && !(typeof schedule?.id === "string" && Number.isFinite(schedule.at)))
    throw new RehearsalError("schedule must be { id, at }: the id of a schedule, and epoch milliseconds");
  checkStandIns(options);
  checkFields(children, "children");
  for (const [child, part] of Object.entries(children)) {
    if (typeof part === "function") continue;
    const where = `children: ${JSON.stringify(child)}`;
    if (!isPlain(part))
      throw new RehearsalError(`${where}: must be a function, or { workflow, steps, undos, patches }`);
    checkKnown(part, ["workflow", ...parts], where);
    if (part.workflow !== undefined && !isWorkflow(part.workflow))
      throw new RehearsalError(`${where}: workflow must be one, as defineWorkflow makes it`);
    checkStandIns(part, `${where}: `);
  }
}

function checkStandIns(given: StandIns, where = ""): void {
  for (const part of parts) {
    const { [part]: standIns = {} } = given;
    checkFields(standIns, `${where}${part}`);
    const [type, wanted] = part === "patches" ? ["boolean", "true or false"] : ["function", "a function"];
    const wrong = Object.entries(standIns).find(([, standIn]) => typeof standIn !== type);
    if (wrong !== undefined)
      throw new RehearsalError(
        `${where}${part}: ${JSON.stringify(wrong[0])} must be ${wanted}, not ${mention(wrong[1])}`,
      );
  }
}

function checkFields(given: unknown, what: string): void {
  if (!isPlain(given)) throw new RehearsalError(`${what} must be an object, not ${mention(given)}`);
}
