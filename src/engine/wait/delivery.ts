/**
 * Owns: reading a call of a webhook, verifying it, and making the response to it, by the author's functions.
 * Does not own: what an accepted or a refused call leads to (hook, objects/webhook/inbound), the known senders (objects/webhook/verify).
 */
import { readBody } from "../../core/courier/body.ts";
import { HoldfastError, messageOf } from "../../core/error.ts";
import type { HookAnswer, HookRequest } from "../../core/service/hooks.ts";
import { isVerifier } from "../../core/webhook/webhook.ts";
import type { Delivery, Verify, WebhookCall, WebhookReply } from "../../core/webhook/webhook.ts";

type Respond = () => WebhookReply | Promise<WebhookReply>;
type Reply = NonNullable<HookAnswer["response"]>;

/** Waits for the result of an author's function within its time limit; null if it takes longer. */
export type TimeLimit = <Value>(made: Promise<Value>) => Promise<Value | null>;

/** @param at when it came, epoch ms @throws HoldfastError body_invalid */
export async function readDelivery(request: HookRequest, at: number): Promise<Delivery> {
  const { method, headers, query, body: raw } = request;
  const type = headers["content-type"] ?? "";
  const body = isMultipart(type) && raw.byteLength > 0 ? await readMultipart(type, raw) : readBody(type, raw);
  return { method, headers: { ...headers }, query: { ...query }, body, raw, at };
}

/** The call as the workflow sees it, without what only the verification needs. */
export function callOf(delivery: Delivery, verify: Verify | undefined): WebhookCall {
  const { method, headers, query, body } = judged(delivery, verify);
  return { method, headers, query, body };
}

/** The delivery without the credential that it was verified by, if there is one. */
export function judged(delivery: Delivery, verify: Verify | undefined): Delivery {
  const credential = verify !== undefined && isVerifier(verify) ? verify.credential : undefined;
  if (credential === undefined) return delivery;
  const { [credential]: _credential, ...headers } = delivery.headers;
  return { ...delivery, headers };
}

/**
 * @param what whose call it is, as in `webhook paid`
 * @throws HoldfastError webhook_rejected, webhook_unavailable
 */
export async function verifyDelivery(
  verify: Verify | undefined,
  delivery: Delivery,
  what: string,
  limit: TimeLimit,
): Promise<void> {
  if (verify === undefined) return;
  const verdict = await limit(judge(verify, delivery));
  if (verdict === null) throw undecided(what, "verify");
  const { why, cause } = verdict;
  if (why === null) return;
  const message = `${what} refused the call${why === "" ? "" : `: ${why}`}`;
  throw new HoldfastError("webhook_rejected", message, { cause });
}

/** Never rejects: whoever waits for it may have gone. */
async function judge(
  verify: Verify,
  delivery: Delivery,
): Promise<{ readonly why: string | null; readonly cause?: unknown }> {
  try {
    if (isVerifier(verify)) return { why: await verify.judge(delivery) };
    return { why: (await verify(delivery)) ? null : "" };
  } catch (cause) {
    // What it threw may hold what nobody outside is to see.
    return { why: "", cause };
  }
}

/** An author's function has not decided about the call in time: the call may be repeated. */
export function undecided(what: string, option: string): HoldfastError {
  console.error(`${option} of ${what} took too long over a call`);
  return new HoldfastError("webhook_unavailable", `${what} takes too long over the call, and may take it later`);
}

/** The refusal for a body that cannot be read, or cannot be stored: JSON may have a key named __proto__, which a journal cannot keep. */
export function refusalOf(error: unknown): HoldfastError {
  if (error instanceof HoldfastError && error.code !== "value_uncloneable") return error;
  const message = messageOf(error);
  return new HoldfastError("body_invalid", message, { cause: error });
}

/** The response to the caller, as the author's `respond` makes it. */
export async function answerOf(respond: Respond, limit: TimeLimit): Promise<Reply> {
  const answered = await limit(replyOf(respond));
  if (answered !== null) return answered;
  console.error("a webhook's respond took too long");
  return plainly;
}

async function replyOf(respond: Respond): Promise<Reply> {
  try {
    const answer = await respond();
    if (answer instanceof Response) return await readAnswer(answer);
    const { status = 200, headers = {}, body } = answer;
    if (body === undefined) return { status, headers, body: "" };
    if (typeof body === "string") return { status, headers, body };
    return { status, headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) };
  } catch (error) {
    console.error("a webhook's respond failed", error);
    return plainly;
  }
}

/** For a `respond` that failed: the call is accepted and on record, so the caller must not be made to send it again. */
const plainly: Reply = { status: 202, headers: {}, body: "" };

/** Reads a clone: a `respond` may return the same Response for each call. */
async function readAnswer(answer: Response): Promise<Reply> {
  const { status, headers } = answer;
  return { status, headers: Object.fromEntries(headers), body: await answer.clone().text() };
}

function isMultipart(type: string): boolean {
  return /^multipart\/form-data\b/i.test(type);
}

/** A form that may hold files: its fields as text, each file as `{ name, type, bytes }`. */
async function readMultipart(type: string, bytes: Uint8Array): Promise<object> {
  const sent = new Response(new Uint8Array(bytes), { headers: { "content-type": type } });
  const form = await sent.formData().catch((cause: unknown): never => {
    throw new HoldfastError("body_invalid", "the body is not the form that its content type says it is", { cause });
  });
  const fields: [string, unknown][] = [];
  for (const [name, value] of form.entries())
    fields.push([name, typeof value === "string" ? value : await readFile(value)]);
  return Object.fromEntries(fields);
}

async function readFile(file: File): Promise<{ name: string; type: string; bytes: Uint8Array }> {
  return { name: file.name, type: file.type, bytes: new Uint8Array(await file.arrayBuffer()) };
}
