/**
 * Owns: `rehearse`.
 * Does not own: the calls of the run after that (play).
 */
import { toInstant } from "../core/duration.ts";
import { labelsOf } from "../core/definition/label.ts";
import { checkRunId } from "../core/name.ts";
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
  const { definition } = (workflow as Partial<typeof workflow> | undefined) ?? {};
  if (typeof definition?.handler !== "function") {
    throw new RehearsalError("rehearse takes a workflow, as defineWorkflow makes it");
  }
  checkOptions(options);
  const { id = "rehearsal", startAt = defaultStartAt, labels, schedule = null } = options;
  const { name, version } = definition;
  const what = `the input of ${name}`;
  const sent = encode(given, what);
  const input = encode(await validate(definition.input, decode(sent), "input_invalid", what), what);
  const script = new Script(definition, options);
  const stage = new Stage(script, toInstant(startAt));
  stage.create({
    ...{ id: checkRunId(id), workflow: name, version, input, by: "rehearsal" },
    labels: labelsOf(definition, input, labels),
    ...{ parent: null, schedule, startAt: null, notAfter: null, origin: null },
  });
  const play = new RehearsalControl<Output>(stage, id, []);
  await play.settle();
  return play;
}

const partOptions = ["steps", "undos"] as const;
const ownOptions = [
  ...partOptions,
  "patches",
  "children",
  "id",
  "startAt",
  "labels",
  "schedule",
  "lenient",
  "patience",
];

function checkOptions(options: RehearsalOptions): void {
  checkKnown(options, ownOptions);
  checkStandIns(options);
  for (const [child, part] of Object.entries(options.children ?? {})) {
    if (typeof part === "function") continue;
    const where = `children: ${JSON.stringify(child)}: `;
    if (typeof part !== "object" || part === null) {
      throw new RehearsalError(`${where}must be a function, or { workflow, steps, undos, patches }`);
    }
    checkKnown(part, ["workflow", ...partOptions, "patches"], where);
    checkStandIns(part, where);
  }
}

function checkStandIns(given: StandIns, where = ""): void {
  for (const part of partOptions) {
    for (const [step, standIn] of Object.entries(given[part] ?? {})) {
      if (typeof standIn !== "function")
        throw new RehearsalError(`${where}${part}: ${JSON.stringify(step)} must be a function`);
    }
  }
  for (const [patch, side] of Object.entries(given.patches ?? {})) {
    if (typeof side !== "boolean")
      throw new RehearsalError(`${where}patches: ${JSON.stringify(patch)} must be true or false`);
  }
}
