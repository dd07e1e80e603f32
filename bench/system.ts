/** Owns: the four that are measured, each behind the same three calls. */
import { setTimeout as pause } from "node:timers/promises";
import type { Samples, SystemName } from "./sample.ts";
import type { Server } from "./server.ts";

export type System = {
  readonly name: SystemName;
  readonly server: Server;
  /** Added to every input. */
  readonly input: object;
};

export type RunView = { readonly id: string; readonly status: string; readonly output: unknown };

/** Starts a run and waits for its end. */
export async function complete(system: System, workflow: string, input: object): Promise<RunView> {
  const run = await post(system, `/v1/workflows/${workflow}/runs?wait=60s`, input);
  if (run.status !== "completed") throw new Error(`a run of ${workflow} on ${system.name} is ${run.status}`);
  return run;
}

/** Starts a run of `inbox` and waits until it waits for its signal. */
export async function park(system: System, count: number): Promise<string> {
  const { id, status } = await post(system, "/v1/workflows/inbox/runs", { count });
  if (status === "waiting") return id;
  // The emulator's status is "running" all the while: it gets the time to reach its wait.
  if (system.name === "emulator") return pause(40, id);
  for (let tries = 0; tries < 3000; tries++) {
    const run = (await system.server.fetch(`/v1/runs/${id}`)) as RunView;
    if (run.status === "waiting") return id;
    await pause(5);
  }
  throw new Error(`run ${id} on ${system.name} never waited`);
}

/** Sends the signal and waits for the end: both calls are under way at once, as a client's would be. */
export async function signalToEnd({ server }: System, id: string): Promise<number> {
  const before = performance.now();
  const sent = server.fetch(`/v1/runs/${id}/signals/go`, {});
  const ended = server.fetch(`/v1/runs/${id}?wait=60s`);
  const { status } = (await ended) as RunView;
  const tookMs = performance.now() - before;
  if (status !== "completed") throw new Error(`run ${id} is ${status} after its signal`);
  await sent;
  return tookMs;
}

/** How often a workload is measured, and after how long it is enough on a machine that is slow today. */
export type Effort = { readonly rounds: number; readonly withinMs: number };

export const once: Effort = { rounds: 1, withinMs: Infinity };

/** Runs the body for each system in turn, round after round, so that noise hits all alike. */
export async function interleave(
  systems: readonly System[],
  { rounds, withinMs }: Effort,
  body: (system: System) => Promise<number | readonly number[]>,
): Promise<Samples> {
  const samples: Partial<Record<SystemName, number[]>> = {};
  const before = performance.now();
  for (let round = 0; round < rounds; round++) {
    if (round > 0 && performance.now() - before > withinMs) break;
    for (const system of order(systems, round)) {
      const measured = await body(system);
      samples[system.name] = (samples[system.name] ?? []).concat(measured);
      // What a system still does after its answer must not be counted to the next.
      await pause(4);
    }
  }
  return samples;
}

/** Each time another first, and every other round backwards: none always follows the same one. */
function order(systems: readonly System[], round: number): System[] {
  const shift = round % systems.length;
  const rotated = [...systems.slice(shift), ...systems.slice(0, shift)];
  return round % 2 === 0 ? rotated : rotated.toReversed();
}

async function post({ server, input: own }: System, path: string, input: object): Promise<RunView> {
  return (await server.fetch(path, { input: { ...input, ...own } })) as RunView;
}
