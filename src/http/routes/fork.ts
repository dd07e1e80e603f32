/** Owns: routes of forks. */
import type { ForkRequest } from "../../core/service/service.ts";
import { checkRunId } from "../../core/name.ts";
import { isRecord } from "../../core/record.ts";
import type { Stored } from "../../core/value/value.ts";
import { readReason } from "../auth/author.ts";
import { invalidField, readFields, readInside, readKey, readText, readValueField } from "../body.ts";
import type { Fields } from "../body.ts";
import { readFlag, readQuery } from "../query.ts";
import type { Call, Route } from "../route.ts";
import { urlOf } from "../url.ts";
import { viewRun } from "../view.ts";

/** Characters of a step's id: enough for a name of 256 characters in UTF-16, and its occurrence. */
const maxStep = 600;
export const forkRoutes: readonly Route[] = [
  { method: "POST", path: "/v1/runs/:id/fork", role: "admin", handle: fork },
];

async function fork(call: Call): Promise<Response> {
  const { request, param, author } = call;
  const isDry = readFlag(readQuery(request, ["dryRun"]), "dryRun");
  const options = { ...readKey(request), ...(await readFork(request)), origin: urlOf(request).origin, ...author };
  if (isDry) {
    const { from, results } = options;
    const { kept, rerun } = await call.service.runs.previewFork(param("id"), { from, given: [...results.keys()] });
    return Response.json({ kept, rerun });
  }
  const { run, created } = await call.service.runs.fork(param("id"), options);
  const headers = { location: `/v1/runs/${run.id}` };
  return Response.json(viewRun(run), { status: created ? 201 : 200, headers });
}

/** @throws RequestError and HoldfastError, all of status 400 or 413 */
async function readFork(request: Request): Promise<Pick<ForkRequest, "from" | "input" | "results" | "id" | "reason">> {
  const fields = await readFields(request, ["from", "input", "results", "id", "reason"]);
  const { id } = fields;
  return {
    from: readText(fields, "from", maxStep) ?? null,
    results: readResults(fields),
    reason: readReason(request, fields),
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
