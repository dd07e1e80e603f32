/**
 * Owns: handling a call of an inbound webhook: it is refused, ignored, starts a run, or is recognized as a repetition.
 * Does not own: the webhooks (webhook), verification (verify), starting runs (service).
 * Invariant 1: a call is answered when its run is durable (guarantee 1).
 * Invariant 2: a delivery with an identity starts one run, however often it comes: the identity is the Idempotency-Key of the
 * start.
 */
import { HoldfastError, hasCode } from "../../core/error.ts";
import type { InboundAnswer, InboundRequest } from "../../core/service/hooks.ts";
import { objectName } from "../../core/run/key.ts";
import { defined } from "../../core/record.ts";
import type { StartRun } from "../start/preparation.ts";
import { encode } from "../../core/value/value.ts";
import type { Stored } from "../../core/value/value.ts";
import { isVerifier } from "../../core/webhook/webhook.ts";
import type { Delivery } from "../../core/webhook/webhook.ts";
import { answerOf, judged, readDelivery, refusalOf, undecided, verifyDelivery } from "../../engine/wait/delivery.ts";
import { runObject } from "../address.ts";
import { unwrap } from "../answer.ts";
import { digestOf, nameOfKey } from "../deployment/digest.ts";
import { logDelivery } from "../deployment/logline.ts";
import { authorLimit } from "../patience.ts";
import type { Delivered, InboundDefinition } from "./webhook.ts";

/** @throws HoldfastError webhook_rejected, webhook_unavailable, body_invalid, input_invalid, and errors of a start */
export async function receiveInbound(
  webhook: InboundDefinition,
  request: InboundRequest,
  start: StartRun,
): Promise<InboundAnswer> {
  const at = Date.now();
  try {
    return await receive(webhook, request, start, at);
  } catch (error) {
    if (error instanceof HoldfastError) logDelivery(webhook, error, at);
    throw error;
  }
}

async function receive(
  webhook: InboundDefinition,
  request: InboundRequest,
  start: StartRun,
  at: number,
): Promise<InboundAnswer> {
  const verify = webhook.verify === "none" ? undefined : webhook.verify;
  const sent = await readDelivery(request, at);
  await verifyDelivery(verify, sent, `webhook ${webhook.name}`, authorLimit);
  const delivery = judged(sent, verify);
  const input = await inputOf(webhook, delivery);
  const run = input === null ? null : await startDelivery(webhook, delivery, input, request, start);
  const kind = run === null ? "ignored" : run.duplicate ? "duplicate" : "accepted";
  const { respond } = webhook;
  return respond === undefined
    ? { kind }
    : { kind, response: await answerOf(() => respond(delivery, run), authorLimit) };
}

/** Null if the call is to be ignored. @throws HoldfastError input_invalid, body_invalid, value_too_large */
async function inputOf(webhook: InboundDefinition, delivery: Delivery): Promise<Stored | null> {
  const made = await ask(webhook, "input", () => webhook.input(delivery));
  try {
    return made === null ? null : encode(made, `the input that webhook ${webhook.name} makes`);
  } catch (error) {
    throw refusalOf(error);
  }
}

async function startDelivery(
  webhook: InboundDefinition,
  delivery: Delivery,
  input: Stored,
  { origin, trace }: InboundRequest,
  start: StartRun,
): Promise<NonNullable<Delivered>> {
  const key = await keyOf(webhook, delivery);
  const more = { ...(key === null ? {} : { key }), ...defined({ trace }) };
  try {
    const { run, created } = await start(webhook.workflow, { input, origin, by: `webhook:${webhook.name}`, ...more });
    // If a limit of the workflow made another run answer, this is not a repetition.
    const isKnown = !created && key !== null && objectName(run.id) === (await nameOfKey(key));
    return { id: run.id, duplicate: isKnown };
  } catch (error) {
    // A repetition with another input, for instance because a header of the sender counts its attempts.
    if (key === null || !hasCode(error, "idempotency_conflict", "run_exists")) throw error;
    return { id: await runOf(key), duplicate: true };
  }
}

/** The id of the run that the first delivery with this key started, or that answered it. */
async function runOf(key: string): Promise<string> {
  const own = await nameOfKey(key);
  const known = unwrap(await runObject(own).recall({ token: key, print: null, isKey: true }));
  const name = known.kind === "answered" ? known.runId : own;
  const run = await runObject(name).read(0);
  return run.ok ? run.value.id : name;
}

/** The identity of the delivery within this webhook; null for none. */
async function keyOf(webhook: InboundDefinition, delivery: Delivery): Promise<string | null> {
  const { verify, id } = webhook;
  const own = id === undefined ? null : await ask(webhook, "id", () => id(delivery));
  if (own !== null && typeof own !== "string") throw unusable(webhook, "id", `gave ${typeof own} instead of text`);
  if (own === "") throw unusable(webhook, "id", "gave text that is empty");
  const identity = id === undefined && isVerifier(verify) ? verify.identify(delivery) : own;
  return identity === null ? null : `webhook:${webhook.name}:${await digestOf(identity)}`;
}

/** Calls a function of the author. @throws HoldfastError input_invalid, webhook_unavailable */
async function ask(webhook: InboundDefinition, option: string, fn: () => unknown): Promise<unknown> {
  const made = async (): Promise<{ readonly value: unknown }> => ({ value: await fn() });
  try {
    const answered = await authorLimit(made());
    if (answered === null) throw undecided(`webhook ${webhook.name}`, option);
    return answered.value;
  } catch (cause) {
    if (cause instanceof HoldfastError) throw cause;
    throw unusable(webhook, option, "failed", cause);
  }
}

/** The error of the function is only logged, because it may contain what the sender must not see. */
function unusable({ name }: InboundDefinition, option: string, what: string, cause?: unknown): HoldfastError {
  return new HoldfastError("input_invalid", `${option} of webhook ${name} ${what} on this call`, { cause });
}
