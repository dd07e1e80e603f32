/**
 * The fields that an entry of each kind must have, and their types. Every journal is checked against this as it is read, so
 * that damaged entries and those of newer versions are refused. Fields that are not listed here are allowed: a later
 * version may add fields to a kind.
 */
import { listOf, maybe, object, oneOf, orNull, text } from "../check.ts";
import type { Check } from "../check.ts";
import type { Fact, FactOf } from "./entry.ts";
import { isRecord } from "../record.ts";

/** The checks of one kind's fields; leaving out a required field does not compile. */
type Fields<Of> = { readonly [Field in keyof Of as Of[Field] extends undefined ? never : Field]: Check };
type Grammar = { readonly [Kind in Fact["kind"]]: Fields<Omit<FactOf<Kind>, "kind">> };

const whole: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
/** An instant in epoch ms, or a duration in ms; may have fractions. */
const instant: Check = (value) => typeof value === "number" && Number.isFinite(value);
const flag: Check = (value) => typeof value === "boolean";
const isTrue: Check = (value) => value === true;
/** A stored value: devalue text, which begins like this. */
const stored: Check = (value) => typeof value === "string" && /^(?:\[|-[1-6]$)/.test(value);
const error: Check = (value) => isRecord(value) && text(value["name"]) && text(value["message"]);
const child: Check = (value) => isRecord(value) && text(value["id"]);
const call = oneOf("run", "sleep", "wait", "webhook", "child", "undo");
const policy = oneOf("cancel", "terminate", "abandon");
const withdrawnCall: Check = (value) => isRecord(value) && call(value["call"]) && text(value["id"]);

const author = { by: text, role: maybe(text) };
const asked = { ...author, reason: orNull(text), key: maybe(text) };
const begun = { step: text, attempt: whole };
const ended = { ...begun, startedAt: instant };
const failed = { ...ended, limit: maybe(whole), error };
const cutOff = { step: text, deployment: text, held: flag };
const named = { name: text, call: text };
const start = {
  version: text,
  input: stored,
  sent: maybe(stored),
  labels: object,
  lanes: maybe(listOf(object)),
  notify: maybe(listOf(text)),
  key: maybe(text),
  ...author,
  reason: maybe(text),
  retention: maybe(object),
};

export const grammar: Grammar = {
  "run.created": {
    ...start,
    ...{ id: text, workflow: text, parent: orNull(child), schedule: orNull(child) },
    ...{ startAt: orNull(instant), notAfter: orNull(instant), origin: orNull(text) },
    ...{ reply: maybe(object), trace: maybe(text), shards: maybe(whole), claims: maybe(listOf(text)) },
    ...{ print: maybe(text), seed: maybe(text), fork: maybe(object), continuation: maybe(object) },
  },
  "run.debounced": { ...start, startAt: instant, notAfter: maybe(instant) },
  "run.imported": { from: object, ...author, reason: orNull(text) },
  "run.started": { deployment: text },
  "run.interrupted": { deployment: text, held: flag },
  "run.recovered": {},
  "run.paused": { ...asked, error: maybe(error) },
  "run.resumed": { ...asked, shiftMs: instant },
  "run.retried": { ...asked, cleared: listOf(text) },
  "run.cancel_requested": { ...asked, error, awaited: listOf(text), told: maybe(isTrue) },
  "run.action_noted": { ...asked, action: oneOf("cancel", "pause", "resume") },
  "run.completed": { output: stored },
  "run.failed": { error },
  "run.cancelled": { ...asked, error, givenUp: maybe(isTrue) },
  "step.attempt_failed": { ...failed, retryAt: orNull(instant), sensitive: maybe(isTrue) },
  "step.attempt_started": begun,
  "step.dispatched": { ...ended, until: instant, courier: whole },
  "step.interrupted": cutOff,
  "step.abandoned": ended,
  "step.completed": { ...ended, result: stored, undo: maybe(isTrue), sensitive: maybe(isTrue), omitted: maybe(isTrue) },
  "step.failed": { ...ended, error, sensitive: maybe(isTrue) },
  "step.added": { step: text, call },
  "step.removed": { step: text, call, retried: maybe(isTrue) },
  "undo.started": {
    ...{ ...author, reason: orNull(text), ends: oneOf("failed", "cancelled"), error, steps: listOf(text) },
    apart: maybe(isTrue),
  },
  "undo.attempt_failed": { ...failed, retryAt: instant },
  "undo.attempt_started": begun,
  "undo.interrupted": cutOff,
  "undo.completed": ended,
  "undo.failed": { ...ended, error },
  "child.started": {
    ...{ step: text, child, until: orNull(instant), policy },
    ...{ detached: maybe(isTrue), startedAt: maybe(instant) },
  },
  "child.completed": { step: text, child, output: stored },
  "child.failed": { step: text, child: maybe(child), error, left: maybe(isTrue) },
  "child.stopped": { child, policy },
  "timer.set": { ...named, wakeAt: instant },
  "timer.fired": named,
  "wait.started": { ...named, until: orNull(instant), label: maybe(text) },
  "wait.withdrawn": { calls: listOf(withdrawnCall) },
  "wait.timed_out": { ...named, wait: oneOf("signal", "webhook"), label: maybe(text) },
  "signal.received": {
    ...{ name: text, payload: stored, sent: maybe(stored), key: maybe(text), ...author },
    ...{ reason: maybe(text), trace: maybe(text) },
  },
  "signal.consumed": {
    ...{ ...named, signal: whole, listener: maybe(isTrue), label: maybe(text) },
    ...{ value: maybe(stored), error: maybe(error) },
  },
  "listener.added": { name: text },
  "update.accepted": {
    ...{ name: text, update: text, argument: stored, sent: maybe(stored) },
    ...{ key: maybe(text), ...author, reason: maybe(text) },
  },
  "update.completed": { name: text, update: text, result: stored },
  "update.failed": { name: text, update: text, error },
  "patch.adopted": { patch: text },
  "lane.queued": { lane: text, step: orNull(text) },
  "lane.entered": { lane: text, step: orNull(text) },
  "webhook.created": { ...named, url: text, until: orNull(instant) },
  "webhook.received": { ...named, request: stored },
  "webhook.rejected": { ...named, reason: text, code: maybe(text) },
  "webhook.revoked": { ...named, url: text, generation: whole, ...asked },
  "notice.started": { url: text, of: whole, run: text },
  "log.written": { level: oneOf("debug", "info", "warn", "error"), message: text, data: maybe(stored) },
  "progress.published": { value: stored },
};

/** The fields to check of each kind, and their checks, as two lists: made once, because journals are long. */
export const checksByKind: ReadonlyMap<
  unknown,
  { readonly names: readonly string[]; readonly fits: readonly Check[] }
> = new Map(
  Object.entries(grammar).map(([kind, checks]) => [
    kind,
    { names: Object.keys(checks), fits: Object.values<Check>(checks) },
  ]),
);
