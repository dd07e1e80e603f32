/**
 * Owns: `GET /metrics`: the metrics and their names.
 * Does not own: the format (exposition), the figures (the service).
 */
import { runStatuses } from "../../core/run/run.ts";
import type { Census, Stats, StepStats, WorkflowStats } from "../../core/stats/stats.ts";
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
  const ages = samplesOf(workflows, ({ workflow, oldestOpenAt }) => [{ workflow }, ageOf(oldestOpenAt, now)]);
  return [
    { name: "holdfast_runs", help: "Runs that are kept, by what they are now.", samples: runs },
    {
      name: "holdfast_oldest_open_run_age_seconds",
      help: "Time since the oldest run that has not ended was created; absent where all have ended.",
      samples: ages,
    },
  ];
}

const ofWindow = "of the runs created in the window of the scrape (holdfast_window_seconds)";

function windowFamilies({ workflows }: Stats, windowMs: number): Family[] {
  const outcomes = ["completed", "failed", "cancelled", "open"] as const;
  const counts = workflows.flatMap((stats) =>
    outcomes.map((outcome): Sample => ({ labels: { workflow: stats.workflow, outcome }, value: stats[outcome] })),
  );
  return [
    {
      name: "holdfast_window_seconds",
      help: "Length of the window, up to the scrape, that the metrics of recent runs and their steps speak of.",
      samples: [{ labels: {}, value: windowMs / 1000 }],
    },
    { name: "holdfast_window_runs", help: `Number ${ofWindow}, by what they are now.`, samples: counts },
    {
      name: "holdfast_run_success_ratio",
      help: `Share that completed among those that completed or failed, ${ofWindow}; absent where none did.`,
      samples: samplesOf(workflows, ({ workflow, successRate }) => [{ workflow }, successRate]),
    },
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
  const family = (name: string, help: string, value: (step: StepStats) => number | null): Family => ({
    name,
    help: `${help}, ${ofWindow}; of each workflow the 20 steps that fail most.`,
    samples: samplesOf(steps, (each) => [{ workflow: each.workflow, step: each.step }, value(each)]),
  });
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
  return [
    {
      name: "holdfast_lane_slots_used",
      help: "Slots of the lane that are held; of a rate, starts within its period.",
      samples: samplesOf(lanes, ({ name, used }) => [{ lane: name }, used]),
    },
    {
      name: "holdfast_lane_slots_limit",
      help: "Slots that the lane has; absent where nothing limits them.",
      samples: samplesOf(lanes, ({ name, limit }) => [{ lane: name }, limit]),
    },
    {
      name: "holdfast_lane_waiting",
      help: "Runs and steps that wait for a slot of the lane.",
      samples: samplesOf(lanes, ({ name, waiting }) => [{ lane: name }, waiting]),
    },
    {
      name: "holdfast_lane_next_wait_seconds",
      help: "How long whoever is next in line has waited; absent where nobody waits.",
      samples: samplesOf(lanes, ({ name, nextSinceAt }) => [{ lane: name }, ageOf(nextSinceAt, now)]),
    },
    {
      name: "holdfast_lanes_left_out",
      help: "1 where there are more lanes than the 500 shown here, 0 where all are.",
      samples: [{ labels: {}, value: moreLanes ? 1 : 0 }],
    },
  ];
}

function scheduleFamilies(schedules: readonly ScheduleInfo[]): Family[] {
  const family = (name: string, help: string, value: (schedule: ScheduleInfo) => number | null): Family => ({
    name,
    help,
    samples: samplesOf(schedules, (each) => [{ schedule: each.id, workflow: each.workflow }, value(each)]),
  });
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
    {
      name: "holdfast_scrape_shards",
      help: "Shards of the directory, all of which answered this scrape.",
      samples: [{ labels: {}, value: shards }],
    },
    {
      name: "holdfast_scrape_duration_seconds",
      help: "How long it took to ask them, the lanes and the scheduler.",
      samples: [{ labels: {}, value: tookMs / 1000 }],
    },
  ];
}

/** A sample for each, except for those without a value. */
function samplesOf<Each>(
  all: readonly Each[],
  sample: (each: Each) => readonly [labels: Sample["labels"], value: number | null],
): Sample[] {
  return all.flatMap((each) => {
    const [labels, value] = sample(each);
    return value === null ? [] : [{ labels, value }];
  });
}

function ageOf(at: number | null, now: number): number | null {
  return at === null ? null : Math.max(0, now - at) / 1000;
}
