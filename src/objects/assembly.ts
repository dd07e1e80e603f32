/**
 * Owns: putting the Durable Object classes of one Worker together from its workflows.
 * Does not own: any behaviour of theirs.
 */
import { isEnded } from "../core/run.ts";
import { runObject } from "./address.ts";
import { unwrap } from "./answer.ts";
import type { Catalog } from "./catalog.ts";
import { DirectoryObject } from "./directory.ts";
import { createRunObject } from "./run.ts";
import { createSchedulerObject } from "./scheduler.ts";
import type { SchedulerApp } from "./scheduler.ts";
import { startRun } from "./service.ts";

export function createObjects(catalog: Catalog) {
  return {
    RunObject: createRunObject((name, version) => catalog.find(name, version)),
    DirectoryObject,
    SchedulerObject: createSchedulerObject(schedulerApp(catalog)),
  };
}

function schedulerApp(catalog: Catalog): SchedulerApp {
  return {
    rules: catalog.rules,
    start: async ({ workflow, ...request }) => await startRun(catalog.current(workflow), request),
    isRunning: async (id) => {
      const run = await runObject(id).read(0);
      return run.ok && !isEnded(run.value.status);
    },
    cancel: async (id, kind) => {
      unwrap(
        await runObject(id).act({ kind, by: "schedule", reason: "the next firing of its schedule took its place" }),
      );
    },
  };
}
