/** Owns: actions on many runs over HTTP: reading their body. */
import type { RunFilter } from "../../core/service/directory.ts";
import type { BulkRequest, RunAction } from "../../core/service/service.ts";
import { readReason } from "../auth/author.ts";
import { checkFields, invalidField, needField, readField, readFields, readInside, readKey } from "../body.ts";
import type { Fields } from "../body.ts";
import { RequestError } from "../problem.ts";
import { readFlag, readQuery } from "../query.ts";
import { asOneOf, conditionNames, readConditions } from "../reading.ts";
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
  const action = needField(fields, "action", asOneOf(actions));
  return { action, filter: readFilter(fields), reason: readReason(request, fields) };
}

function readFilter({ filter }: Fields): RunFilter {
  if (filter === undefined) throw invalidField("filter", "is needed, and says which runs are meant");
  const given = readInside("filter", () => {
    const fields = checkFields(filter, [...conditionNames, "labels"], "The filter");
    const labels = readLabels(fields) ?? {};
    const conditions = readConditions((name, reading) => readField(fields, name, reading));
    return Object.keys(labels).length === 0 ? conditions : { ...conditions, labels };
  });
  if (Object.keys(given).length > 0) return given;
  const issues = [{ path: "/filter", message: "must name at least one condition" }];
  throw new RequestError("body_invalid", "A filter without a condition would mean every run there is.", {
    issues,
    status: 422,
  });
}
