/** Owns: routes of forks. */
import type { ForkRequest } from "../../core/service/service.ts";
import { checkRunId } from "../../core/name.ts";
import { isRecord } from "../../core/record.ts";
import type { Stored } from "../../core/value/value.ts";
import { readMetadata } from "../auth/author.ts";
import { invalidField, readFields, readInside, readText, readValueField } from "../body.ts";
import type { Fields } from "../body.ts";
import { readDryRun } from "../query.ts";
import type { Call, Route } from "../route.ts";
import { urlOf } from "../url.ts";
import { respondRun } from "../view.ts";

/** Characters of a step's id: enough for a name of 256 characters in UTF-16, and its occurrence. */
const maxStep = 600;

export const forkRoutes: readonly Route[] = [
  { method: "POST", path: "/v1/runs/:id/fork", role: "admin", handle: fork },
];

async function fork(call: Call): Promise<Response> {
  const { request, param } = call;
  const isDry = readDryRun(request);
  const fields = await readFields(request, ["from", "input", "results", "id", "reason"]);
  const options = { ...readMetadata(call, fields), ...readFork(fields), origin: urlOf(request).origin };
  if (isDry) {
    const { from, results } = options;
    const { kept, rerun } = await call.service.runs.previewFork(param("id"), { from, given: [...results.keys()] });
    return Response.json({ kept, rerun });
  }
  const { run, created } = await call.service.runs.fork(param("id"), options);
  return respondRun(run, created ? 201 : 200);
}

/** @throws RequestError and HoldfastError, all of status 400 or 413 */
function readFork(fields: Fields): Pick<ForkRequest, "from" | "input" | "results" | "id"> {
  const { id } = fields;
  return {
    from: readText(fields, "from", maxStep) ?? null,
    results: readResults(fields),
    ...(Object.hasOwn(fields, "input") ? { input: readValueField(fields, "input") } : {}),
    ...(id === undefined ? {} : { id: checkRunId(id) }),
  };
}

function readResults({ results = {} }: Fields): ReadonlyMap<string, Stored> {
  if (!isRecord(results)) throw invalidField("results", "must be an object: the result of each step by its name");
  return readInside("results", () => {
    return new Map(Object.keys(results).map((step) => [step, readValueField(results, step)]));
  });
}
