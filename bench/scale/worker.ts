/** Holdfast with all calls, rows and time awake of its objects counted (tally.ts). */
import { env } from "cloudflare:workers";
import type { RunSummary } from "../../src/core/run/run.ts";
import { createWorker } from "../../src/index.ts";
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

/** Reports that many ended runs to the shard, from `clients` parallel sequences. */
async function report(shard: Shard, from: number, count: number, clients: number): Promise<void> {
  let next = from;
  const line = async (): Promise<void> => {
    while (next < from + count) await shard.report(summaryOf(next++));
  };
  await Promise.all(Array.from({ length: clients }, line));
}

/** Makes the same number of empty calls, to measure the cost of a call. */
async function knock(shard: Shard, count: number, clients: number): Promise<void> {
  let left = count;
  const line = async (): Promise<void> => {
    while (left-- > 0) await shard.databaseSize();
  };
  await Promise.all(Array.from({ length: clients }, line));
}

function summaryOf(index: number): RunSummary {
  const at = 1_780_000_000_000 + index;
  return {
    ...template,
    id: `probe-${index.toString().padStart(8, "0")}`,
    createdAt: at,
    updatedAt: at,
    finishedAt: at,
  };
}

/** The summary of a real ended run, read from the first shard, of which the others are copies. */
let template: RunSummary;

async function learn(): Promise<void> {
  const shard = object<{ list(query: object, before: null): Promise<readonly RunSummary[]> }>("DIRECTORY", "shard-0");
  const [run] = await shard.list({ limit: 1 }, null);
  if (run === undefined) throw new Error("no run is listed yet");
  template = run;
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
      await learn();
      return Response.json(
        (await report(object<Shard>("DIRECTORY", second), Number(third), Number(fourth), 20)) ?? null,
      );
    }
    if (first === "knock") {
      return Response.json((await knock(object<Shard>("DIRECTORY", second), Number(third), 20)) ?? null);
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
