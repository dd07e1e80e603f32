/** Routes of schedules. */
import { defined } from "../../core/record.ts";
import { overlaps } from "../../core/service/schedules.ts";
import type {
  BackfillOverlap,
  BackfillRequest,
  ScheduleFields,
  ScheduleRequest,
} from "../../core/service/schedules.ts";
import { readMetadata } from "../auth/author.ts";
import { invalidField, needField, readField, readFields, readText, readValueField } from "../body.ts";
import type { Fields } from "../body.ts";
import { invalidParameter, readCount, readParameter, readQuery, readWait } from "../query.ts";
import { asInstant, asName, asOneOf } from "../reading.ts";
import type { Reading } from "../reading.ts";
import type { Call, Route } from "../route.ts";
import { urlOf } from "../url.ts";
import { respondRun, viewSchedule } from "../view.ts";

const maxText = 256;
const maxNext = 200;
const shownNext = 5;

export const scheduleRoutes: readonly Route[] = [
  { method: "GET", path: "/v1/schedules", role: "read", handle: list },
  { method: "POST", path: "/v1/schedules", role: "admin", handle: create },
  { method: "GET", path: "/v1/schedules/:id", role: "read", handle: find },
  { method: "PATCH", path: "/v1/schedules/:id", role: "admin", handle: change },
  { method: "DELETE", path: "/v1/schedules/:id", role: "admin", handle: remove },
  { method: "POST", path: "/v1/schedules/:id/trigger", role: "operate", handle: trigger },
  { method: "POST", path: "/v1/schedules/:id/backfill", role: "admin", handle: backfill },
];

async function list({ service, request }: Call): Promise<Response> {
  const workflow = readParameter(readQuery(request, ["workflow"]), "workflow", asName);
  return Response.json({ schedules: (await service.schedules.list(workflow)).map(viewSchedule) });
}

async function find({ service, request, param }: Call): Promise<Response> {
  const next = readCount(readQuery(request, ["next"]), "next") ?? shownNext;
  if (next > maxNext) throw invalidParameter("next", `must be at most ${maxNext}`);
  return Response.json(viewSchedule(await service.schedules.find(param("id"), next)));
}

const changeable = [
  ...["workflow", "cron", "timezone", "input", "overlap", "catchUp", "jitter", "paused", "pauseOnFailure"],
  "reason",
];

async function create(call: Call): Promise<Response> {
  readQuery(call.request);
  const fields = await readFields(call.request, ["id", ...changeable]);
  const { schedule, created } = await call.service.schedules.create(readSchedule(call, fields));
  const headers = { location: `/v1/schedules/${encodeURIComponent(schedule.id)}` };
  return Response.json(viewSchedule(schedule), { status: created ? 201 : 200, headers });
}

async function change(call: Call): Promise<Response> {
  readQuery(call.request);
  const fields = await readFields(call.request, changeable);
  const options = { ...readMetadata(call, fields), ...readChange(fields) };
  return Response.json(viewSchedule(await call.service.schedules.change(call.param("id"), options)));
}

async function remove(call: Call): Promise<Response> {
  readQuery(call.request);
  const options = readMetadata(call, await readFields(call.request, ["reason"]));
  await call.service.schedules.remove(call.param("id"), options);
  return new Response(null, { status: 204 });
}

async function trigger(call: Call): Promise<Response> {
  const waitMs = readWait(readQuery(call.request, ["wait"]));
  const options = readMetadata(call, await readFields(call.request, ["reason"]));
  const { origin } = urlOf(call.request);
  const { run, created } = await call.service.schedules.trigger(call.param("id"), { ...options, origin, waitMs });
  return respondRun(run, created ? 201 : 200);
}

async function backfill(call: Call): Promise<Response> {
  readQuery(call.request);
  const fields = await readFields(call.request, ["from", "to", "overlap", "reason"]);
  const options = { ...readMetadata(call, fields), ...readRange(fields) };
  const { firings } = await call.service.schedules.backfill(call.param("id"), options);
  return Response.json({ firings }, { status: 202 });
}

function readSchedule(call: Call, fields: Fields): ScheduleRequest {
  const options = readMetadata(call, fields);
  const workflow = needText(fields, "workflow");
  // The same default as for a rule in the code.
  const id = readText(fields, "id", maxText) ?? workflow;
  if (id === "" || !id.isWellFormed() || id.includes("\0") || id === "." || id === "..") {
    throw invalidField("id", "must be well-formed text of 1 to 256 characters without NUL, and not . or .. alone");
  }
  return {
    ...options,
    ...readChange(fields),
    id,
    workflow,
    cron: needText(fields, "cron"),
  };
}

function needText(fields: Fields, name: string): string {
  const text = readText(fields, name, maxText);
  if (text === undefined) throw invalidField(name, "is needed");
  return text;
}

/** The given fields, checked for their types. Their values are checked with the rule (core/schedule). */
function readChange(fields: Fields): ScheduleFields {
  return defined({
    workflow: readText(fields, "workflow", maxText),
    cron: readText(fields, "cron", maxText),
    timezone: readText(fields, "timezone", maxText),
    input: Object.hasOwn(fields, "input") ? readValueField(fields, "input") : undefined,
    overlap: readField(fields, "overlap", asOneOf(overlaps)),
    catchUp: readField(fields, "catchUp", asSpan),
    jitter: readField(fields, "jitter", asSpan),
    paused: readField(fields, "paused", asSwitch),
    pauseOnFailure: readField(fields, "pauseOnFailure", asSwitch),
  });
}

const asSpan: Reading<number | string> = {
  of: (given) => (typeof given === "number" || typeof given === "string" ? given : null),
  rule: "must be a span of time, such as 90000 (milliseconds) or 5 minutes",
};

const asSwitch: Reading<boolean> = {
  of: (given) => (typeof given === "boolean" ? given : null),
  rule: "must be true or false",
};

export const backfillOverlaps: readonly BackfillOverlap[] = ["allow-all", "buffer-all"];

function readRange(fields: Fields): Pick<BackfillRequest, "fromAt" | "untilAt" | "overlap"> {
  const fromAt = needField(fields, "from", asInstant);
  const untilAt = needField(fields, "to", asInstant);
  if (untilAt <= fromAt) throw invalidField("to", "must be later than from");
  return { fromAt, untilAt, ...defined({ overlap: readField(fields, "overlap", asOneOf(backfillOverlaps)) }) };
}
