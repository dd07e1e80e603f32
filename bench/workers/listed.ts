/**
 * Holdfast, and a route that lists runs that never ran: they are reported to its shards with the call that a run's object
 * makes. They are copies of a real run, so that their rows have the same size.
 */
import { createWorker } from "../../src/index.ts";
import type { RunSummary } from "../../src/core/run/run.ts";
import { directoryOf, directoryShards } from "../../src/objects/address.ts";
import { workflows } from "./flows.ts";

const worker = createWorker({ workflows });

export const { RunObject, DirectoryObject, SchedulerObject, LaneObject } = worker.objects;

type Listed = Pick<RunSummary, "id" | "workflow" | "status" | "createdAt">;

/** Reports all runs of one call at once. */
async function report(runs: readonly Listed[]): Promise<void> {
  const query = { workflow: "steps", limit: 1 };
  const [template] = (await Promise.all(directoryShards().map((shard) => shard.list(query, null)))).flat();
  if (template === undefined) throw new Error("no run is listed yet that could be copied");
  await Promise.all(runs.map((run) => directoryOf(run.id).report({ ...template, ...run })));
}

export default {
  /** Besides Holdfast's API: `POST /fill` with the runs to list. */
  async fetch(request: Request, given: unknown, ctx: ExecutionContext): Promise<Response> {
    if (new URL(request.url).pathname !== "/fill") return await worker.fetch(request, given, ctx);
    const runs = await request.json<(Omit<Listed, "createdAt"> & { createdAt: string })[]>();
    await report(
      runs.map(({ id, workflow, status, createdAt }) => ({ id, workflow, status, createdAt: Date.parse(createdAt) })),
    );
    return Response.json(null);
  },
};
