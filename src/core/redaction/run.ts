/** Redacts runs, field by field; their reason is made anew. */
import { reasonAt } from "../run/reason.ts";
import type { RunSnapshot, RunSummary, Waiting } from "../run/run.ts";
import { errorOrNull, hidden, shapeOf, shapeOrNull } from "./mask.ts";

export function withoutUrl({ url: _url, ...wait }: Waiting): Waiting {
  return wait;
}

function redactWaiting(waiting: Waiting): Waiting {
  const { error, ...wait } = withoutUrl(waiting);
  return error === undefined ? wait : { ...wait, error: hidden };
}

export function redactRun(run: RunSnapshot, now: number): RunSnapshot {
  const { input, output, progress, active } = run;
  return {
    ...redactSummary(run, now),
    ...{ input: shapeOf(input), output: shapeOrNull(output), progress: shapeOrNull(progress), active },
  };
}

export function redactSummary(run: RunSummary, now: number): RunSummary {
  const { id, workflow, version, status, labels, parent, schedule, fork, createdAt, startedAt, updatedAt } = run;
  const { finishedAt, steps, usage, tallies, trace, seq } = run;
  const waitingFor = run.waitingFor.map(redactWaiting);
  return {
    ...{ id, workflow, version, status, error: errorOrNull(run.error), labels, parent, schedule, fork },
    ...{ createdAt, startedAt, updatedAt, finishedAt, waitingFor, ...redactReason(run, waitingFor, now) },
    ...{ steps, usage, tallies, trace, seq },
  };
}

/** Replaces the sentence of a run that is ending, which may quote a reason. */
const parting = "on its way to its end";

/** The sentence, made anew if it has only names and times; else the status alone. */
function redactReason(
  run: RunSummary,
  waitingFor: readonly Waiting[],
  now: number,
): Pick<RunSummary, "reason" | "lead"> {
  const { status, error, reason } = run;
  const lead = typeof run.lead === "string" ? parting : run.lead;
  switch (status) {
    case "completed":
      return { reason: null };
    case "failed":
    case "cancelled":
    case "paused":
      return { reason: error?.code === undefined ? status : `${status} (${error.code})` };
    case "running":
      return lead === undefined ? { reason: status } : { reason: lead ?? reason, lead };
    case "queued":
    case "waiting": {
      if (lead === undefined) return { reason: status };
      // What was said of a run without waits has names only.
      return { reason: reasonAt({ status, waitingFor, reason: lead ?? reason, lead }, now), lead };
    }
    default:
      return status satisfies never;
  }
}
