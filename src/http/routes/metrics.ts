/**
 * Owns: `GET /metrics`: the metrics and their names.
 * Does not own: the format (exposition), the figures (the service).
 */
import { runStatuses } from "../../core/run/run.ts";
import type { Census, Stats, WorkflowStats } from "../../core/stats/stats.ts";
import type { ScheduleInfo } from "../../core/service/schedules.ts";
import { exposition, expositionType } from "./exposition.ts";
import type { Family, Sample } from "./exposition.ts";
import { invalidParameter, readQuery, readSpan } from "../query.ts";
import type { Query } from "../query.ts";
import type { Call, Route } from "../route.ts";
import { maxWindowDays } from "./stats.ts";

const minuteMs = 60 * 1000;
const defaultWindowMs = 60 * minuteMs;
const maxWindowMs = maxWindowDays * 24 * 60 * minuteMs;

export const metricsRoutes: readonly Route[] = [{ method: "GET", path: "/metrics", role: "read", handle: scrape }];

async function scrape({ service, request }: Call): Promise<Response> {
  const windowMs = readWindow(readQuery(request, ["window"]));
  const now = Date.now();
  const [stats, census, schedules] = await Promise.all([
    // Plus 1, so that runs created in this very millisecond count.
    service.stats.read({ from: now + 1 - windowMs, until: now + 1 }),
    service.stats.census(),
    service.schedules.list(),
  ]);
  const families = [
    ...runFamilies(census, now),
    ...windowFamilies(stats, windowMs),
    ...stepFamilies(stats),
    ...laneFamilies(stats, now),
    ...scheduleFamilies(schedules),
    ...scrapeFamilies(census, Date.now() - now),
  ];
  return new Response(exposition(families), { headers: { "content-type": expositionType } });
}

/** @throws RequestError parameter_invalid; HoldfastError duration_invalid */
function readWindow(query: Query): number {
  const windowMs = readSpan(query, "window") ?? defaultWindowMs;
  if (windowMs >= minuteMs && windowMs <= maxWindowMs) return windowMs;
  throw invalidParameter("window", `must be from 1 minute to ${maxWindowDays} days, as in window=6h`);
}

function runFamilies({ workflows }: Census, now: number): Family[] {
  const runs = workflows.flatMap(({ workflow, counts }) =>
    runStatuses.map((status): Sample => ({ labels: { workflow, status }, value: counts[status] })),
  );
  const family = familyOf(workflows, ({ workflow }) => ({ workflow }));
  return [
    { name: "holdfast_runs", help: "Runs that are kept, by what they are now.", samples: runs },
    family(
      "holdfast_oldest_open_run_age_seconds",
      "Time since the oldest run that has not ended was created; absent where all have ended.",
      ({ oldestOpenAt }) => ageOf(oldestOpenAt, now),
    ),
  ];
}

const ofWindow = "of the runs created in the window of the scrape (holdfast_window_seconds)";

function windowFamilies({ workflows }: Stats, windowMs: number): Family[] {
  const outcomes = ["completed", "failed", "cancelled", "open"] as const;
  const counts = workflows.flatMap((stats) =>
    outcomes.map((outcome): Sample => ({ labels: { workflow: stats.workflow, outcome }, value: stats[outcome] })),
  );
  const family = familyOf(workflows, ({ workflow }) => ({ workflow }));
  return [
    single(
      "holdfast_window_seconds",
      "Length of the window, up to the scrape, that the metrics of recent runs and their steps speak of.",
      windowMs / 1000,
    ),
    { name: "holdfast_window_runs", help: `Number ${ofWindow}, by what they are now.`, samples: counts },
    family(
      "holdfast_run_success_ratio",
      `Share that completed among those that completed or failed, ${ofWindow}; absent where none did.`,
      ({ successRate }) => successRate,
    ),
    {
      name: "holdfast_run_duration_seconds",
      help: `From creation to end, ${ofWindow} that completed or failed; quantile 1 is the longest, the others are off by 1 % at most.`,
      samples: workflows.flatMap(durationSamples),
    },
  ];
}

function durationSamples({ workflow, durations }: WorkflowStats): Sample[] {
  if (durations === null) return [];
  const { p50, p95, max } = durations;
  const quantiles = [
    ["0.5", p50],
    ["0.95", p95],
    ["1", max],
  ] as const;
  return quantiles.map(([quantile, ms]) => ({ labels: { workflow, quantile }, value: ms / 1000 }));
}

function stepFamilies({ workflows }: Stats): Family[] {
  const steps = workflows.flatMap(({ workflow, steps }) => steps.map((step) => ({ workflow, ...step })));
  const whole = familyOf(steps, ({ workflow, step }) => ({ workflow, step }));
  const family: typeof whole = (name, help, value) =>
    whole(name, `${help}, ${ofWindow}; of each workflow the 20 steps that fail most.`, value);
  return [
    family("holdfast_step_completions", "Calls of the step that completed", ({ completed }) => completed),
    family("holdfast_step_failures", "Calls of the step that failed for good", ({ failed }) => failed),
    family(
      "holdfast_step_failed_attempts",
      "Attempts of the step that failed, also where a later one succeeded",
      ({ failedAttempts }) => failedAttempts,
    ),
    family(
      "holdfast_step_duration_mean_seconds",
      "Mean time in the attempt that ended a call of the step",
      ({ meanMs }) => (meanMs === null ? null : meanMs / 1000),
    ),
  ];
}

function laneFamilies({ lanes, moreLanes }: Stats, now: number): Family[] {
  const family = familyOf(lanes, ({ name }) => ({ lane: name }));
  return [
    family(
      "holdfast_lane_slots_used",
      "Slots of the lane that are held; of a rate, starts within its period.",
      ({ used }) => used,
    ),
    family(
      "holdfast_lane_slots_limit",
      "Slots that the lane has; absent where nothing limits them.",
      ({ limit }) => limit,
    ),
    family("holdfast_lane_waiting", "Runs and steps that wait for a slot of the lane.", ({ waiting }) => waiting),
    family(
      "holdfast_lane_next_wait_seconds",
      "How long whoever is next in line has waited; absent where nobody waits.",
      ({ nextSinceAt }) => ageOf(nextSinceAt, now),
    ),
    single(
      "holdfast_lanes_left_out",
      "1 where there are more lanes than the 500 shown here, 0 where all are.",
      moreLanes ? 1 : 0,
    ),
  ];
}

function scheduleFamilies(schedules: readonly ScheduleInfo[]): Family[] {
  const family = familyOf(schedules, ({ id, workflow }) => ({ schedule: id, workflow }));
  return [
    family("holdfast_schedule_paused", "1 where the schedule is paused, 0 where it fires.", ({ paused }) =>
      paused === null ? 0 : 1,
    ),
    family(
      "holdfast_schedule_next_firing_timestamp_seconds",
      "When the schedule fires next, in Unix time; absent where it never does or is paused.",
      ({ paused, next: [next] }) => (paused !== null || next === undefined ? null : next / 1000),
    ),
    family(
      "holdfast_schedule_last_error_timestamp_seconds",
      "When the schedule last failed to start a run, in Unix time; absent where it never did, or a later firing has its run.",
      ({ lastError }) => (lastError === null ? null : lastError.at / 1000),
    ),
  ];
}

function scrapeFamilies({ shards }: Census, tookMs: number): Family[] {
  return [
    single("holdfast_scrape_shards", "Shards of the directory, all of which answered this scrape.", shards),
    single(
      "holdfast_scrape_duration_seconds",
      "How long it took to ask them, the lanes and the scheduler.",
      tookMs / 1000,
    ),
  ];
}

/** Makes families that have a sample of each of these, but for those of which `value` says null. */
function familyOf<Each>(all: readonly Each[], labelsOf: (each: Each) => Sample["labels"]) {
  return (name: string, help: string, value: (each: Each) => number | null): Family => {
    const samples = all.flatMap((each) => {
      const found = value(each);
      return found === null ? [] : [{ labels: labelsOf(each), value: found }];
    });
    return { name, help, samples };
  };
}

function single(name: string, help: string, value: number): Family {
  return { name, help, samples: [{ labels: {}, value }] };
}

function ageOf(at: number | null, now: number): number | null {
  return at === null ? null : Math.max(0, now - at) / 1000;
}
