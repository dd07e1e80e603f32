/** Holdfast with all calls, rows and time awake of its objects counted (tally.ts). */
import { env } from "cloudflare:workers";
import type { RunSummary } from "../../src/core/run/run.ts";
import { createWorker } from "../../src/index.ts";
import { share } from "../client.ts";
import { workflows } from "./flows.ts";
import { counted, takeTallies } from "./tally.ts";

const worker = createWorker({ workflows });

export const RunObject = counted("RUNS", worker.objects.RunObject);
export const DirectoryObject = counted("DIRECTORY", worker.objects.DirectoryObject);
export const SchedulerObject = counted("SCHEDULER", worker.objects.SchedulerObject);
export const LaneObject = counted("LANES", worker.objects.LaneObject);

type Shard = { report(summary: RunSummary): Promise<unknown>; databaseSize(): Promise<number> };

function object<Rpc>(binding: string, name: string): Rpc {
  return (env as unknown as Record<string, DurableObjectNamespace>)[binding]?.getByName(name) as Rpc;
}

const clients = 20;

/** Of an ended run that never ran. @param template that of a real one */
function summaryOf(template: RunSummary, index: number): RunSummary {
  const at = 1_780_000_000_000 + index;
  return {
    ...template,
    id: `probe-${index.toString().padStart(8, "0")}`,
    createdAt: at,
    updatedAt: at,
    finishedAt: at,
  };
}

/** The summary of a real ended run, from the first shard. */
async function learn(): Promise<RunSummary> {
  const shard = object<{ list(query: object, before: null): Promise<readonly RunSummary[]> }>("DIRECTORY", "shard-0");
  const [run] = await shard.list({ limit: 1 }, null);
  if (run === undefined) throw new Error("no run is listed yet");
  return run;
}

export default {
  /**
   * Besides Holdfast's API: `/tallies`, `/size/BINDING/NAME`, and for shards of the directory `/report/NAME/FROM/COUNT`,
   * `/knock/NAME/COUNT` and `/look/NAME/METHOD` with the arguments as the body.
   */
  async fetch(request: Request, given: unknown, ctx: ExecutionContext): Promise<Response> {
    const [, first, second = "", third = "", fourth = ""] = new URL(request.url).pathname.split("/");
    if (first === "tallies") return Response.json(takeTallies());
    if (first === "size") return Response.json(await object<Shard>(second, third).databaseSize());
    if (first === "report") {
      const template = await learn();
      const shard = object<Shard>("DIRECTORY", second);
      await share(Number(fourth), clients, (index) => shard.report(summaryOf(template, Number(third) + index)));
      return Response.json(null);
    }
    // Empty calls, to measure the cost of a call.
    if (first === "knock") {
      const shard = object<Shard>("DIRECTORY", second);
      await share(Number(third), clients, () => shard.databaseSize());
      return Response.json(null);
    }
    if (first === "look") {
      const shard = object<Record<string, (...args: unknown[]) => Promise<unknown>>>("DIRECTORY", second);
      await shard[third]?.(...(await request.json<unknown[]>()));
      return Response.json(null);
    }
    return await worker.fetch(request, given, ctx);
  },
  scheduled: () => worker.scheduled(),
};
