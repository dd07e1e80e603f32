/**
 * Owns: the requests and responses of each route, for the description of the API. Tests fail if a route is missing here, or
 * takes other parameters or fields.
 * Long because it is one table with a line or two for each route.
 */
import { runStatuses } from "../../core/run/run.ts";
import { barKinds } from "../../core/timeline/timeline.ts";
import { bulkActions } from "../routes/bulk.ts";
import { backfillOverlaps } from "../routes/schedule.ts";
import { closed, count, flag, instant, listOf, mapOf, object, orNull, ref, text, value } from "./schema.ts";
import type { Schema } from "./schema.ts";

export type Operation = {
  readonly summary: string;
  readonly query?: Readonly<Record<string, Schema>>;
  /** Fields of the JSON object in the body; only those in `needed` are required. */
  readonly fields?: Readonly<Record<string, Schema>>;
  readonly needed?: readonly string[];
  /** The whole body, if it is not an object with fields. */
  readonly body?: Schema;
  /** Media type of the body; JSON unless set. */
  readonly takes?: string;
  /** Whether the route takes an `Idempotency-Key`. */
  readonly keyed?: true;
  /** Other headers that the route reads, with their descriptions. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Bodies of responses by status; null for none. Problems are not listed: every route may respond with one. */
  readonly answers: Readonly<Record<number, Schema | null>>;
  /** Media type of the response; JSON unless set. */
  readonly type?: string;
  /** Whether it may be answered otherwise: as the `respond` of a workflow's code says, or with a page for people. */
  readonly free?: true;
};

const run = ref("Run");
/** An update that takes longer than a minute: it is answered before its result is there. */
const openUpdate = object({ accepted: flag, update: text });
/** The run, and beside it the answer to the update that came with its start. */
const started = { ...run, ...object({ update: { anyOf: [object({ result: value }), openUpdate] } }, ["update"]) };
const startedOne = object({ id: text, status: { enum: runStatuses }, created: flag });
const refusedOne = object({ problem: ref("Problem"), retryAfter: count }, ["retryAfter"]);
const wait = { type: "string", examples: ["10s"], description: "Wait this long for the end; at most 60 s." };
const limit = { type: "integer", minimum: 1, maximum: 200 };
const conditions = {
  workflow: text,
  createdAfter: instant,
  createdBefore: instant,
  idPrefix: text,
  errorCode: text,
  cause: { type: "string", description: "The id of a cause: runs that failed of it." },
};
const filters = {
  ...conditions,
  status: { type: "string", description: `One of ${runStatuses.join(", ")}; several with commas between them.` },
  "label.KEY": {
    type: "string",
    description: "Labels that a run has, each by its name as label.KEY, KEY being the label's key.",
  },
};
const filterFields = closed({ ...conditions, status: { anyOf: [text, listOf(text)] }, labels: mapOf(text) });
const asked = { reason: text };
const action: Operation = { summary: "", fields: asked, keyed: true, answers: { 200: run } };
const span: Schema = { anyOf: [{ type: "number" }, text], examples: ["5 minutes", 90_000] };
const inBatch = {
  input: value,
  id: text,
  labels: mapOf(text),
  notify: { anyOf: [text, listOf(text)], description: "Addresses that are told of its end; at most 10." },
  delay: span,
  startAt: instant,
  notAfter: { ...instant, description: "The run is cancelled at this instant if it has not begun by then." },
  signal: object({ name: text, payload: value }, ["payload"]),
};
const schedule = {
  workflow: text,
  cron: text,
  timezone: text,
  input: value,
  overlap: text,
  catchUp: span,
  jitter: span,
  paused: flag,
  pauseOnFailure: flag,
  reason: text,
};

/** By method and path. */
export const operations: Readonly<Record<string, Operation>> = {
  "GET /health": { summary: "Liveness; no token", answers: { 200: object({ status: text }) } },
  "GET /openapi.json": {
    summary: "This description",
    answers: { 200: { type: "object" } },
    type: "application/openapi+json",
  },
  "GET /v1/workflows": {
    summary: "The workflows of this deployment",
    answers: { 200: object({ workflows: listOf(ref("Workflow")) }) },
  },
  "GET /v1/workflows/:name": { summary: "One workflow", answers: { 200: ref("Workflow") } },
  "POST /v1/workflows/:name/runs": {
    summary: "Start a run; the same id or key again finds it",
    query: { wait },
    fields: { ...inBatch, update: object({ name: text, argument: value }, ["argument"]) },
    keyed: true,
    answers: { 200: started, 201: started },
  },
  "POST /v1/workflows/:name/batch": {
    summary: "Start many runs; each has a result of its own, in the same order",
    fields: { runs: { ...listOf(closed(inBatch)), minItems: 1, maxItems: 100 } },
    needed: ["runs"],
    keyed: true,
    answers: { 200: object({ runs: listOf({ anyOf: [startedOne, refusedOne] }) }) },
  },
  "GET /v1/runs": {
    summary: "Runs, newest first",
    query: { ...filters, limit, cursor: text },
    answers: { 200: object({ runs: listOf(ref("Summary")), cursor: orNull(text) }) },
  },
  "GET /v1/runs/:id": { summary: "One run", query: { wait }, answers: { 200: run } },
  "DELETE /v1/runs/:id": { summary: "Remove a run that has ended", fields: asked, keyed: true, answers: { 204: null } },
  "GET /v1/runs/:id/history": {
    summary: "What happened to a run, oldest first",
    query: { after: count, limit },
    answers: { 200: object({ entries: listOf(ref("Entry")), next: orNull(count) }) },
  },
  "GET /v1/runs/:id/events": {
    summary: "Its history and what follows, as server-sent events or over a WebSocket",
    query: { after: count },
    headers: { "Last-Event-ID": "The id of the last event that is known; counts where there is an after as well." },
    answers: { 200: text, 204: null },
    type: "text/event-stream",
  },
  "GET /v1/runs/:id/timeline": {
    summary: "What a run did, as bars over time",
    query: { from: count, limit, kind: { type: "string", enum: barKinds } },
    answers: { 200: { type: "object" } },
  },
  "GET /v1/runs/:id/steps/:key": { summary: "All that is on record of one step", answers: { 200: { type: "object" } } },
  "POST /v1/runs/:id/cancel": { ...action, summary: "Cancel; steps are undone" },
  "POST /v1/runs/:id/terminate": { ...action, summary: "End at once, undoing nothing" },
  "POST /v1/runs/:id/pause": { ...action, summary: "Pause" },
  "POST /v1/runs/:id/resume": { ...action, summary: "Go on after a pause" },
  "POST /v1/runs/:id/retry": { ...action, summary: "Go on from what failed, or make the next attempt now" },
  "POST /v1/runs/:id/fork": {
    summary: "A new run with the history of this one up to a step",
    query: { dryRun: flag },
    fields: { from: text, input: value, results: mapOf(value), id: text, reason: text },
    keyed: true,
    answers: { 200: { anyOf: [run, object({ kept: listOf(text), rerun: listOf(text) })] }, 201: run },
  },
  "POST /v1/runs/:id/export": {
    summary: "A run and its history as lines of JSON, for another deployment",
    fields: {},
    answers: { 200: text },
    type: "application/x-ndjson",
  },
  "POST /v1/runs/import": {
    summary: "Make the run of such a text; the same text again finds it",
    query: { id: text },
    body: text,
    takes: "application/x-ndjson",
    keyed: true,
    answers: { 200: run, 201: run },
  },
  "POST /v1/runs/bulk": {
    summary: "One action on every run of a filter, as a run of its own",
    query: { dryRun: flag },
    fields: {
      action: { enum: bulkActions },
      filter: filterFields,
      reason: text,
    },
    needed: ["action", "filter"],
    keyed: true,
    answers: { 200: object({ count }), 202: run },
  },
  "POST /v1/runs/:id/signals/:name": {
    summary: "Send a signal; the body is its payload",
    body: value,
    keyed: true,
    answers: { 202: object({ accepted: flag, duplicate: flag }) },
  },
  "POST /v1/signals/:name": {
    summary: "Send a signal to every run that waits for it, or keep it for the next",
    body: value,
    keyed: true,
    answers: { 202: object({ delivered: count, buffered: flag }) },
  },
  "GET /v1/runs/:id/queries/:name": { summary: "Ask a run", answers: { 200: object({ result: value }) } },
  "POST /v1/runs/:id/updates/:name": {
    summary: "Change a run and be answered; the body is the argument",
    body: value,
    keyed: true,
    answers: { 200: object({ result: value }), 202: openUpdate },
  },
  "GET /v1/directory/counts": {
    summary: "How many runs fit, in groups",
    query: {
      ...filters,
      groupBy: { type: "string", description: "workflow, status, errorCode, label.KEY; several with commas." },
    },
    answers: {
      200: object({ total: count, groups: listOf(object({ key: mapOf(orNull(text)), count })) }),
    },
  },
  "GET /v1/directory/causes": {
    summary: "Failed runs by what they have in common",
    query: filters,
    answers: {
      200: object({
        causes: listOf(
          object({
            id: text,
            workflow: text,
            code: orNull(text),
            step: orNull(text),
            message: text,
            count,
            firstAt: instant,
            lastAt: instant,
            run: text,
          }),
        ),
      }),
    },
  },
  "GET /v1/directory/events": {
    summary: "Runs as their listing changes, as server-sent events or over a WebSocket",
    query: filters,
    answers: { 200: text },
    type: "text/event-stream",
  },
  "POST /v1/directory/rebuild": {
    summary: "Have the runs of a shard, or of all, listed anew, as a run of its own",
    fields: { shard: count },
    keyed: true,
    answers: { 202: run },
  },
  "POST /v1/directory/rekey": {
    summary: "Have everything at rest sealed anew with the newest key of ENCRYPTION_KEYS, as a run of its own",
    fields: {},
    keyed: true,
    answers: { 202: run },
  },
  "GET /v1/schedules": {
    summary: "Schedules in the code and those made here",
    query: { workflow: text },
    answers: { 200: object({ schedules: listOf(ref("Schedule")) }) },
  },
  "POST /v1/schedules": {
    summary: "Make a schedule",
    fields: { id: text, ...schedule },
    needed: ["workflow", "cron"],
    keyed: true,
    answers: { 200: ref("Schedule"), 201: ref("Schedule") },
  },
  "GET /v1/schedules/:id": { summary: "One schedule", query: { next: count }, answers: { 200: ref("Schedule") } },
  "PATCH /v1/schedules/:id": {
    summary: "Change a schedule",
    fields: schedule,
    keyed: true,
    answers: { 200: ref("Schedule") },
  },
  "DELETE /v1/schedules/:id": { summary: "Remove a schedule", fields: asked, keyed: true, answers: { 204: null } },
  "POST /v1/schedules/:id/trigger": {
    summary: "Start a run of it now",
    query: { wait },
    fields: asked,
    keyed: true,
    answers: { 200: run, 201: run },
  },
  "POST /v1/schedules/:id/backfill": {
    summary: "Start the firings of a span of time, each once",
    fields: { from: instant, to: instant, overlap: { enum: backfillOverlaps }, reason: text },
    needed: ["from", "to"],
    keyed: true,
    answers: { 202: object({ firings: count }) },
  },
  "GET /v1/lanes": {
    summary: "Limits that runs share: depth and use",
    query: { limit, cursor: text },
    answers: { 200: object({ lanes: listOf(ref("Lane")), cursor: orNull(text) }) },
  },
  "GET /v1/lanes/:name": { summary: "One lane", query: { limit }, answers: { 200: ref("Lane") } },
  "PATCH /v1/lanes/:name": {
    summary: "Set its limit at run time; null for the one in the code",
    fields: { limit: orNull(count) },
    needed: ["limit"],
    keyed: true,
    answers: { 200: ref("Lane") },
  },
  "GET /v1/stats": {
    summary: "Success rates, durations, failing steps, lane depth",
    query: { workflow: text, from: instant, to: instant },
    answers: { 200: ref("Stats") },
  },
  "GET /metrics": {
    summary: "The same for Prometheus",
    query: { window: span },
    answers: { 200: text },
    type: "text/plain; version=0.0.4; charset=utf-8",
  },
  "POST /v1/runs/:id/webhooks/:name/revoke": {
    summary: "Give an open webhook of a run another address; the one before is dead",
    fields: asked,
    keyed: true,
    answers: { 200: object({ url: text }) },
  },
  "GET /v1/webhooks": {
    summary: "Addresses of this deployment that start runs",
    answers: {
      200: object({
        webhooks: listOf(object({ name: text, workflow: text, url: text, methods: listOf(text), verify: text })),
      }),
    },
  },
  "ALL /webhooks/:name": {
    summary: "Start a run by a call of a sender that the webhook knows",
    body: {},
    answers: {
      200: object({ duplicate: flag }),
      202: object({ accepted: flag, duplicate: flag, ignored: flag }, ["duplicate", "ignored"]),
    },
    free: true,
  },
  "ALL /hooks/:token": {
    summary: "Resolve a webhook wait; the token is the only credential",
    body: {},
    answers: { 200: object({ duplicate: flag }), 202: object({ accepted: flag, duplicate: flag }) },
    free: true,
  },
};
