/**
 * Owns: what a call of a webhook does to a run: accepted, rejected, too late, or once more.
 * Does not own: the token that led here (objects/token), parsing (core/hook).
 * Invariant 1: a call is on record before it is answered (guarantee 1), and the first accepted one
 * is the only one that counts.
 */
import { HoldfastError } from "../core/error.ts";
import { readHookCall } from "../core/hook.ts";
import type { HookAnswer, HookRequest } from "../core/service.ts";
import type { Call } from "../core/state.ts";
import { callKey } from "../core/state.ts";
import type { WebhookCall, WebhookOptions } from "../core/step.ts";
import { encode } from "../core/value.ts";
import type { Execution } from "./execution.ts";
import type { Run } from "./run.ts";

/** @throws webhook_not_found, webhook_expired, webhook_rejected, body_invalid, run_ended, version_missing */
export async function receiveHook(run: Run, id: string, request: HookRequest): Promise<HookAnswer> {
  const known = openCall(run, id);
  if (known === "duplicate") return { duplicate: true };
  try {
    return await deliver(run, known, request);
  } catch (error) {
    // The run may have ended meanwhile because of a call that was faster than this one.
    if (known.received && error instanceof HoldfastError && error.code === "run_ended") return { duplicate: true };
    throw error;
  }
}

async function deliver(run: Run, known: Call, request: HookRequest): Promise<HookAnswer> {
  const { id } = known;
  const execution = await run.awake();
  const pending = execution.pending.get(callKey("received", id));
  if (pending === undefined || pending.plan.kind !== "received") {
    return openCall(run, id) === "duplicate" ? { duplicate: true } : notFound(id);
  }
  const { options } = pending.plan;
  const call = await admit(execution, known, options, request);
  const duplicate = await take(execution, known, call);
  if (duplicate) return { duplicate };
  return options.respond === undefined ? { duplicate } : { duplicate, response: await respond(options.respond, call) };
}

function openCall(run: Run, id: string): Call | "duplicate" {
  const call = run.state.calls.get(callKey("webhook", id));
  if (call === undefined || call.url === null) return notFound(id);
  if (run.state.end !== null) throw new HoldfastError("run_ended", "the run that waited for this call has ended");
  if (call.received) return "duplicate";
  const late = call.until !== null && run.state.paused === null && call.until <= run.now();
  if (call.done || late) throw new HoldfastError("webhook_expired", `webhook ${id} has timed out`);
  return call;
}

function notFound(id: string): never {
  throw new HoldfastError("webhook_not_found", `no webhook ${id} is open`);
}

/** The call as the workflow may see it; a refusal is noted on the run. */
async function admit(execution: Execution, { id, name }: Call, options: WebhookOptions, request: HookRequest): Promise<WebhookCall> {
  const reject = (error: HoldfastError): never => {
    if (!execution.over) execution.record({ kind: "webhook.rejected", name, call: id, reason: error.message });
    throw error;
  };
  let call: WebhookCall;
  try {
    call = readHookCall(request);
  } catch (error) {
    return reject(error instanceof HoldfastError ? error : new HoldfastError("body_invalid", String(error)));
  }
  if (options.verify === undefined) return call;
  let accepted = false;
  let cause: unknown;
  try {
    accepted = await options.verify({ ...call, raw: request.body });
  } catch (error) {
    cause = error;
  }
  return accepted ? call : reject(new HoldfastError("webhook_rejected", `webhook ${id} refused the call`, { cause }));
}

/** Answers whether another call was faster. */
function take(execution: Execution, { id, name }: Call, call: WebhookCall): Promise<boolean> {
  const request = encode(call, `the call of webhook ${id}`);
  const taken = new Promise<boolean>((resolve) => {
    execution.post(() => {
      const open = execution.pending.has(callKey("received", id));
      if (open) execution.record({ kind: "webhook.received", name, call: id, request });
      resolve(!open);
    });
  });
  const stopped = execution.stopped.heard().then((): never => {
    throw new HoldfastError("run_ended", "the run that waited for this call has ended");
  });
  return Promise.race([taken, stopped]);
}

async function respond(
  answer: NonNullable<WebhookOptions["respond"]>,
  call: WebhookCall,
): Promise<NonNullable<HookAnswer["response"]>> {
  try {
    const { status = 200, headers = {}, body } = await answer(call);
    if (body === undefined) return { status, headers, body: "" };
    if (typeof body === "string") return { status, headers, body };
    return { status, headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) };
  } catch (error) {
    // The call is accepted and on record: a broken answer must not make the caller send it again.
    console.error("a webhook's respond failed", error);
    return { status: 202, headers: {}, body: "" };
  }
}
