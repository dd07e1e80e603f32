/**
 * Owns: the built-in workflow that delivers the notice of one end of a run to one address.
 * Does not own: when it is started (notifier), the call (subscribers), the content (core/notice).
 *
 * Invariants
 * 1. It stores only the id of the run. The content is read from the run for each attempt, so a deleted run leaves no copy, and
 *    its notices end.
 * 2. All attempts have the same `webhook-id` and body, so the receiver can recognize a repetition.
 * 3. Runs of this and other built-in workflows have no subscribers themselves.
 */
import type { EntryOf } from "../../core/history/entry.ts";
import { HoldfastError, NonRetryableError, hasCode } from "../../core/error.ts";
import { noticePause } from "../../core/notice/notice.ts";
import type { ParentRun } from "../../core/run/origin.ts";
import type { StartRequest } from "../../core/service/service.ts";
import type { Step } from "../../core/definition/step.ts";
import { checkSubscriber } from "../../core/notice/subscriber.ts";
import { formatTrace, runTrace } from "../../core/trace/trace.ts";
import { encode } from "../../core/value/value.ts";
import { runObject } from "../address.ts";
import { builtIn } from "./builtin.ts";
import { digestOf } from "../deployment/digest.ts";
import { patiently, within } from "../patience.ts";
import { allowedHosts, post } from "./subscribers.ts";

/** The run and its incarnation, the `seq` of its end, and the address. */
type Order = { readonly run: string; readonly createdAt: number; readonly end: number; readonly url: string };

type NoticeStart = Pick<StartRequest, "id" | "input" | "labels" | "trace" | "by"> & { readonly parent: ParentRun };

/** Allows for a run that has to be loaded from its journal. */
const callLimitMs = 30_000;

export const notice = builtIn("holdfast.notify", handle);

/** The start of the run that delivers a notice, with an id derived from the end and the address. */
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
  // Retried here, because attempts are for the address, and not for a run that cannot be reached for a moment.
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

/** No retry for an address that is not allowed: after the configuration was changed, a person can retry the run. */
function pauseAfter(error: unknown, attempt: number): number | null {
  if (hasCode(error, "notify_invalid")) return null;
  const { waitMs = 0 } = error as { readonly waitMs?: number };
  return noticePause(attempt, waitMs, Math.random());
}
