/**
 * Redacts stored things for callers with a narrower visibility. Values become their shapes, and the words of people and errors
 * `(hidden)`; names, ids, codes, times, labels and lanes stay. Results are built field by field, so a new field is not shown
 * until it is listed here, or in the folder.
 */
import type { Cause } from "../service/directory.ts";
import type { Entry } from "../history/entry.ts";
import { HoldfastError } from "../error.ts";
import type { LaneInfo } from "../service/lanes.ts";
import { defined } from "../record.ts";
import { redactEntry } from "./entry.ts";
import { errorOrNull, hidden, redactError, shapeOf, shapeOrNull, wordsOf } from "./mask.ts";
import { redactRun, redactSummary, withoutUrl } from "./run.ts";
import type { RunSnapshot, RunSummary } from "../run/run.ts";
import type { QueryAnswer, UpdateAnswer, WorkflowInfo } from "../service/service.ts";
import type { Bar, Story, Timeline } from "../timeline/timeline.ts";
import type { ScheduleInfo } from "../service/schedules.ts";

/**
 * `whole`: everything. `unaddressed`: everything except for the addresses of open webhooks, which are credentials.
 * `shapes`: no addresses, and no data.
 */
export type Visibility = "whole" | "unaddressed" | "shapes";

/** How each kind of thing is shown to one visibility. `now` is epoch ms, for sentences. */
export type Redaction = {
  readonly run: (run: RunSnapshot, now: number) => RunSnapshot;
  readonly summary: (run: RunSummary, now: number) => RunSummary;
  readonly entry: (entry: Entry) => Entry;
  readonly timeline: (timeline: Timeline) => Timeline;
  readonly story: (story: Story) => Story;
  readonly schedule: (schedule: ScheduleInfo) => ScheduleInfo;
  readonly workflow: (workflow: WorkflowInfo) => WorkflowInfo;
  readonly lane: (lane: LaneInfo) => LaneInfo;
  readonly cause: (cause: Cause) => Cause;
  readonly query: (answer: QueryAnswer) => QueryAnswer;
  readonly update: (answer: UpdateAnswer) => UpdateAnswer;
  /** Redacts the error of a refused call, which may quote data. */
  readonly refusal: (thrown: unknown) => unknown;
};

const same = <Value>(value: Value): Value => value;

export const redactions: Readonly<Record<Exclude<Visibility, "whole">, Redaction>> = {
  unaddressed: {
    run: (run) => ({ ...run, waitingFor: run.waitingFor.map(withoutUrl) }),
    summary: (run) => ({ ...run, waitingFor: run.waitingFor.map(withoutUrl) }),
    entry: (entry) => redactEntry(entry, "address"),
    ...{ timeline: same, story: same, schedule: same, workflow: same, lane: same, cause: same },
    ...{ query: same, update: same, refusal: same },
  },
  shapes: {
    run: redactRun,
    summary: redactSummary,
    entry: (entry) => redactEntry(entry, null),
    timeline: ({ bars, from, total, count, startedAt, endedAt, ended, idle }) => {
      return { bars: bars.map(redactBar), from, total, count, startedAt, endedAt, ended, idle };
    },
    story: ({ bar, place, input, output, sensitive, idempotencyKey }) => {
      const shapes = { input: shapeOrNull(input), output: shapeOrNull(output) };
      return { bar: redactBar(bar), place, ...shapes, sensitive, idempotencyKey };
    },
    schedule: redactSchedule,
    workflow: ({ name, version, versions, input, signals, schedules, terms, counts }) => {
      return { name, version, versions, input, signals, schedules: schedules.map(redactSchedule), terms, counts };
    },
    lane: redactLane,
    cause: ({ id, workflow, code, step, count, firstAt, lastAt, run, root, depth }) => {
      return { id, workflow, code, step, message: hidden, count, firstAt, lastAt, run, root, depth };
    },
    query: (answer) => {
      if (answer.kind === "failed") return { kind: answer.kind, error: redactError(answer.error) };
      return { kind: answer.kind, result: shapeOf(answer.result) };
    },
    update: redactUpdate,
    refusal: redactRefusal,
  },
};

function redactBar(bar: Bar): Bar {
  const { index, key, kind, name, status, startedAt, endedAt, until, attempts, attemptCount, attemptLimit } = bar;
  const { child, error, rejected, firstSeq, lastSeq, calls } = bar;
  return {
    ...{ index, key, kind, name, status, startedAt, endedAt, until },
    attempts: attempts.map((each) => {
      const { attempt, startedAt: beganAt, endedAt: overAt, error: thrown, interrupted, retryAt } = each;
      return { attempt, startedAt: beganAt, endedAt: overAt, error: errorOrNull(thrown), interrupted, retryAt };
    }),
    ...{ attemptCount, attemptLimit, child, error: errorOrNull(error) },
    rejected: rejected.map(({ at, code }) => ({ at, reason: hidden, ...defined({ code }) })),
    ...{ firstSeq, lastSeq },
    ...defined({ calls }),
  };
}

function redactSchedule(info: ScheduleInfo): ScheduleInfo {
  const { id, workflow, cron, timezone, input, overlap, catchUpMs, jitterMs, pauseOnFailure, source } = info;
  const { paused, lastError, backfills, next } = info;
  return {
    ...{ id, workflow, cron, timezone, input: shapeOf(input), overlap, catchUpMs, jitterMs, pauseOnFailure, source },
    paused: paused === null ? null : { ...paused, reason: wordsOf(paused.reason) },
    lastError: lastError === null ? null : { at: lastError.at, slotAt: lastError.slotAt, message: hidden },
    ...{ backfills, next },
  };
}

function redactLane({ setting, ...lane }: LaneInfo): LaneInfo {
  return setting === undefined ? lane : { ...lane, setting: { ...setting, reason: wordsOf(setting.reason) } };
}

function redactUpdate(answer: UpdateAnswer): UpdateAnswer {
  switch (answer.kind) {
    case "completed":
      return { kind: answer.kind, update: answer.update, result: shapeOf(answer.result) };
    case "failed":
      return { kind: answer.kind, update: answer.update, error: redactError(answer.error) };
    case "open":
      return answer;
    default:
      return answer satisfies never;
  }
}

/** Codes of refusals whose message comes from a schema or a function of the workflow, and may quote data. */
const quoting: ReadonlySet<string> = new Set([
  "input_invalid",
  "label_invalid",
  "notify_invalid",
  "signal_invalid",
  "update_invalid",
  "update_failed",
  "value_uncloneable",
]);

function redactRefusal(thrown: unknown): unknown {
  if (!(thrown instanceof HoldfastError) || !quoting.has(thrown.code)) return thrown;
  return new HoldfastError(thrown.code, `what it was refused for is not shown with this sight: ${hidden}`);
}
