/**
 * What somebody with a narrower sight is shown of what is stored. Values become their shapes, and words that
 * people or errors said become `(hidden)`; names, ids, codes, times, labels and lanes stay. Everything is put
 * together field by field: a field that is new is not shown until it has its line here.
 * Long because everything that may be shown stands here once.
 */
import type { Entry } from "./entry.ts";
import { HoldfastError } from "./error.ts";
import type { StoredError } from "./error.ts";
import type { Continuation, ForkOrigin } from "./origin.ts";
import { reasonAt } from "./reason.ts";
import type { RunSnapshot, RunSummary, Waiting } from "./run.ts";
import type { LaneInfo } from "./lanes.ts";
import type { Cause } from "./directory.ts";
import { defined } from "./record.ts";
import type { QueryAnswer, UpdateAnswer, WorkflowInfo } from "./service.ts";
import { outlineOf } from "./shape.ts";
import type { Bar, Story, Timeline } from "./timeline.ts";
import type { ScheduleInfo } from "./timetable.ts";
import { decode, encodeShape } from "./value.ts";
import type { Stored } from "./value.ts";

/**
 * `whole`: all there is. `unaddressed`: all but the addresses of open webhooks, which are the right to answer
 * them. `shapes`: no addresses, and no data.
 */
export type Sight = "whole" | "unaddressed" | "shapes";

export const sights = ["whole", "unaddressed", "shapes"] as const satisfies readonly Sight[];

/** Stands where words are not shown. */
export const hidden = "(hidden)";

/** How each kind of thing is shown to one sight. `now` is epoch ms, for sentences. */
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
  /** Of a call that judges what is stored: what was thrown. */
  readonly refusal: (thrown: unknown) => unknown;
};

const same = <Value>(value: Value): Value => value;

export const redactions: Readonly<Record<Exclude<Sight, "whole">, Redaction>> = {
  unaddressed: {
    run: (run) => ({ ...run, waitingFor: run.waitingFor.map(withoutUrl) }),
    summary: (run) => ({ ...run, waitingFor: run.waitingFor.map(withoutUrl) }),
    entry: (entry) => redactEntry(entry, new Set(["address"])),
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
    cause: ({ id, workflow, code, step, count, firstAt, lastAt, run }) => {
      return { id, workflow, code, step, message: hidden, count, firstAt, lastAt, run };
    },
    query: (answer) => {
      if (answer.kind === "failed") return { kind: answer.kind, error: redactError(answer.error) };
      return { kind: answer.kind, result: shapeOf(answer.result) };
    },
    update: redactUpdate,
    refusal: redactRefusal,
  },
};

function shapeOf(stored: Stored): Stored {
  return encodeShape(outlineOf(decode(stored)));
}

function shapeOrNull(stored: Stored | null): Stored | null {
  return stored === null ? null : shapeOf(stored);
}

function redactError(error: StoredError): StoredError {
  const { name, code, step, attempts, index, child, cause, errors, undone, notUndone } = error;
  return {
    name,
    message: hidden,
    ...defined({ code, step, attempts, index, child }),
    ...defined({ cause: cause && redactError(cause), errors: errors?.map(redactError), undone }),
    ...defined({ notUndone: notUndone?.map(({ step: of }) => ({ step: of, message: hidden })) }),
  };
}

function errorOrNull(error: StoredError | null): StoredError | null {
  return error === null ? null : redactError(error);
}

function wordsOf<Words extends string | null>(words: Words): Words | typeof hidden {
  return words === null ? words : hidden;
}

function withoutUrl({ url: _url, ...wait }: Waiting): Waiting {
  return wait;
}

function redactWaiting(waiting: Waiting): Waiting {
  const { error, ...wait } = withoutUrl(waiting);
  return error === undefined ? wait : { ...wait, error: hidden };
}

function redactRun(run: RunSnapshot, now: number): RunSnapshot {
  const { input, output, progress, active } = run;
  return {
    ...redactSummary(run, now),
    ...{ input: shapeOf(input), output: shapeOrNull(output), progress: shapeOrNull(progress), active },
  };
}

function redactSummary(run: RunSummary, now: number): RunSummary {
  const { id, workflow, version, status, labels, parent, schedule, fork, createdAt, startedAt, updatedAt } = run;
  const { finishedAt, steps, usage, tallies, trace, seq } = run;
  const waitingFor = run.waitingFor.map(redactWaiting);
  return {
    ...{ id, workflow, version, status, error: errorOrNull(run.error), labels, parent, schedule, fork },
    ...{ createdAt, startedAt, updatedAt, finishedAt, waitingFor, ...redactReason(run, waitingFor, now) },
    ...{ steps, usage, tallies, trace, seq },
  };
}

/** What a run is about that is on its way to its end: the sentence itself may say why. */
const parting = "on its way to its end";

/** The sentence made anew where it is made of names and times, and told by the status alone where it is not. */
function redactReason(
  run: RunSummary,
  waitingFor: readonly Waiting[],
  now: number,
): Pick<RunSummary, "reason" | "lead"> {
  const { status, error, reason } = run;
  const lead = typeof run.lead === "string" ? parting : run.lead;
  switch (status) {
    case "completed":
      return { reason: null };
    case "failed":
    case "cancelled":
    case "paused":
      return { reason: error?.code === undefined ? status : `${status} (${error.code})` };
    case "running":
      return lead === undefined ? { reason: status } : { reason: lead ?? reason, lead };
    case "queued":
    case "waiting": {
      if (lead === undefined) return { reason: status };
      const base = lead ?? (status === "queued" ? "about to start" : null);
      return { reason: reasonAt({ status, waitingFor, reason: base, lead }, now), lead };
    }
    default:
      return status satisfies never;
  }
}

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

/** Refusals that a schema or a function of the workflow's words, which may quote what it was shown. */
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

type FieldOf<Each> = Each extends Each ? keyof Each : never;

/** How a field of an entry is told. */
type Manner = "kept" | "value" | "error" | "words" | "address" | "fork" | "continuation" | "dropped";

/** A field that is not here does not compile. */
const manners: Readonly<Record<FieldOf<Entry>, Manner>> = {
  seq: "kept",
  at: "kept",
  kind: "kept",
  id: "kept",
  workflow: "kept",
  version: "kept",
  input: "value",
  sent: "value",
  labels: "kept",
  parent: "kept",
  schedule: "kept",
  startAt: "kept",
  notAfter: "kept",
  origin: "dropped",
  key: "kept",
  by: "kept",
  role: "kept",
  trace: "kept",
  shards: "dropped",
  limit: "kept",
  used: "kept",
  deployment: "kept",
  held: "kept",
  step: "kept",
  attempt: "kept",
  startedAt: "kept",
  error: "error",
  retryAt: "kept",
  result: "value",
  call: "kept",
  name: "kept",
  wakeAt: "kept",
  wait: "kept",
  until: "kept",
  payload: "value",
  signal: "kept",
  url: "address",
  request: "value",
  reason: "words",
  level: "kept",
  message: "words",
  data: "value",
  value: "value",
  shiftMs: "kept",
  cleared: "kept",
  output: "value",
  reply: "dropped",
  lanes: "kept",
  claims: "kept",
  seed: "dropped",
  fork: "fork",
  continuation: "continuation",
  undo: "kept",
  sensitive: "kept",
  ends: "kept",
  steps: "kept",
  apart: "dropped",
  child: "kept",
  policy: "kept",
  detached: "kept",
  left: "kept",
  calls: "kept",
  listener: "kept",
  update: "kept",
  argument: "value",
  patch: "kept",
  lane: "kept",
  awaited: "kept",
  givenUp: "kept",
  action: "kept",
  // An address that is told of the end is often a credential as well.
  notify: "dropped",
  run: "kept",
  from: "kept",
  omitted: "kept",
  code: "kept",
  generation: "kept",
  courier: "kept",
  print: "dropped",
  of: "kept",
};

/** @param only the manners that count; the fields of others stay as they are. Null: all of them. */
function redactEntry(entry: Entry, only: ReadonlySet<Manner> | null): Entry {
  const shown: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(entry)) {
    // An entry of a newer deployment may have fields that this one does not know.
    const manner = Object.hasOwn(manners, name) ? manners[name as FieldOf<Entry>] : "dropped";
    const told = only === null || only.has(manner) ? tellField(manner, value) : value;
    if (told !== undefined) shown[name] = told;
  }
  return shown as Entry;
}

/** Undefined where it is not told at all. */
function tellField(manner: Manner, value: unknown): unknown {
  switch (manner) {
    case "kept":
      return value;
    case "value":
      return shapeOf(value as Stored);
    case "error":
      return redactError(value as StoredError);
    case "address":
      return hidden;
    case "words":
      return wordsOf(value as string | null);
    case "fork": {
      const { id, step, upTo, reason } = value as ForkOrigin;
      return { id, step, upTo, reason: wordsOf(reason) } satisfies ForkOrigin;
    }
    case "continuation": {
      // The signals and updates that it brings along are left out.
      const { count, createdAt } = value as Continuation;
      return { count, createdAt, keys: [] } satisfies Continuation;
    }
    case "dropped":
      return undefined;
    default:
      return manner satisfies never;
  }
}
