/** Owns: what Holdfast's own meter says a run took, for where nothing else can be counted. */
import { setTimeout as pause } from "node:timers/promises";
import { figure } from "./budget.ts";
import type { Figure } from "./budget.ts";
import { complete } from "./system.ts";
import type { System } from "./system.ts";

type Cost = {
  readonly rowsWritten: number;
  readonly requests: number;
  readonly secondsAwake: number;
  readonly bytesStored: number;
};

const few = 1;
const many = 41;
/** The directory has been told by then. */
const settleMs = 3000;

export async function readMeter(system: System): Promise<Figure[]> {
  const short = await costOf(system, few);
  const long = await costOf(system, many);
  const rows = (long.rowsWritten - short.rowsWritten) / (many - few);
  const say = (what: string, unit: string, value: number): Figure =>
    figure(`${what}, by its own meter`, unit, { [system.name]: [value] });
  return [
    say("rows written per step", "rows", rows),
    say("rows written per run besides its steps", "rows", short.rowsWritten - rows * few),
    say("requests of a run of 1 step", "", short.requests),
    say("seconds awake of a run of 1 step", "s", short.secondsAwake),
    say("bytes stored of a run of 41 steps", "B", long.bytesStored),
  ];
}

async function costOf(system: System, count: number): Promise<Cost> {
  const { id } = await complete(system, "steps", { count });
  await pause(settleMs);
  const { cost } = (await system.server.fetch(`/v1/runs/${id}`)) as { readonly cost: Cost };
  return cost;
}
