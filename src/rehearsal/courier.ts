/**
 * Owns: the couriers of a rehearsal: requests of `step.fetch` are answered by stand-ins.
 * Does not own: what an answer means to the step (core/courier/order).
 */
import { messageOf } from "../core/error.ts";
import { answeredEnd, headersOf, isAnswer, refusedEnd } from "../core/courier/order.ts";
import type { Order, OrderEnd } from "../core/courier/order.ts";
import { isPlain } from "../core/option.ts";
import { defined } from "../core/record.ts";
import { callKey } from "../core/state/state.ts";
import { receiveAnswer } from "../engine/courier/dispatch.ts";
import type { Couriers } from "../engine/world.ts";
import { hang } from "./hang.ts";
import { processOf } from "./process.ts";
import type { Peers, Life } from "./process.ts";
import type { StandInContext } from "./script.ts";

export function couriers(peers: Peers, life: Life): Couriers {
  const under = new Set<string>();
  return {
    reserve: () => life.alive(() => Promise.resolve(0)),
    send: async (_courier, order) => {
      const key = JSON.stringify(order.id);
      if (under.has(key)) return;
      under.add(key);
      const answered = life.alive(() => exchange(peers, life, order)).then((end) => deliver(peers, order, end));
      // One that never ends is not waited for in real time: the step times out.
      if (standInOf(peers, order) !== hang) void life.watch(`step ${order.step}`, answered);
    },
    drop: () => Promise.resolve(),
  };
}

async function deliver(peers: Peers, { id }: Order, end: OrderEnd): Promise<void> {
  await peers.find(id.runId)?.visit((run) => receiveAnswer(run, { ...id, end }));
}

function standInOf(peers: Peers, { id, step }: Order) {
  const { created } = processOf(peers, id.runId).run.state;
  const name = step.replace(/#\d+$/, "");
  return peers.script.standIns(created?.workflow ?? "").steps?.[name];
}

async function exchange(peers: Peers, life: Life, order: Order): Promise<OrderEnd> {
  const { request, step, key } = order;
  const standIn = standInOf(peers, order);
  if (standIn === undefined) {
    const [name = step] = step.split("#");
    const why = `step ${step} makes a request to ${request.url}, and a rehearsal makes none`;
    peers.script.refuse(`${why}: give { steps: { ${JSON.stringify(name)}: () => ({ body: … }) } }`);
    return await hang();
  }
  const { method, url, body } = request;
  const { calls, created } = processOf(peers, order.id.runId).run.state;
  const attempt = calls.get(callKey("run", step))?.order?.attempt ?? 1;
  const context: StandInContext = {
    ...{ step, attempt, idempotencyKey: key, signal: new AbortController().signal },
    traceparent: created?.trace ?? "",
    request: new Request(url, { method, headers: headersOf(order), body: body as string | null }),
  };
  try {
    life.calls.push(key);
    const answer = await standIn(context);
    const response = toResponse(answer);
    if (response !== null) return await read(order, response, peers.clock.at);
    const what = `the stand-in of step ${step} answers ${shown(answer)}`;
    peers.script.refuse(`${what}: a request is answered by a Response, or by { status?, headers?, body? }`);
  } catch (error) {
    return { kind: "failed", message: messageOf(error) };
  }
  return await hang();
}

function shown(answer: unknown): string {
  return typeof answer === "object" && answer !== null ? `{ ${Object.keys(answer).join(", ")} }` : String(answer);
}

type Reply = { readonly status?: number; readonly headers?: Record<string, string>; readonly body?: unknown };

const parts = ["status", "headers", "body"];

/** The answer of a stand-in as a response; null where it is not a valid one. */
function toResponse(answer: unknown): Response | null {
  // Cloned, because a constant response is read again by the next request.
  if (answer instanceof Response) return answer.clone();
  const reply = answer ?? {};
  if (!isReply(reply)) return null;
  const { status = 200, headers, body = null } = reply;
  const init = { status, ...defined({ headers }) };
  const isRaw = body === null || typeof body === "string" || body instanceof Uint8Array;
  return isRaw ? new Response(body as BodyInit | null, init) : Response.json(body, init);
}

function isReply(answer: unknown): answer is Reply {
  return isPlain(answer) && Object.keys(answer).every((key) => parts.includes(key));
}

async function read(order: Order, response: Response, at: number): Promise<OrderEnd> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (isAnswer(response.status, order.request.accepted)) return answeredEnd(order, response, bytes);
  return refusedEnd(response, bytes, at);
}
