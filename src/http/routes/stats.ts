/**
 * Owns: the route of the statistics: reading the window, and their JSON.
 * Does not own: what is counted.
 */
import { defined } from "../../core/record.ts";
import type { Stats, StatsQuery, StatsSlice, StepStats, WorkflowStats } from "../../core/stats/stats.ts";
import { RequestError } from "../problem.ts";
import { readParameter, readQuery } from "../query.ts";
import type { Query } from "../query.ts";
import { asInstant, asName } from "../reading.ts";
import type { Call, Route } from "../route.ts";
import { viewInstant } from "../view.ts";

const dayMs = 24 * 60 * 60 * 1000;
export const maxWindowDays = 400;

export const statsRoutes: readonly Route[] = [{ method: "GET", path: "/v1/stats", role: "read", handle: read }];

async function read({ service, request }: Call): Promise<Response> {
  const query = toStatsQuery(readQuery(request, ["workflow", "from", "to"]), Date.now());
  return Response.json(viewStats(await service.stats.read(query)));
}

/**
 * Without `to` up to `now`; without `from` the 24 hours before.
 * @param now epoch ms
 * @throws RequestError parameter_invalid
 */
function toStatsQuery(query: Query, now: number): StatsQuery {
  const workflow = readParameter(query, "workflow", asName);
  const until = readParameter(query, "to", asInstant) ?? now;
  const from = readParameter(query, "from", asInstant) ?? until - dayMs;
  if (from >= until) {
    const [early, late] = [from, until].map(viewInstant);
    throw refused(`from must be before to: ${early} is not before ${late}`);
  }
  if (until - from > maxWindowDays * dayMs) throw refused(`from and to must be at most ${maxWindowDays} days apart`);
  return { ...defined({ workflow }), from, until };
}

function refused(rule: string): RequestError {
  return new RequestError("parameter_invalid", `Of the parameters, ${rule}.`);
}

function viewStats({ from, until, sliceMs, total, workflows, slices, lanes, moreLanes }: Stats) {
  return {
    from: viewInstant(from),
    to: viewInstant(until),
    sliceMs,
    total,
    workflows: workflows.map(viewWorkflowStats),
    slices: slices.map(viewSlice),
    lanes: lanes.map(({ nextSinceAt, ...lane }) => ({ ...lane, nextSince: viewInstant(nextSinceAt) })),
    moreLanes,
  };
}

function viewWorkflowStats({ slices: _slices, steps, ...workflow }: WorkflowStats) {
  return { ...workflow, steps: steps.map(viewStep) };
}

function viewStep({ step, completed, failed, failedAttempts, failureRate, meanMs }: StepStats) {
  return { step, completed, failed, failedAttempts, failureRate, meanMs };
}

function viewSlice({ at, ...slice }: StatsSlice) {
  return { at: viewInstant(at), ...slice };
}
