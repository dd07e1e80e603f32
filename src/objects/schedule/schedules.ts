/**
 * Owns: the Worker's calls of the scheduler, and starting the run of a firing.
 * Does not own: the schedules, how a run is started (`startRun`).
 */
import { authorOf } from "../../core/author.ts";
import { hasCode } from "../../core/error.ts";
import { newRunId } from "../../core/name.ts";
import { defined } from "../../core/record.ts";
import type { Made } from "../../core/run/run.ts";
import type { Schedules, TriggerRequest } from "../../core/service/schedules.ts";
import { runObject, schedulerObject } from "../address.ts";
import { unwrap } from "../answer.ts";
import { digestOf } from "../deployment/digest.ts";
import type { FiringStart } from "./firing.ts";
import type { StartRun } from "../start/preparation.ts";
import { unpack } from "../packing.ts";

export function createSchedules(start: StartRun): Schedules {
  return {
    list: async (workflow) => [...unwrap(await schedulerObject().list(workflow))],
    find: async (id, next) => unwrap(await schedulerObject().find(id, next)),
    create: async (request) => unwrap(await schedulerObject().create(request)),
    change: async (id, change) => unwrap(await schedulerObject().change(id, change)),
    remove: async (id, request) => void unwrap(await schedulerObject().remove(id, request)),
    trigger: (id, request) => trigger(start, id, request),
    backfill: async (id, request) => unwrap(await schedulerObject().backfill(id, request)),
    tick: () => schedulerObject().tick(),
  };
}

async function trigger(start: StartRun, id: string, request: TriggerRequest): Promise<Made> {
  const { origin, waitMs, ...asked } = request;
  const token = await tokenOf(asked.key);
  const { workflow, input, runId, at } = unwrap(await schedulerObject().trigger(id, { ...asked, token }));
  return await startOnce(start, {
    workflow,
    input,
    id: runId,
    ...authorOf(asked),
    ...(asked.reason === null ? {} : { reason: asked.reason }),
    schedule: { id, at },
    ...defined({ origin, waitMs }),
  });
}

/** 26 letters and digits: derived from the key if there is one, else new. */
async function tokenOf(key: string | undefined): Promise<string> {
  if (key === undefined) return newRunId(Date.now(), crypto.getRandomValues(new Uint8Array(10)));
  return await digestOf(key, 13);
}

/**
 * Starts the run of a firing, or finds it, also if the schedule got another workflow or input since, because a firing has one
 * run.
 */
export async function startOnce(start: StartRun, { since = 0, workflow, ...request }: FiringStart): Promise<Made> {
  try {
    return await start(workflow, request);
  } catch (error) {
    if (!hasCode(error, "run_exists")) throw error;
    const run = await unpack(unwrap(await runObject(request.id).read(0)));
    if (run.schedule?.id !== request.schedule.id || run.createdAt < since) throw error;
    return { run, created: false };
  }
}
