/**
 * Owns: making of what came in a call that can be judged, and having it judged.
 * Does not own: what a refusal or a yes leads to (hook, objects/trigger), the known senders (objects/verify).
 */
import { readBody } from "../core/body.ts";
import { HoldfastError, messageOf } from "../core/error.ts";
import type { HookAnswer, HookRequest } from "../core/hooks.ts";
import { isVerifier } from "../core/webhook.ts";
import type { Delivery, Verify, WebhookCall, WebhookReply } from "../core/webhook.ts";

/** @param at when it came, epoch ms @throws HoldfastError body_invalid */
export async function readDelivery(request: HookRequest, at: number): Promise<Delivery> {
  const { method, headers, query, body: raw } = request;
  const type = headers["content-type"] ?? "";
  const body = isMultipart(type) && raw.byteLength > 0 ? await readMultipart(type, raw) : readBody(type, raw);
  return { method, headers: { ...headers }, query: { ...query }, body, raw, at };
}

/** The call without what only a judge needs. */
export function callOf(delivery: Delivery, verify: Verify | undefined): WebhookCall {
  const { method, headers, query, body } = judged(delivery, verify);
  return { method, headers, query, body };
}

/** The delivery without the credential that it was judged by, where there is one. */
export function judged(delivery: Delivery, verify: Verify | undefined): Delivery {
  const credential = verify !== undefined && isVerifier(verify) ? verify.credential : undefined;
  if (credential === undefined) return delivery;
  const { [credential]: _credential, ...headers } = delivery.headers;
  return { ...delivery, headers };
}

/** @param what whose call it is, as in `webhook paid` @throws HoldfastError webhook_rejected */
export async function verifyDelivery(verify: Verify | undefined, delivery: Delivery, what: string): Promise<void> {
  if (verify === undefined) return;
  let why: string | null;
  let cause: unknown;
  try {
    why = isVerifier(verify) ? await verify.judge(delivery) : (await verify(delivery)) ? null : "";
  } catch (error) {
    // What it threw may hold what nobody outside is to see.
    why = "";
    cause = error;
  }
  if (why === null) return;
  const message = `${what} refused the call${why === "" ? "" : `: ${why}`}`;
  throw new HoldfastError("webhook_rejected", message, { cause });
}

/** What JSON can say and a journal cannot keep, a key named __proto__, is a bad body like any other. */
export function refusalOf(error: unknown): HoldfastError {
  if (error instanceof HoldfastError && error.code !== "value_uncloneable") return error;
  const message = messageOf(error);
  return new HoldfastError("body_invalid", message, { cause: error });
}

/** What the author of the workflow answers the caller. */
export async function answerOf(
  respond: () => WebhookReply | Promise<WebhookReply>,
): Promise<NonNullable<HookAnswer["response"]>> {
  try {
    const answer = await respond();
    if (answer instanceof Response) return await readAnswer(answer);
    const { status = 200, headers = {}, body } = answer;
    if (body === undefined) return { status, headers, body: "" };
    if (typeof body === "string") return { status, headers, body };
    return { status, headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) };
  } catch (error) {
    // The call is accepted and on record: a broken answer must not make the caller send it again.
    console.error("a webhook's respond failed", error);
    return { status: 202, headers: {}, body: "" };
  }
}

/** One that is a constant is read again for the next call. */
async function readAnswer(answer: Response): Promise<NonNullable<HookAnswer["response"]>> {
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
