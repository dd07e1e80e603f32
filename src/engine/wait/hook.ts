/**
 * Owns: what a call of a webhook does to a run: it is accepted, rejected, expired, or a duplicate; and giving a webhook
 * another address.
 * Does not own: the token in the address (objects/webhook/token), reading and verifying the call (delivery).
 * Invariant 1: a call is on record before it is answered (guarantee 1), and the first accepted one
 * is the only one that counts.
 * Invariant 2: a refused call is on record as well, also after the end of the run, but at most a hundred of each webhook, so
 * that nobody can fill a journal by calling an address.
 */
import { refuseEnded } from "../../core/lifecycle/action.ts";
import { authorOf } from "../../core/author.ts";
import type { RequestMetadata } from "../../core/author.ts";
import type { ErrorCode } from "../../core/code.ts";
import { HoldfastError, hasCode, messageOf } from "../../core/error.ts";
import type { HookAnswer, HookRequest } from "../../core/service/hooks.ts";
import { defined } from "../../core/record.ts";
import type { Call } from "../../core/state/state.ts";
import { callKey, wasRemoved } from "../../core/state/state.ts";
import { shortened } from "../../core/size.ts";
import { revocationOf } from "../../core/state/wait.ts";
import { encode } from "../../core/value/value.ts";
import type { Stored } from "../../core/value/value.ts";
import type { WebhookCall, WebhookOptions } from "../../core/webhook/webhook.ts";
import { answerOf, callOf, readDelivery, refusalOf, verifyDelivery } from "./delivery.ts";
import type { TimeLimit } from "./delivery.ts";
import type { Execution } from "../execution.ts";
import type { Run } from "../run.ts";

/** How many refused calls of one webhook are on record. */
export const maxRejections = 100;
const maxReason = 300;

/** Refusals that are final, and go on record; after any other the call may come again. */
const recorded: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "run_ended",
  "webhook_expired",
  "webhook_revoked",
  "webhook_rejected",
  "body_invalid",
  "value_too_large",
]);

/**
 * @param generation of the address that was called
 * @param limit how long the author's functions may take that judge and answer it
 * @throws webhook_not_found, webhook_expired, webhook_revoked, webhook_rejected, body_invalid, run_ended,
 * webhook_unavailable
 */
export async function receiveHook(
  run: Run,
  id: string,
  request: HookRequest,
  generation = 0,
  limit: TimeLimit = (made) => made,
): Promise<HookAnswer> {
  const createdAt = run.state.created?.at;
  const refuse = (code: ErrorCode, reason: string): void => {
    // A run that went on as new meanwhile has no such webhook, or another.
    if (run.state.created?.at === createdAt) reject(run, id, code, reason);
  };
  try {
    const answer = await deliver(run, id, { request, generation, limit });
    if (answer.duplicate) refuse("webhook_duplicate", `webhook ${id} has had its call`);
    return answer;
  } catch (error) {
    if (error instanceof HoldfastError && recorded.has(error.code)) refuse(error.code, error.message);
    // Only the incarnation that waited for it is over, not the run.
    if (hasCode(error, "run_ended") && createdAt !== undefined) checkIncarnation(run, createdAt);
    throw error;
  }
}

/**
 * For callers that only look whether the address exists: the webhook is not called, and nothing goes on record.
 * @throws webhook_not_found, webhook_expired, webhook_revoked, run_ended
 */
export function lookAtHook(run: Run, id: string, generation = 0): void {
  openCall(run, id, generation);
}

/**
 * Checks that an address is of the present incarnation of the run: nothing of an earlier one waits any more.
 * @throws webhook_expired, where the run has gone on as new since; webhook_not_found, where it is gone
 */
export function checkIncarnation({ state: { created } }: Run, createdAt: number): void {
  if (created === null) return nobody();
  if (created.at === createdAt) return;
  const { at, continuation } = created;
  if (continuation === undefined || createdAt < continuation.createdAt || createdAt > at) return nobody();
  throw new HoldfastError("webhook_expired", "the run has gone on as new, and waits no more for calls of this address");
}

function nobody(): never {
  throw new HoldfastError("webhook_not_found", "the run of this webhook is gone");
}

/** A call of an address. */
type HookCall = { readonly request: HookRequest; readonly generation: number; readonly limit: TimeLimit };

async function deliver(run: Run, id: string, call: HookCall): Promise<HookAnswer> {
  const known = openCall(run, id, call.generation);
  if (known === "duplicate") return { duplicate: true };
  try {
    return await admit(run, known, call);
  } catch (error) {
    // The run may have ended meanwhile because of a call that was faster than this one.
    if (known.received && hasCode(error, "run_ended")) return { duplicate: true };
    throw error;
  }
}

async function admit(run: Run, known: Call, called: HookCall): Promise<HookAnswer> {
  const { generation, limit } = called;
  const { id } = known;
  const createdAt = run.state.created?.at;
  const execution = await run.awake().catch(postpone);
  const pending = execution.calls.pending.get(callKey("received", id));
  if (pending === undefined || pending.plan.kind !== "received") return closed(run, id, generation);
  const { options } = pending.plan;
  const { call, stored } = await examine(options, called, id, run.now());
  // It failed meanwhile, and was retried.
  const { created, end } = run.state;
  if (execution.course.over && end === null && created?.at === createdAt) return closed(run, id, generation);
  const taken = await take(execution, known, stored, generation);
  // Another call was faster, or the time was up, or the address revoked, while this one was looked at.
  if (!taken) return closed(run, id, generation);
  const duplicate = false;
  const { respond } = options;
  return respond === undefined ? { duplicate } : { duplicate, response: await answerOf(() => respond(call), limit) };
}

/** The sender is not at fault, and is to make the call again: the run takes it once its code is back. */
function postpone(error: unknown): never {
  if (!hasCode(error, "version_missing") && !hasCode(error, "step_kind_changed")) throw error;
  const message = `the run has no code to take the call with: ${messageOf(error)}`;
  throw new HoldfastError("webhook_unavailable", message, { cause: error });
}

/** The answer to a call for which no wait is open in memory. If one is open on record, the replay has not come to it yet, and the call may be repeated. */
function closed(run: Run, id: string, generation: number): HookAnswer {
  if (openCall(run, id, generation) === "duplicate") return { duplicate: true };
  if (isGone(run, id)) return notFound(id);
  const message = `the run is on its way back to webhook ${id}, and takes its call later`;
  throw new HoldfastError("webhook_unavailable", message);
}

function openCall(run: Run, id: string, generation: number): Call | "duplicate" {
  const call = run.state.calls.get(callKey("webhook", id));
  // An address that was signed but never recorded was given to nobody.
  if (call === undefined || call.url === null || generation > call.generation) return notFound(id);
  if (run.state.end !== null) throw new HoldfastError("run_ended", "the run that waited for this call has ended");
  if (generation < call.generation) {
    throw new HoldfastError("webhook_revoked", `this address of webhook ${id} was revoked`);
  }
  if (call.received) return "duplicate";
  if (isOver(run, call)) throw new HoldfastError("webhook_expired", `webhook ${id} ${overBy(run, call)}`);
  return call;
}

function overBy(run: Run, { until }: Call): string {
  return until !== null && until <= run.now() ? "has timed out" : "is not waited for any more";
}

function isOver(run: Run, { done, until }: Call): boolean {
  return done || (until !== null && run.state.paused === null && until <= run.now());
}

function notFound(id: string): never {
  throw new HoldfastError("webhook_not_found", `no webhook ${id} is open`);
}

/** Puts a refusal on record, unless there are many. */
function reject(run: Run, id: string, code: ErrorCode, message: string): void {
  const call = run.state.calls.get(callKey("webhook", id));
  if (call === undefined || call.url === null || call.rejections >= maxRejections) return;
  const reason = shortened(message, maxReason);
  const isLast = call.rejections === maxRejections - 1;
  const note = isLast ? `; of this webhook ${maxRejections} refusals are on record, and more are not recorded` : "";
  run.append({ kind: "webhook.rejected", name: call.name, call: id, reason: reason + note, code });
}

/** The call as the workflow may see it. @throws body_invalid, webhook_rejected, webhook_unavailable */
async function examine(
  { verify }: WebhookOptions,
  { request, limit }: HookCall,
  id: string,
  at: number,
): Promise<{ readonly call: WebhookCall; readonly stored: Stored }> {
  const what = `webhook ${id}`;
  try {
    const delivery = await readDelivery(request, at);
    const call = callOf(delivery, verify);
    const stored = encode(call, `the call of ${what}`);
    await verifyDelivery(verify, delivery, what, limit);
    return { call, stored };
  } catch (error) {
    throw refusalOf(error);
  }
}

/** Puts the call on record; returns whether the wait was still open. */
async function take(execution: Execution, call: Call, request: Stored, generation: number): Promise<boolean> {
  const { course, calls } = execution;
  const { id, name } = call;
  const open = await course.turn(() => {
    const isOpen = calls.pending.has(callKey("received", id)) && call.generation === generation;
    if (isOpen) course.record({ kind: "webhook.received", name, call: id, request });
    return isOpen;
  });
  if (course.failure !== null) throw course.failure;
  if (open === null) throw new HoldfastError("run_ended", "the run that waited for this call has ended");
  return open;
}

/**
 * Gives an open webhook another address; the one before is dead once this resolves. The same key once more
 * returns the same address.
 * @param sign makes the address of a generation
 * @throws webhook_not_found, run_ended, idempotency_conflict, webhook_unavailable
 */
export async function revokeHook(
  run: Run,
  id: string,
  request: RequestMetadata,
  sign: (generation: number) => Promise<string>,
): Promise<{ readonly url: string }> {
  for (;;) {
    const known = knownRevocation(run, id, request);
    if (known !== null) return { url: known };
    const { generation, name } = revocable(run, id);
    const createdAt = run.state.created?.at;
    const url = await sign(generation + 1);
    // The wait may have changed while the address was made: then from the start.
    if (run.state.created?.at !== createdAt || revocable(run, id).generation !== generation) continue;
    const { reason, key } = request;
    const asked = { ...authorOf(request), reason, ...defined({ key }) };
    run.append({ kind: "webhook.revoked", name, call: id, url, generation: generation + 1, ...asked });
    return { url };
  }
}

function knownRevocation({ state }: Run, id: string, { key, reason }: RequestMetadata): string | null {
  const before = key === undefined ? undefined : state.actionKeys.get(key);
  if (before === undefined) return null;
  if (before.kind === revocationOf(id) && before.reason === reason && before.url !== undefined) return before.url;
  throw new HoldfastError("idempotency_conflict", `the key ${key} was used to ${before.kind}`);
}

/** @throws webhook_not_found, run_ended */
function revocable(run: Run, id: string): Call {
  refuseEnded(run.state, "have its webhooks revoked");
  const call = run.state.calls.get(callKey("webhook", id));
  if (call === undefined || call.address === null || isOver(run, call)) return notFound(id);
  return isGone(run, id) ? notFound(id) : call;
}

/** The run is on its way to its end, or new code does not make this webhook. */
function isGone({ state }: Run, id: string): boolean {
  return state.ending !== null || wasRemoved(state, callKey("webhook", id));
}
