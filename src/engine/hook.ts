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
import type { Stored } from "../core/value.ts";
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
  const { call, stored } = await admit(execution, known, options, request);
  const taken = await take(execution, known, stored);
  // Another call was faster, or the time was up while this one was looked at.
  if (!taken) return openCall(run, id) === "duplicate" ? { duplicate: true } : notFound(id);
  const duplicate = false;
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

type Admitted = { readonly call: WebhookCall; readonly stored: Stored };

/** The call as the workflow may see it; a refusal is noted on the run. */
async function admit(
  execution: Execution,
  { id, name }: Call,
  options: WebhookOptions,
  request: HookRequest,
): Promise<Admitted> {
  const reject = (error: HoldfastError): never => {
    if (!execution.over) execution.record({ kind: "webhook.rejected", name, call: id, reason: error.message });
    throw error;
  };
  let call: WebhookCall;
  let stored: Stored;
  try {
    call = isMultipart(request) ? await readMultipart(request) : readHookCall(request);
    stored = encode(call, `the call of webhook ${id}`);
  } catch (error) {
    return reject(refusalOf(error));
  }
  if (options.verify === undefined) return { call, stored };
  let accepted = false;
  let cause: unknown;
  try {
    accepted = await options.verify({ ...call, raw: request.body });
  } catch (error) {
    cause = error;
  }
  return accepted
    ? { call, stored }
    : reject(new HoldfastError("webhook_rejected", `webhook ${id} refused the call`, { cause }));
}

function isMultipart({ headers, body }: HookRequest): boolean {
  return body.byteLength > 0 && /^multipart\/form-data\b/i.test(headers["content-type"] ?? "");
}

/** A form that may hold files: its fields as text, each file as `{ name, type, bytes }`. */
async function readMultipart({ method, headers, query, body }: HookRequest): Promise<WebhookCall> {
  const type = headers["content-type"] ?? "";
  const sent = new Response(new Uint8Array(body), { headers: { "content-type": type } });
  const form = await sent.formData().catch((cause: unknown): never => {
    throw new HoldfastError("body_invalid", "the body is not the form that its content type says it is", { cause });
  });
  const fields: Record<string, unknown> = {};
  for (const [name, value] of form.entries()) fields[name] = typeof value === "string" ? value : await readFile(value);
  return { method, headers: { ...headers }, query: { ...query }, body: fields };
}

async function readFile(file: File): Promise<{ name: string; type: string; bytes: Uint8Array }> {
  return { name: file.name, type: file.type, bytes: new Uint8Array(await file.arrayBuffer()) };
}

/** What JSON can say and a journal cannot keep, a key named __proto__, is a bad body like any other. */
function refusalOf(error: unknown): HoldfastError {
  if (error instanceof HoldfastError && error.code !== "value_uncloneable") return error;
  const message = error instanceof Error ? error.message : String(error);
  return new HoldfastError("body_invalid", message, { cause: error });
}

/** Puts the call on record; answers whether the wait was still open. */
async function take(execution: Execution, { id, name }: Call, request: Stored): Promise<boolean> {
  if (execution.over) throw endOf(execution);
  const taken = new Promise<boolean>((resolve) => {
    execution.post(() => {
      const open = execution.pending.has(callKey("received", id));
      if (open) execution.record({ kind: "webhook.received", name, call: id, request });
      resolve(open);
    });
  });
  const stopped = execution.stopped.heard().then((): never => {
    throw endOf(execution);
  });
  const open = await Promise.race([taken, stopped]);
  if (execution.failure !== null) throw execution.failure;
  return open;
}

function endOf({ failure }: Execution): unknown {
  return failure ?? new HoldfastError("run_ended", "the run that waited for this call has ended");
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
