/**
 * Owns: the JSON of the API: instants as RFC 3339, values by `toJson`, fields in the order in which the API describes them.
 */
import type { Entry } from "../core/history/entry.ts";
import { isValueField } from "../core/history/field.ts";
import type { Field, ValueField } from "../core/history/field.ts";
import type { Continuation } from "../core/run/origin.ts";
import { createRoom, toJson } from "../core/value/json.ts";
import type { Room } from "../core/value/json.ts";
import { costOf } from "../core/run/price.ts";
import { defined } from "../core/record.ts";
import { sentenceOf } from "../core/sentence/sentence.ts";
import type { HistoryPage, RunSnapshot, RunSummary, Waiting } from "../core/run/run.ts";
import type { WorkflowInfo } from "../core/service/service.ts";
import type { ScheduleInfo } from "../core/service/schedules.ts";
import type { Usage } from "../core/run/usage.ts";
import { decode } from "../core/value/value.ts";
import type { Stored } from "../core/value/value.ts";

type Json = Readonly<Record<string, unknown>>;

/** The response with a run, and where it is. @param more fields beside its own */
export function respondRun(run: RunSnapshot, status: 200 | 201 | 202, more: Json = {}): Response {
  return Response.json({ ...viewRun(run), ...more }, { status, headers: { location: `/v1/runs/${run.id}` } });
}

export function viewRun(run: RunSnapshot): Json {
  const { id, workflow, version, status, input, output, error, labels, progress } = run;
  const room = createRoom();
  return {
    ...{ id, workflow, version, status, input: viewValue(input, room), output: viewValue(output, room), error, labels },
    progress: viewValue(progress, room),
    ...viewTimes(run, {
      active: run.active.map(({ step, attempt, since }) => ({ step, attempt, since: viewInstant(since) })),
    }),
  };
}

/** A run as it is listed: without its values, which the directory does not keep. */
export function viewSummary(run: RunSummary): Json {
  const { id, workflow, version, status, error, labels } = run;
  return { id, workflow, version, status, error, labels, ...viewTimes(run) };
}

/** The last fields of both. @param now what the run is executing, where that is known */
function viewTimes(run: RunSummary, now: Json = {}): Json {
  const { parent, fork, createdAt, startedAt, updatedAt, finishedAt, waitingFor, reason, steps, trace, usage } = run;
  return {
    parent,
    ...(fork === null ? {} : { fork }),
    createdAt: viewInstant(createdAt),
    startedAt: viewInstant(startedAt),
    updatedAt: viewInstant(updatedAt),
    finishedAt: viewInstant(finishedAt),
    waitingFor: waitingFor.map(viewWaiting),
    reason,
    steps,
    ...now,
    ...viewMeasured({ trace, usage }),
  };
}

/** Runs that an older deployment listed have neither. */
function viewMeasured({ trace, usage }: Partial<Pick<RunSummary, "trace" | "usage">>): Json {
  return defined({ trace, cost: usage && viewCost(usage) });
}

/** The run's usage, and its price in US dollars, storage for 30 days included. */
function viewCost(usage: Usage): Json {
  const { rowsWritten, requests, awakeMs, bytesStored } = usage;
  // Three significant digits are enough for amounts this small.
  const usd = Number(costOf(usage).toPrecision(3));
  return { rowsWritten, requests, secondsAwake: awakeMs / 1000, bytesStored, usd };
}

function viewWaiting({ since, until, ...waiting }: Waiting): Json {
  const { kind, name, listener: _listener, ...rest } = waiting;
  return { kind, name, since: viewInstant(since), until: viewInstant(until), ...rest };
}

export function viewHistory({ entries, next }: HistoryPage): Json {
  const room = createRoom();
  return { entries: entries.map((entry) => viewEntry(entry, room)), next };
}

type Form = "plain" | "instant" | "value" | "firing" | "continuation" | "hidden";

/** How each field of an entry is shown that holds no value; one that is not here does not compile. */
const forms: Readonly<Record<Exclude<Field, ValueField>, Form>> = {
  seq: "plain",
  at: "instant",
  kind: "plain",
  id: "plain",
  workflow: "plain",
  version: "plain",
  labels: "plain",
  parent: "plain",
  schedule: "firing",
  startAt: "instant",
  notAfter: "instant",
  // Internal: only for addresses of webhooks.
  origin: "hidden",
  key: "plain",
  by: "plain",
  role: "plain",
  trace: "plain",
  shards: "hidden",
  limit: "plain",
  used: "plain",
  deployment: "plain",
  held: "plain",
  step: "plain",
  attempt: "plain",
  startedAt: "instant",
  error: "plain",
  retryAt: "instant",
  call: "plain",
  name: "plain",
  wakeAt: "instant",
  wait: "plain",
  until: "instant",
  signal: "plain",
  url: "plain",
  reason: "plain",
  level: "plain",
  message: "plain",
  shiftMs: "plain",
  cleared: "plain",
  reply: "hidden",
  lanes: "plain",
  claims: "plain",
  seed: "hidden",
  fork: "plain",
  continuation: "continuation",
  retention: "plain",
  undo: "plain",
  sensitive: "plain",
  ends: "plain",
  steps: "plain",
  child: "plain",
  policy: "plain",
  detached: "plain",
  left: "plain",
  calls: "plain",
  listener: "plain",
  label: "plain",
  update: "plain",
  patch: "plain",
  lane: "plain",
  awaited: "plain",
  givenUp: "plain",
  retried: "plain",
  action: "plain",
  notify: "plain",
  run: "plain",
  of: "plain",
  from: "plain",
  omitted: "plain",
  code: "plain",
  generation: "plain",
  // Internal: the number of an object.
  courier: "hidden",
  print: "hidden",
  apart: "hidden",
  told: "hidden",
};

/** @param room of the page that it stands on */
export function viewEntry(entry: Entry, room = createRoom()): Json {
  const { seq, at, kind, ...rest } = entry;
  const view: Record<string, unknown> = { seq, at: viewInstant(at), kind, text: sentenceOf(entry) };
  for (const [name, value] of Object.entries(rest)) {
    if (name === "result" && "sensitive" in rest) continue;
    const shown = viewField(name, value, room);
    if (shown !== undefined) view[name] = shown;
  }
  return view;
}

function formOf(name: string): Form {
  if (Object.hasOwn(forms, name)) return forms[name as keyof typeof forms];
  // An entry of a newer deployment may have fields that this one does not know.
  return isValueField(name) ? "value" : "hidden";
}

function viewField(name: string, value: unknown, room: Room): unknown {
  const form = formOf(name);
  switch (form) {
    case "plain":
      return value;
    case "instant":
      return viewInstant(value as number | null);
    case "value":
      return viewValue(value as Stored, room);
    case "firing": {
      const firing = value as { readonly id: string; readonly at: number } | null;
      return firing === null ? null : { id: firing.id, at: viewInstant(firing.at) };
    }
    case "continuation": {
      const { count, createdAt, restarted } = value as Continuation;
      return { count, createdAt: viewInstant(createdAt), ...defined({ restarted }) };
    }
    case "hidden":
      return undefined;
    default:
      return form satisfies never;
  }
}

export function viewWorkflow(info: WorkflowInfo): Json {
  const { name, version, versions, input, signals, schedules, counts } = info;
  return { name, version, versions, input, signals, schedules: schedules.map(viewSchedule), counts };
}

export function viewSchedule(info: ScheduleInfo): Json {
  const { id, workflow, cron, timezone, input, overlap, catchUpMs, jitterMs, paused, pauseOnFailure } = info;
  const { source, lastError, backfills, next } = info;
  return {
    id,
    workflow,
    cron,
    timezone,
    input: viewValue(input),
    overlap,
    catchUp: catchUpMs,
    jitter: jitterMs,
    paused: paused !== null,
    pausedAt: viewInstant(paused?.at ?? null),
    pausedBy: paused?.by ?? null,
    ...(paused?.role === undefined ? {} : { pausedRole: paused.role }),
    pausedReason: paused?.reason ?? null,
    pauseOnFailure,
    source,
    lastError:
      lastError === null
        ? null
        : { at: viewInstant(lastError.at), firing: viewInstant(lastError.slotAt), message: lastError.message },
    backfills: backfills.map(({ fromAt, untilAt, ...backfill }) => ({
      from: viewInstant(fromAt),
      to: viewInstant(untilAt),
      ...backfill,
    })),
    next: next.map(viewInstant),
  };
}

/** @param room of the answer that it is a part of */
export function viewValue(stored: Stored | null, room = createRoom()): unknown {
  if (stored === null) return null;
  // Enough for a value that repeats nothing, also where another one has taken all the room for repetitions.
  room.left = Math.max(0, room.left) + 8 * stored.length;
  return toJson(decode(stored), room);
}

/** The last instant that RFC 3339 can write. */
const lastInstant = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

export function viewInstant(at: number | null): string | null {
  return at === null ? null : new Date(Math.min(at, lastInstant)).toISOString();
}
