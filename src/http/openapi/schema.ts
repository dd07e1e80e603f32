/**
 * Owns: the shapes of the API as JSON Schema (draft 2020-12), for its description.
 * Long because it has every shape of a response once.
 */
import type { StoredError } from "../../core/error.ts";
import { runStatuses } from "../../core/run/run.ts";
import { overlaps } from "../../core/service/schedules.ts";

export type Schema = Readonly<Record<string, unknown>>;

export const text: Schema = { type: "string" };
export const count: Schema = { type: "integer", minimum: 0 };
export const flag: Schema = { type: "boolean" };
export const instant: Schema = { type: "string", format: "date-time" };
export const value: Schema = {
  description: 'Any JSON. What JSON cannot carry is an object `{ "$type": "Date", "value": … }`.',
};
const milliseconds: Schema = { type: "number", minimum: 0, description: "Milliseconds." };
const share: Schema = { type: ["number", "null"], minimum: 0, maximum: 1 };

export function orNull(schema: Schema): Schema {
  return { anyOf: [schema, { type: "null" }] };
}

export function listOf(items: Schema): Schema {
  return { type: "array", items };
}

export function mapOf(additionalProperties: Schema): Schema {
  return { type: "object", additionalProperties };
}

/** An object with these fields, which are required unless `optional` names them. */
export function object(properties: Readonly<Record<string, Schema>>, optional: readonly string[] = []): Schema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return required.length === 0 ? { type: "object", properties } : { type: "object", properties, required };
}

/** An object with no other fields than these, of which only those in `needed` are required. */
export function closed(fields: Readonly<Record<string, Schema>>, needed: readonly string[] = []): Schema {
  const required = needed.length === 0 ? {} : { required: needed };
  return { type: "object", properties: fields, ...required, additionalProperties: false };
}

export function ref(name: keyof typeof schemas): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

const status: Schema = { enum: runStatuses };
const link: Schema = orNull(object({ id: text, workflow: text }));
const durations: Schema = orNull(object({ p50: { type: "number" }, p95: { type: "number" }, max: { type: "number" } }));
const tally = { completed: count, failed: count, cancelled: count, open: count };

/** A field of an error that is not here does not compile. */
const error: Readonly<Record<keyof StoredError, Schema>> = {
  name: text,
  message: text,
  code: text,
  step: text,
  attempts: count,
  stack: text,
  cause: { description: "An error of the same shape, or what else was thrown." },
  errors: { type: "array", description: "Errors of the same shape: of a map's items, or of an AggregateError." },
  index: { ...count, description: "Of the item of a map that it comes from." },
  child: { type: "string", description: "The id of the child run that it comes from." },
  undone: listOf(text),
  notUndone: listOf(object({ step: text, message: text })),
};

const summary: Readonly<Record<string, Schema>> = {
  id: text,
  workflow: text,
  version: text,
  status,
  error: { $ref: "#/components/schemas/Error" },
  labels: mapOf(text),
  parent: link,
  fork: object({ id: text, step: orNull(text) }),
  createdAt: instant,
  startedAt: orNull(instant),
  updatedAt: instant,
  finishedAt: orNull(instant),
  waitingFor: listOf({ $ref: "#/components/schemas/Waiting" }),
  reason: {
    type: ["string", "null"],
    description: "One true sentence on why the run is not progressing, or what it is at.",
  },
  steps: object({ completed: count, failed: count, running: count }),
  trace: { type: "string", description: "W3C traceparent of the run's own span." },
  cost: { $ref: "#/components/schemas/Cost" },
};

export const schemas = {
  Problem: {
    ...object(
      {
        type: text,
        title: text,
        status: { type: "integer" },
        detail: text,
        code: { type: "string", description: "Stable; see the documentation for each." },
        errors: listOf(object({ path: text, message: text })),
        error: { $ref: "#/components/schemas/Error" },
      },
      ["errors", "error"],
    ),
    description: "RFC 9457.",
  },
  Error: orNull({ ...object(error), required: ["name", "message"] }),
  Waiting: object(
    {
      kind: { enum: ["signal", "webhook", "timer", "retry", "run", "lane", "start"] },
      name: text,
      since: instant,
      until: orNull(instant),
      url: text,
      workflow: { type: "string", description: "Of a child run." },
      position: { ...count, description: "In the line before the lane; 1 is next." },
      used: count,
      limit: orNull(count),
      attempt: { ...count, description: "Of a retry: the number of the attempt to come." },
      of: { ...count, description: "How many attempts there are, where that is known." },
      error: { type: "string", description: "What the last attempt failed of, in one line." },
      undo: { const: true, description: "The step is being undone." },
    },
    ["url", "workflow", "position", "used", "limit", "attempt", "of", "error", "undo"],
  ),
  Cost: object({
    rowsWritten: count,
    requests: count,
    secondsAwake: { type: "number" },
    bytesStored: count,
    usd: { type: "number", description: "At the platform's list prices; storage for 30 days." },
  }),
  Summary: object(summary, ["fork", "trace", "cost"]),
  Run: object(
    {
      ...summary,
      input: value,
      output: value,
      progress: value,
      active: listOf(object({ step: text, attempt: count, since: instant })),
    },
    ["fork", "trace", "cost", "active"],
  ),
  Entry: {
    ...object({ seq: count, at: instant, kind: text, text }, ["text"]),
    description: "One fact of a run's history. Which further fields it has, its kind says.",
    additionalProperties: true,
  },
  Workflow: object({
    name: text,
    version: text,
    versions: listOf(text),
    input: orNull({ type: "object" }),
    signals: mapOf(orNull({ type: "object" })),
    schedules: listOf({ $ref: "#/components/schemas/Schedule" }),
    counts: mapOf(count),
  }),
  Schedule: object(
    {
      id: text,
      workflow: text,
      cron: text,
      timezone: text,
      input: value,
      overlap: { enum: overlaps },
      catchUp: milliseconds,
      jitter: milliseconds,
      paused: flag,
      pausedAt: orNull(instant),
      pausedBy: orNull(text),
      pausedRole: text,
      pausedReason: orNull(text),
      pauseOnFailure: flag,
      source: { enum: ["code", "api"] },
      lastError: orNull(object({ at: instant, firing: instant, message: text })),
      backfills: listOf(
        object({ from: instant, to: instant, overlap: text, firings: count, started: count, refused: count }),
      ),
      next: listOf(instant),
    },
    ["pausedRole"],
  ),
  Lane: object(
    {
      name: text,
      limit: orNull(count),
      override: orNull(count),
      setting: object({ by: text, role: text, at: instant, reason: orNull(text) }, ["role"]),
      periodMs: orNull(count),
      used: count,
      waiting: count,
      holders: listOf(object({ run: text, step: orNull(text), since: instant })),
      queue: listOf(
        object({ run: text, step: orNull(text), priority: { type: "number" }, since: instant, position: count }),
      ),
    },
    ["setting"],
  ),
  Stats: object({
    from: instant,
    to: instant,
    sliceMs: count,
    total: object({ ...tally, successRate: share, durations }),
    workflows: listOf(
      object({
        workflow: text,
        ...tally,
        successRate: share,
        durations,
        steps: listOf(
          object({
            step: text,
            completed: count,
            failed: count,
            failedAttempts: count,
            failureRate: share,
            meanMs: { type: ["number", "null"] },
          }),
        ),
      }),
    ),
    slices: listOf(object({ at: instant, ...tally, durations })),
    lanes: listOf(
      object({ name: text, limit: orNull(count), used: count, waiting: count, nextSince: orNull(instant) }),
    ),
    moreLanes: flag,
  }),
} as const satisfies Readonly<Record<string, Schema>>;
