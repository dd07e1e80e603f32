/**
 * Owns: the workflow that tells one address of one end of a run, which every deployment has.
 * Does not own: when it is started (notifier), the call (subscribers), what is told (core/notice).
 *
 * Invariants
 * 1. It holds nothing of the run but its id: what is told is read from the run as it is told, so that a run that
 *    was deleted has left no copy, and is told of no more.
 * 2. Every attempt has the same `webhook-id` and the same body: whoever hears of it twice can tell.
 * 3. It is told of by nobody: neither this nor any other workflow of ours has subscribers.
 */
import type { EntryOf } from "../core/entry.ts";
import { HoldfastError, NonRetryableError, hasCode } from "../core/error.ts";
import { noticePause } from "../core/notice.ts";
import type { ParentRun } from "../core/origin.ts";
import type { StartRequest } from "../core/service.ts";
import type { Step } from "../core/step.ts";
import { checkSubscriber } from "../core/subscriber.ts";
import { formatTrace, runTrace } from "../core/trace.ts";
import { encode } from "../core/value.ts";
import { runObject } from "./address.ts";
import { builtIn } from "./builtin.ts";
import { digestOf } from "./digest.ts";
import { patiently, within } from "./patience.ts";
import { allowedHosts, post } from "./subscribers.ts";

/** Which life of which run, the `seq` of its end, and who is told. */
type Order = { readonly run: string; readonly createdAt: number; readonly end: number; readonly url: string };

type NoticeStart = Pick<StartRequest, "id" | "input" | "labels" | "trace" | "by"> & { readonly parent: ParentRun };

/** The run may have to be read from its journal first. */
const callLimitMs = 30_000;

export const notice = builtIn("holdfast.notify", handle);

/** What starts the run that tells the address: the same end and address start the same. */
export async function noticeStart(created: EntryOf<"run.created">, end: number, url: string): Promise<NoticeStart> {
  const { id: run, at: createdAt, workflow } = created;
  const order: Order = { run, createdAt, end, url };
  return {
    id: `notice-${await digestOf(JSON.stringify([run, createdAt, end, url]), 16)}`,
    input: encode(order, "the notice"),
    labels: { run },
    parent: { id: run, workflow },
    trace: formatTrace(runTrace(created)),
    by: `run ${run}`,
  };
}

async function handle(order: Order, step: Step): Promise<unknown> {
  const { id } = step.info;
  return await step.run("deliver", ({ signal }) => deliver(order, id, signal), { retry: pauseAfter });
}

async function deliver({ run, createdAt, end, url }: Order, id: string, signal: AbortSignal): Promise<object> {
  checkSubscriber(url, allowedHosts());
  // An attempt is for the address: a run that cannot be reached for a moment costs none.
  const read = () => within(runObject(run).notice(createdAt, end), callLimitMs);
  const body = await patiently(read, () => signal.aborted);
  if (!body.ok) {
    const { code, message } = body.refusal;
    if (code === "run_not_found") return { delivered: false, reason: "the run is gone, or has gone on as new" };
    throw new HoldfastError(code, message);
  }
  const delivery = await post(url, id, body.value, Date.now(), signal);
  switch (delivery.kind) {
    case "taken":
      return { delivered: true, status: delivery.status };
    case "gone":
      throw new NonRetryableError("the address was not told: it answered 410 and wants to hear no more");
    case "failed":
      throw Object.assign(new Error(`the address was not told: ${delivery.why}`), { waitMs: delivery.waitMs });
    default:
      return delivery satisfies never;
  }
}

/** An address that may not be called will not be by waiting; a person may change what is allowed, and try again. */
function pauseAfter(error: unknown, attempt: number): number | null {
  if (hasCode(error, "notify_invalid")) return null;
  const { waitMs = 0 } = error as { readonly waitMs?: number };
  return noticePause(attempt, waitMs, Math.random());
}
