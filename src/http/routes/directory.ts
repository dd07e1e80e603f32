/**
 * Owns: routes of the directory: counts, causes of failures, rebuilding it, sealing it with a new key.
 * Does not own: its listing (run) and its feed (events).
 */
import type { Cause } from "../../core/service/directory.ts";
import { defined } from "../../core/record.ts";
import { readWhy } from "../auth/author.ts";
import { invalidField, readFields, readKey } from "../body.ts";
import { filterNames, readFilter, readGroupBy, readQuery } from "../query.ts";
import type { Call, Route } from "../route.ts";
import { viewInstant, respondRun } from "../view.ts";

export const directoryRoutes: readonly Route[] = [
  { method: "GET", path: "/v1/directory/counts", role: "read", handle: count },
  { method: "GET", path: "/v1/directory/causes", role: "read", handle: causes },
  { method: "POST", path: "/v1/directory/rebuild", role: "admin", handle: rebuild },
  { method: "POST", path: "/v1/directory/rekey", role: "admin", handle: rekey },
];

async function count({ service, request }: Call): Promise<Response> {
  const query = readQuery(request, [...filterNames, "groupBy"]);
  const { total, groups } = await service.directory.count(readFilter(query), readGroupBy(query));
  return Response.json({ total, groups });
}

async function causes({ service, request }: Call): Promise<Response> {
  const found = await service.directory.causes(readFilter(readQuery(request, filterNames)));
  return Response.json({ causes: found.map(viewCause) });
}

function viewCause({ firstAt, lastAt, ...cause }: Cause) {
  const { id, workflow, code, step, message, count, run } = cause;
  return { id, workflow, code, step, message, count, firstAt: viewInstant(firstAt), lastAt: viewInstant(lastAt), run };
}

async function rebuild({ service, request, author }: Call): Promise<Response> {
  readQuery(request);
  const key = readKey(request);
  const { shard } = await readFields(request, ["shard"]);
  if (shard !== undefined && !(typeof shard === "number" && Number.isSafeInteger(shard) && shard >= 0)) {
    throw invalidField("shard", "must be a whole number, 0 or more");
  }
  const run = await service.directory.rebuild({ ...key, ...author, ...readWhy(request), ...defined({ shard }) });
  return respondRun(run, 202);
}

async function rekey({ service, request, author }: Call): Promise<Response> {
  readQuery(request);
  const key = readKey(request);
  await readFields(request, []);
  const run = await service.directory.rekey({ ...key, ...author, ...readWhy(request) });
  return respondRun(run, 202);
}
