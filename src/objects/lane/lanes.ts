/**
 * Owns: listing all lanes, those in the code and those in use, and setting their limits.
 * Does not own: a lane's slots (keeper), which lanes are in use (roll), the limits in the code (core/lane/limit).
 */
import { HoldfastError } from "../../core/error.ts";
import { limitIn } from "../../core/lane/limit.ts";
import type { CodeLimit } from "../../core/lane/limit.ts";
import { compareNames, fromNameCursor, toNameCursor } from "../../core/listing/page.ts";
import type { OverrideRequest, LaneInfo, LaneQuery, Lanes } from "../../core/service/lanes.ts";
import { baseOf, checkLane, kindOf } from "../../core/lane/ticket.ts";
import { laneObject, laneRoll } from "../address.ts";

/** The number of holders and waiters of each lane in a list. */
const shown = 20;
/** The limit of simultaneous calls of lanes. */
const atOnce = 50;

/** The limits of the code, by the name of their lane. */
type Code = ReadonlyMap<string, CodeLimit>;

export function createLanes(code: Code): Lanes {
  return {
    list: (query) => list(code, query),
    find: (name, limit) => find(code, checkLane(name), limit),
    override: (name, limit, request, key) => override(code, checkLane(name), limit, request, key),
  };
}

async function list(
  code: Code,
  { limit, cursor }: LaneQuery,
): Promise<{ readonly lanes: readonly LaneInfo[]; readonly cursor: string | null }> {
  const after = cursor === undefined ? "" : fromNameCursor(cursor);
  // One more than a page, to know whether another page follows.
  const used = await laneRoll().names(after, limit + 1);
  const named = [...code.keys()].filter((name) => compareNames(name, after) > 0);
  const names = [...new Set([...used, ...named])].toSorted(compareNames);
  const page = names.slice(0, limit);
  const lanes: LaneInfo[] = [];
  for (let from = 0; from < page.length; from += atOnce) {
    const infos = await Promise.all(page.slice(from, from + atOnce).map((name) => read(code, name, shown)));
    lanes.push(...infos.filter((info) => info !== null));
  }
  const last = page.at(-1);
  return { lanes, cursor: last === undefined || names.length <= limit ? null : toNameCursor(last) };
}

async function find(code: Code, name: string, limit: number): Promise<LaneInfo> {
  const info = await read(code, name, limit);
  if (info === null) throw notFound(name);
  return info;
}

async function override(
  code: Code,
  name: string,
  limit: number | null,
  request: OverrideRequest | undefined,
  key: string | undefined,
): Promise<LaneInfo> {
  if ((await read(code, name, 0)) === null) throw notFound(name);
  const info = await laneObject(name).override(limit, request, key);
  if (info === null) throw new HoldfastError("idempotency_conflict", "the Idempotency-Key was used for another limit");
  // For a repeated request, this is the limit that others may have set since.
  if (kindOf(name) !== null && baseOf(name) === null) await laneRoll().overrideAll(name, info.override);
  return withCode(code, info);
}

/** Null for a lane that is not in use, and not in the code, with or without its key. */
async function read(code: Code, name: string, limit: number): Promise<LaneInfo | null> {
  const info = await laneObject(name).read(limit);
  if (info !== null) return withCode(code, info);
  return limitIn(code, name) === undefined ? null : withCode(code, { ...unused, name });
}

const unused = { limit: null, override: null, periodMs: null, used: 0, waiting: 0, holders: [], queue: [] };

/** Adds the limits of the code, which an unused lane does not have. */
function withCode(code: Code, info: LaneInfo): LaneInfo {
  const { limit = null, periodMs = null } = limitIn(code, info.name) ?? {};
  return { ...info, limit: info.limit ?? limit, periodMs: info.periodMs ?? periodMs };
}

function notFound(name: string): HoldfastError {
  const shown = JSON.stringify(name);
  return new HoldfastError("lane_not_found", `no lane is called ${shown}, in the code or in use`);
}
