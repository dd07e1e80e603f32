/** Routes of runs and their signals. */
import { defined } from "../../core/record.ts";
import type { RunAction, SignalRequest } from "../../core/service/service.ts";
import { readSender, readMetadata } from "../auth/author.ts";
import { readFields, readKey, readValue } from "../body.ts";
import type { Role } from "../config.ts";
import { filterNames, readCount, readFilter, readLimit, readQuery, readWait } from "../query.ts";
import type { Call, Route } from "../route.ts";
import { viewHistory, viewRun, viewSummary } from "../view.ts";

export const runRoutes: readonly Route[] = [
  { method: "GET", path: "/v1/runs", role: "read", handle: list },
  { method: "GET", path: "/v1/runs/:id", role: "read", handle: read },
  { method: "DELETE", path: "/v1/runs/:id", role: "admin", handle: remove },
  { method: "GET", path: "/v1/runs/:id/history", role: "read", handle: history },
  action("cancel", "operate"),
  action("terminate", "admin"),
  action("pause", "operate"),
  action("resume", "operate"),
  action("retry", "operate"),
  { method: "POST", path: "/v1/runs/:id/signals/:name", role: "operate", handle: signal },
  { method: "POST", path: "/v1/signals/:name", role: "operate", handle: broadcast },
];

async function read({ service, request, param }: Call): Promise<Response> {
  const waitMs = readWait(readQuery(request, ["wait"]));
  return Response.json(viewRun(await service.runs.read(param("id"), waitMs)));
}

async function list({ service, request }: Call): Promise<Response> {
  const query = readQuery(request, [...filterNames, "limit", "cursor"]);
  const page = await service.runs.list({
    ...readFilter(query),
    limit: readLimit(query, 50),
    ...defined({ cursor: query.get("cursor") }),
  });
  return Response.json({ runs: page.runs.map(viewSummary), cursor: page.cursor });
}

async function history({ service, request, param }: Call): Promise<Response> {
  const query = readQuery(request, ["after", "limit"]);
  const page = await service.runs.history(param("id"), readCount(query, "after") ?? 0, readLimit(query, 200));
  return Response.json(viewHistory(page));
}

function action(kind: Exclude<RunAction["kind"], "delete">, role: Role): Route {
  const handle = async (call: Call): Promise<Response> => {
    return Response.json(viewRun(await call.service.runs.act(call.param("id"), await readAction(call, kind))));
  };
  return { method: "POST", path: `/v1/runs/:id/${kind}`, role, handle };
}

async function remove(call: Call): Promise<Response> {
  await call.service.runs.act(call.param("id"), await readAction(call, "delete"));
  return new Response(null, { status: 204 });
}

async function readAction(call: Call, kind: RunAction["kind"]): Promise<RunAction> {
  readQuery(call.request);
  const fields = await readFields(call.request, ["reason"]);
  return { ...readMetadata(call, fields), kind };
}

async function signal(call: Call): Promise<Response> {
  const { duplicate } = await call.service.signals.send(call.param("id"), await readSignal(call));
  return Response.json({ accepted: true, duplicate }, { status: 202 });
}

async function broadcast(call: Call): Promise<Response> {
  const { delivered, buffered } = await call.service.signals.broadcast(await readSignal(call));
  return Response.json({ delivered, buffered }, { status: 202 });
}

async function readSignal(call: Call): Promise<SignalRequest> {
  readQuery(call.request);
  const key = readKey(call.request);
  const payload = await readValue(call.request, "the payload");
  return { ...key, name: call.param("name"), payload, ...readSender(call) };
}
