/** Owns: actions on many runs over HTTP: reading their body. */
import { isCauseId } from "../../core/listing/cause.ts";
import { toInstant } from "../../core/duration.ts";
import { runStatuses } from "../../core/run/run.ts";
import type { RunStatus } from "../../core/run/run.ts";
import type { RunFilter } from "../../core/service/directory.ts";
import { defined, isRecord } from "../../core/record.ts";
import type { BulkRequest, RunAction } from "../../core/service/service.ts";
import { isRunId } from "../../core/name.ts";
import { isLonger } from "../../core/size.ts";
import { readReason } from "../auth/author.ts";
import { invalidField, readFields, readInside, readKey } from "../body.ts";
import type { Fields } from "../body.ts";
import { RequestError } from "../problem.ts";
import { readFlag, readQuery } from "../query.ts";
import type { Call, Route } from "../route.ts";
import { readLabels } from "./start.ts";
import { viewRun } from "../view.ts";

const actions: readonly RunAction["kind"][] = ["cancel", "terminate", "pause", "resume", "retry", "delete"];

export const bulkRoutes: readonly Route[] = [{ method: "POST", path: "/v1/runs/bulk", role: "admin", handle: bulk }];

async function bulk({ service, request, author }: Call): Promise<Response> {
  const isDry = readFlag(readQuery(request, ["dryRun"]), "dryRun");
  const options = { ...readKey(request), ...(await readBulk(request)), ...author };
  if (isDry) return Response.json({ count: await service.runs.count(options.filter) });
  const run = await service.runs.bulk(options);
  return Response.json(viewRun(run), { status: 202, headers: { location: `/v1/runs/${run.id}` } });
}

/** @throws RequestError and HoldfastError of status 400, 413 or 422 */
async function readBulk(request: Request): Promise<Pick<BulkRequest, "action" | "filter" | "reason">> {
  const fields = await readFields(request, ["action", "filter", "reason"]);
  const { action } = fields;
  if (typeof action !== "string" || !isAction(action)) {
    throw invalidField("action", `must be one of ${actions.join(", ")}`);
  }
  return { action, filter: readFilter(fields), reason: readReason(request, fields) };
}

function isAction(text: string): text is RunAction["kind"] {
  return (actions as readonly string[]).includes(text);
}

const known = ["workflow", "status", "labels", "createdAfter", "createdBefore", "idPrefix", "errorCode", "cause"];

function readFilter({ filter: fields }: Fields): RunFilter {
  if (!isRecord(fields)) throw invalidField("filter", "must be an object that says which runs are meant");
  const unknown = Object.keys(fields).filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    const issues = unknown.slice(0, 100).map((name) => issueOf(name, "is not a field of the filter"));
    throw new RequestError("field_unknown", `The filter takes ${known.join(", ")}.`, { issues });
  }
  const labels = readInside("filter", () => readLabels(fields));
  const wanted = {
    workflow: readName(fields, "workflow"),
    status: readStatuses(fields),
    labels: labels === undefined || Object.keys(labels).length === 0 ? undefined : labels,
    createdAfter: readInstant(fields, "createdAfter"),
    createdBefore: readInstant(fields, "createdBefore"),
    idPrefix: readIdPrefix(fields),
    errorCode: readName(fields, "errorCode"),
    cause: readCause(fields),
  };
  const given = defined(wanted);
  if (Object.keys(given).length > 0) return given;
  const issues = [{ path: "/filter", message: "must name at least one condition" }];
  throw new RequestError("body_invalid", "A filter without a condition would mean every run there is.", {
    issues,
    status: 422,
  });
}

function readName(fields: Fields, name: string): string | undefined {
  const text = fields[name];
  if (text === undefined) return undefined;
  if (typeof text === "string" && text !== "" && !isLonger(text, 256)) return text;
  throw invalid(name, "must be text of 1 to 256 characters");
}

function readIdPrefix({ idPrefix }: Fields): string | undefined {
  if (idPrefix === undefined || (typeof idPrefix === "string" && isRunId(idPrefix))) return idPrefix;
  throw invalid("idPrefix", "must be the beginning of a run id");
}

function readCause({ cause }: Fields): string | undefined {
  if (cause === undefined || (typeof cause === "string" && isCauseId(cause))) return cause;
  throw invalid("cause", "must be the id of a cause, as GET /v1/directory/causes answers it");
}

/** One status, or a list of them; as text, several with commas between them. */
function readStatuses({ status }: Fields): readonly RunStatus[] | undefined {
  if (status === undefined) return undefined;
  const texts: readonly unknown[] = Array.isArray(status) ? status : String(status).split(",");
  const statuses = texts.flatMap((text) => runStatuses.filter((each) => each === text));
  if (statuses.length === texts.length && statuses.length > 0) return statuses;
  throw invalid("status", `must be of ${runStatuses.join(", ")}, one or a list`);
}

function readInstant(fields: Fields, name: string): number | undefined {
  const text = fields[name];
  if (text === undefined) return undefined;
  try {
    if (typeof text === "string") return toInstant(text);
  } catch {
    // Refused below.
  }
  throw invalid(name, "must be an instant such as 2026-03-01T09:00:00Z (RFC 3339)");
}

function invalid(name: string, message: string): RequestError {
  return new RequestError("body_invalid", `filter.${name} ${message}.`, { issues: [issueOf(name, message)] });
}

function issueOf(name: string, message: string) {
  const shown = name.length > 80 ? `${name.slice(0, 80)}…` : name;
  return { path: `/filter/${shown.replaceAll("~", "~0").replaceAll("/", "~1")}`, message };
}
