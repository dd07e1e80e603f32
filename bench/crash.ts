/** Owns: runs whose process is killed: how soon they go on by themselves once there is another. */
import { setTimeout as pause } from "node:timers/promises";
import { figure, limit } from "./budget.ts";
import type { Figure } from "./budget.ts";
import { begin } from "./system.ts";
import type { LocalSystem, RunView } from "./system.ts";

const runs = 10;
/** The length of the step, and of the sleep: longer than starting all runs takes. */
const ms = 2000;
/** No run is asked before that, as it would wake it: one that did not go on by itself is at least this late. */
const restMs = 5000;

/** @param system nothing else may go on in it */
export async function timeDeath(system: LocalSystem): Promise<Figure[]> {
  const slow = await begun(system, "slow");
  const restedFrom = Date.now();
  const rest = await begun(system, "rest");
  const killedAt = Date.now();
  system.server.kill();
  const readyAt = await ready(system);
  await pause(restMs);
  const late = (ids: readonly string[], from: number) => goneOn(system, ids, { killedAt, from });
  // A step begins anew, and takes its time again; a sleep is over when it would have been, or now.
  const steps = await late(slow, readyAt + ms);
  const sleeps = await late(rest, Math.max(readyAt, restedFrom + ms));
  return [
    figure("killed in a step: goes on by itself, the last of 10", "ms", { holdfast: steps }, [limit(1000, "ms")], 1),
    figure("killed in a sleep: goes on by itself, the last of 10", "ms", { holdfast: sleeps }, [limit(1000, "ms")], 1),
  ];
}

function begun(system: LocalSystem, workflow: string): Promise<string[]> {
  return Promise.all(Array.from({ length: runs }, () => begin(system, workflow, { ms })));
}

/** When the next runtime answers. Only the Worker is asked, no object. */
async function ready({ server }: LocalSystem): Promise<number> {
  for (let tries = 0; tries < 1000; tries++) {
    try {
      await server.fetch("/health");
      return Date.now();
    } catch {
      await pause(10);
    }
  }
  throw new Error("no runtime came after the one that was killed");
}

type Span = { readonly killedAt: number; readonly from: number };

/** Milliseconds after `from`; a run that went on while the runtime was starting is not late at all. */
async function goneOn({ server }: LocalSystem, ids: readonly string[], { killedAt, from }: Span): Promise<number[]> {
  const late = [];
  for (const id of ids) {
    const { status, output } = (await server.fetch(`/v1/runs/${id}?wait=60s`)) as RunView;
    if (status !== "completed") throw new Error(`run ${id} is ${status} after its process was killed`);
    // On a very slow machine it had gone on before the kill.
    if (Number(output) <= killedAt) continue;
    late.push(Math.max(0, Number(output) - from));
  }
  return late;
}
