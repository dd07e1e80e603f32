/**
 * Holdfast, and a way to list runs that never ran: its shards are told of them by the same call that a
 * run's object makes. They are copies of one run that did run here, so that their rows are as large.
 */
import { createWorker } from "../../src/index.ts";
import type { RunSummary } from "../../src/core/run.ts";
import { directoryOf, directoryShards } from "../../src/objects/address.ts";
import { workflows } from "./flows.ts";

const worker = createWorker({ workflows });

export const { RunObject, DirectoryObject, SchedulerObject, LaneObject } = worker.objects;

type Listed = Pick<RunSummary, "id" | "workflow" | "status" | "createdAt">;

/** As fast as the shards take them: all of one call at once. */
async function report(runs: readonly Listed[]): Promise<void> {
  const query = { workflow: "steps", limit: 1 };
  const [template] = (await Promise.all(directoryShards().map((shard) => shard.list(query, null)))).flat();
  if (template === undefined) throw new Error("no run is listed yet that could be copied");
  await Promise.all(runs.map((run) => directoryOf(run.id).report({ ...template, ...run })));
}

export default {
  /** Beside Holdfast's API: `POST /fill` with the runs to list. */
  async fetch(request: Request, given: unknown, ctx: ExecutionContext): Promise<Response> {
    if (new URL(request.url).pathname !== "/fill") return await worker.fetch(request, given, ctx);
    const runs = await request.json<(Omit<Listed, "createdAt"> & { createdAt: string })[]>();
    await report(
      runs.map(({ id, workflow, status, createdAt }) => ({ id, workflow, status, createdAt: Date.parse(createdAt) })),
    );
    return Response.json(null);
  },
};
