/** Owns: actions on many runs over HTTP: reading their body. */
import type { RunFilter } from "../../core/service/directory.ts";
import type { RunAction } from "../../core/service/service.ts";
import { readMetadata } from "../auth/author.ts";
import { checkFields, invalidField, needField, readField, readFields, readInside } from "../body.ts";
import type { Fields } from "../body.ts";
import { RequestError } from "../problem.ts";
import { readDryRun } from "../query.ts";
import { asOneOf, conditionNames, readConditions } from "../reading.ts";
import type { Call, Route } from "../route.ts";
import { readLabels } from "./start.ts";
import { respondRun } from "../view.ts";

export const bulkActions: readonly RunAction["kind"][] = ["cancel", "terminate", "pause", "resume", "retry", "delete"];

export const bulkRoutes: readonly Route[] = [{ method: "POST", path: "/v1/runs/bulk", role: "admin", handle: bulk }];

async function bulk(call: Call): Promise<Response> {
  const { runs } = call.service;
  const isDry = readDryRun(call.request);
  const fields = await readFields(call.request, ["action", "filter", "reason"]);
  const action = needField(fields, "action", asOneOf(bulkActions));
  const options = { ...readMetadata(call, fields), action, filter: readFilter(fields) };
  if (isDry) return Response.json({ count: await runs.count(options.filter) });
  return respondRun(await runs.bulk(options), 202);
}

/** @throws RequestError body_invalid, field_unknown; HoldfastError label_invalid */
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
