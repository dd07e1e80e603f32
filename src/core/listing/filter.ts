/**
 * Whether a run matches a filter. It has to agree with the SQL of the listing (store/directory), because the feed of
 * changes keeps a list up to date.
 */
import { causeOf } from "./cause.ts";
import type { RunSummary } from "../run/run.ts";
import type { RunFilter } from "../service/directory.ts";

export function fits(run: RunSummary, filter: RunFilter): boolean {
  return mayHaveFitted(run, filter) && fitsNow(run, filter);
}

/** Whether the run may have matched before, judged by the fields that never change. */
export function mayHaveFitted({ id, workflow, createdAt }: RunSummary, filter: RunFilter): boolean {
  return (
    (filter.workflow === undefined || workflow === filter.workflow) &&
    (filter.createdAfter === undefined || createdAt >= filter.createdAfter) &&
    (filter.createdBefore === undefined || createdAt < filter.createdBefore) &&
    (filter.idPrefix === undefined || id.startsWith(filter.idPrefix))
  );
}

function fitsNow(run: RunSummary, filter: RunFilter): boolean {
  const { status, labels, error } = run;
  const { status: statuses = [], errorCode, cause } = filter;
  return (
    (statuses.length === 0 || statuses.includes(status)) &&
    (errorCode === undefined || error?.code === errorCode) &&
    (cause === undefined || (status === "failed" && causeOf(run) === cause)) &&
    Object.entries(filter.labels ?? {}).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value)
  );
}
