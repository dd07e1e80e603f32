/**
 * Owns: adding the present state to listed runs: their places in lanes, and the sentence on why they do not progress.
 * Does not own: the list (listing), the sentence (core/run/reason), the lanes.
 *
 * If a lane cannot be reached, only its places are missing. Runs are never called, so none is woken.
 */
import { reasonAt } from "../../core/run/reason.ts";
import type { QueuePosition, RunSummary } from "../../core/run/run.ts";
import { laneObject } from "../address.ts";
import { within } from "../patience.ts";

/** The limit of lanes that are called for one page. */
const maxLanes = 10;
/** Runs that are further behind are shown without a place. */
const maxPlaces = 1000;
const callLimitMs = 1000;

/** The runs with their places, and the present `reason`. */
export async function withPresentState(runs: readonly RunSummary[]): Promise<readonly RunSummary[]> {
  const names = new Set(runs.flatMap(({ waitingFor }) => lanesOf(waitingFor)));
  const lanes = await Promise.all(
    [...names].slice(0, maxLanes).map(async (name) => [name, await placesIn(name)] as const),
  );
  const places = new Map(lanes);
  const now = Date.now();
  return runs.map((run) => {
    const waitingFor = run.waitingFor.map((wait) => {
      if (wait.kind !== "lane") return wait;
      const { position: _position, used: _used, limit: _limit, ...bare } = wait;
      return { ...bare, ...places.get(wait.name)?.get(run.id) };
    });
    return { ...run, waitingFor, reason: reasonAt({ ...run, waitingFor }, now) };
  });
}

function lanesOf(waitingFor: RunSummary["waitingFor"]): string[] {
  return waitingFor.filter(({ kind }) => kind === "lane").map(({ name }) => name);
}

/** The first place of each waiting run in the lane. */
async function placesIn(lane: string): Promise<ReadonlyMap<string, QueuePosition>> {
  const places = new Map<string, QueuePosition>();
  try {
    const info = await within(laneObject(lane).read(maxPlaces), callLimitMs);
    for (const { run, position } of info?.queue ?? []) {
      if (!places.has(run)) places.set(run, { position, used: info?.used ?? 0, limit: info?.limit ?? null });
    }
  } catch {
    // Then the sentence only says since when the run waits.
  }
  return places;
}
