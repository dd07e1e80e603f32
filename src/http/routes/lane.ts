/** Routes of lanes: how full they are, and their limits. */
import { defined } from "../../core/record.ts";
import type { LaneInfo } from "../../core/service/lanes.ts";
import { readReason } from "../auth/author.ts";
import { invalidField, readFields, readKey } from "../body.ts";
import { readLimit, readQuery } from "../query.ts";
import type { Call, Route } from "../route.ts";
import { viewInstant } from "../view.ts";

export const laneRoutes: readonly Route[] = [
  { method: "GET", path: "/v1/lanes", role: "read", handle: list },
  { method: "GET", path: "/v1/lanes/:name", role: "read", handle: find },
  { method: "PATCH", path: "/v1/lanes/:name", role: "admin", handle: override },
];

async function list({ service, request }: Call): Promise<Response> {
  const query = readQuery(request, ["limit", "cursor"]);
  const page = await service.lanes.list({ limit: readLimit(query, 50), ...defined({ cursor: query.get("cursor") }) });
  return Response.json({ lanes: page.lanes.map(viewLane), cursor: page.cursor });
}

async function find({ service, request, param }: Call): Promise<Response> {
  const limit = readLimit(readQuery(request, ["limit"]), 20);
  return Response.json(viewLane(await service.lanes.find(param("name"), limit)));
}

async function override({ service, request, param, author }: Call): Promise<Response> {
  readQuery(request);
  const { key } = readKey(request);
  const limit = readOverride(await readFields(request, ["limit"]));
  const options = { ...author, reason: readReason(request) };
  return Response.json(viewLane(await service.lanes.override(param("name"), limit, options, key)));
}

const maxOverride = 1_000_000;

function readOverride(fields: Readonly<Record<string, unknown>>): number | null {
  const limit = fields["limit"];
  if (limit === null) return null;
  if (Number.isInteger(limit) && Number(limit) >= 0 && Number(limit) <= maxOverride) return Number(limit);
  throw invalidField("limit", `must be a whole number from 0 to ${maxOverride}, or null for the limit in the code`);
}

function viewLane({ holders, queue, setting, ...lane }: LaneInfo) {
  return {
    ...lane,
    ...(setting === undefined ? {} : { setting: { ...setting, at: viewInstant(setting.at) } }),
    holders: holders.map(({ sinceAt, ...holder }) => ({ ...holder, since: viewInstant(sinceAt) })),
    queue: queue.map(({ sinceAt, ...waiter }) => ({ ...waiter, since: viewInstant(sinceAt) })),
  };
}
