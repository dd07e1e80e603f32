/** Owns: a page of a directory that lists many runs. Runtimes of its own, filled by the directory's own call. */
import { setTimeout as pause } from "node:timers/promises";
import { time } from "./client.ts";
import type { Samples } from "./sample.ts";
import { complete, interleave } from "./system.ts";
import type { Effort, System } from "./system.ts";

const workflows = 10;
const statuses = ["completed", "failed", "waiting", "cancelled"];
const callRuns = 500;
const page = 50;

/**
 * Lists so many runs, a second apart, of ten workflows and four statuses in turn. All are copies of one
 * that ran, so that rows and answers are as large as real ones, with the floor too.
 */
export async function fill(holdfast: System, floor: System, runs: number): Promise<void> {
  await complete(holdfast, "steps", { count: 5 });
  // Its end has been reported by then.
  await pause(1500);
  const { runs: listed } = (await holdfast.server.fetch("/v1/runs?workflow=steps&limit=1")) as { runs: object[] };
  const newest = Date.now() - 1000;
  for (let from = 0; from < runs; from += callRuns) {
    const part = Array.from({ length: Math.min(callRuns, runs - from) }, (_, at) => ({
      ...listed[0],
      ...copyOf(from + at),
      createdAt: new Date(newest - (runs - from - at) * 1000).toISOString(),
    }));
    for (const { server } of [holdfast, floor]) await server.fetch("/fill", part);
  }
}

function copyOf(index: number): object {
  return {
    id: `listed-${String(index).padStart(8, "0")}`,
    workflow: `workflow-${index % workflows}`,
    status: statuses[Math.floor(index / workflows) % statuses.length],
  };
}

/** Milliseconds until the newest 50 runs of one workflow and one status have been answered. */
export function pageMs(systems: readonly System[], effort: Effort, filter: string): Promise<Samples> {
  return interleave(systems, effort, ({ name, server }) =>
    time(async () => {
      const { runs } = (await server.fetch(`/v1/runs?${filter}&limit=${page}`)) as {
        readonly runs: readonly unknown[];
      };
      if (runs.length !== page) throw new Error(`${name} listed ${runs.length} runs of ${filter}, not ${page}`);
    }),
  );
}

export const listedFilter = "workflow=workflow-3&status=completed";
