/** Owns: those that are measured, each behind the same few calls. */
import { setTimeout as pause } from "node:timers/promises";
import type { Endpoint } from "./endpoint.ts";
import type { Samples, SystemName } from "./sample.ts";
import type { Server } from "./server.ts";

export type System = {
  readonly name: SystemName;
  readonly server: Endpoint;
  /** Added to every input. */
  readonly input: object;
};

/** One whose runtime is at hand: its objects can be evicted, its files and its memory be looked at. */
export type LocalSystem = System & { readonly server: Server };

export type RunView = {
  readonly id: string;
  readonly status: string;
  readonly output: unknown;
  readonly waitingFor?: readonly { readonly url?: string }[];
};

/** How often an end is asked for; each question is answered within a minute. */
const patience = 5;

/** Starts a run and waits for its end. */
export async function complete(system: System, workflow: string, input: object): Promise<RunView> {
  let run = await post(system, `/v1/workflows/${workflow}/runs?wait=60s`, input);
  for (let asked = 1; run.status === "running" && asked < patience; asked++) run = await look(system, run.id);
  if (run.status !== "completed") throw new Error(`a run of ${workflow} on ${system.name} is ${run.status}`);
  return run;
}

/** Starts a run and does not wait for it; `ended` does. */
export async function begin(system: System, workflow: string, input: object): Promise<string> {
  return (await post(system, `/v1/workflows/${workflow}/runs`, input)).id;
}

export async function ended(system: System, id: string): Promise<void> {
  const { status } = await look(system, id);
  if (status !== "completed") throw new Error(`run ${id} on ${system.name} is ${status}`);
}

async function look({ server }: System, id: string): Promise<RunView> {
  return (await server.fetch(`/v1/runs/${id}?wait=60s`)) as RunView;
}

/** Starts a run of `inbox` and waits until it waits for its signal. */
export async function park(system: System, count: number): Promise<string> {
  return (await parkRun(system, "inbox", { count })).id;
}

/** Starts a run and waits until it waits for something from outside. */
export async function parkRun(system: System, workflow: string, input: object): Promise<RunView> {
  const started = await post(system, `/v1/workflows/${workflow}/runs`, input);
  const { id, status } = started;
  if (status === "waiting") return started;
  // The hosted product says "running" all the while: it gets the time to reach its wait.
  if (system.name === "emulator") return pause(40, started);
  if (system.name === "hosted") return pause(2000, started);
  for (let tries = 0; tries < 3000; tries++) {
    const run = (await system.server.fetch(`/v1/runs/${id}`)) as RunView;
    if (run.status === "waiting") return run;
    await pause(5);
  }
  throw new Error(`run ${id} on ${system.name} never waited`);
}

/** Sends the signal and waits for the end. */
export function signalToEnd(system: System, id: string): Promise<number> {
  return callToEnd(system, id, `/v1/runs/${id}/signals/go`);
}

/** Milliseconds until the end: both calls are under way at once, as a client's would be. */
export async function callToEnd(system: System, id: string, path: string): Promise<number> {
  const before = performance.now();
  const sent = system.server.fetch(path, {});
  await ended(system, id);
  const tookMs = performance.now() - before;
  await sent;
  return tookMs;
}

/** How often a workload is measured, and after how long it is enough on a machine that is slow today. */
export type Effort = {
  readonly rounds: number;
  readonly withinMs: number;
  /** The hosted product takes part in every so many rounds only; it is slow, and little is judged by it. */
  readonly sparing?: number;
};

export const once: Effort = { rounds: 1, withinMs: Infinity };

/** Runs the body for each system in turn, round after round, so that noise hits all alike. */
export async function interleave<Each extends System>(
  systems: readonly Each[],
  { rounds, withinMs, sparing = 1 }: Effort,
  body: (system: Each) => Promise<number | readonly number[]>,
): Promise<Samples> {
  const samples: Partial<Record<SystemName, number[]>> = {};
  const before = performance.now();
  for (let round = 0; round < rounds; round++) {
    if (round > 0 && performance.now() - before > withinMs) break;
    for (const system of order(systems, round)) {
      if (isHosted(system) && round % sparing !== 0) continue;
      const measured = await body(system);
      samples[system.name] = (samples[system.name] ?? []).concat(measured);
      // What a system still does after its answer must not be counted to the next.
      await pause(4);
    }
  }
  return samples;
}

function isHosted({ name }: System): boolean {
  return name === "emulator" || name === "hosted";
}

/** Each time another first, and every other round backwards: none always follows the same one. */
function order<Each extends System>(systems: readonly Each[], round: number): Each[] {
  const shift = round % systems.length;
  const rotated = [...systems.slice(shift), ...systems.slice(0, shift)];
  return round % 2 === 0 ? rotated : rotated.toReversed();
}

async function post({ server, input: own }: System, path: string, input: object): Promise<RunView> {
  return (await server.fetch(path, { input: { ...input, ...own } })) as RunView;
}
