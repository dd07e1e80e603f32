/**
 * Owns: creating the Durable Object classes of a Worker from its workflows.
 * Does not own: their behaviour.
 */
import { HoldfastError } from "../../core/error.ts";
import type { Rule } from "../../core/service/schedules.ts";
import { validate } from "../../core/definition/schema.ts";
import { decode, undefinedValue } from "../../core/value/value.ts";
import { runObject } from "../address.ts";
import { unwrap } from "../answer.ts";
import type { Catalog } from "./catalog.ts";
import { DirectoryObject } from "../directory/directory.ts";
import { createLaneObject } from "../lane/lane.ts";
import type { SchedulerApp } from "../schedule/firing.ts";
import { createRunObject } from "../run/run.ts";
import { createSchedulerObject } from "../schedule/scheduler.ts";
import { startOnce } from "../schedule/schedules.ts";
import { startByName } from "../service.ts";

export function createObjects(catalog: Catalog) {
  return {
    RunObject: createRunObject((name, version) => catalog.find(name, version), startByName(catalog)),
    DirectoryObject,
    LaneObject: createLaneObject(catalog.limits),
    SchedulerObject: createSchedulerObject(schedulerApp(catalog)),
  };
}

function schedulerApp(catalog: Catalog): SchedulerApp {
  return {
    rules: catalog.rules,
    start: (request) => startOnce(startByName(catalog), request),
    look: async (id) => {
      const run = await runObject(id).read(0);
      if (!run.ok && (run.refusal.code === "run_not_found" || run.refusal.code === "journal_corrupt")) return null;
      // A run that waits for an encryption key or for its version may go on later.
      const { status, finishedAt } = unwrap(run);
      return { status, finishedAt };
    },
    check: (rule) => check(catalog, rule),
    cancel: async (id, kind) => {
      unwrap(
        await runObject(id).act({ kind, by: "schedule", reason: "the next firing of its schedule took its place" }),
      );
    },
  };
}

/** Refuses a schedule that could not start a run, and names the field. */
async function check(catalog: Catalog, { workflow, input }: Rule): Promise<void> {
  const value = decode(input ?? undefinedValue);
  try {
    await validate(catalog.current(workflow).input, value, "input_invalid", `the input for ${workflow}`);
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    const issues =
      error.code === "workflow_not_found"
        ? [{ path: "/workflow", message: "is not a workflow of this deployment" }]
        : (error.issues ?? []).map(({ path, message }) => ({ path: `/input${path}`, message }));
    throw new HoldfastError(error.code, error.message, { issues });
  }
}
