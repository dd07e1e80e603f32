/** Routes of runs and their signals. */
import { defined } from "../../core/record.ts";
import type { RunAction, Service, SignalRequest } from "../../core/service/service.ts";
import { readReason, readWhy } from "../auth/author.ts";
import { readFields, readKey, readValue } from "../body.ts";
import type { Role } from "../config.ts";
import { filterNames, readCount, readFilter, readLimit, readQuery, readWait } from "../query.ts";
import type { Call, Route } from "../route.ts";
import { readTrace } from "../trace.ts";
import { viewHistory, viewRun, viewSummary } from "../view.ts";

export function runRoutes(service: Service): Route[] {
  return [
    { method: "GET", path: "/v1/runs", role: "read", handle: (call) => list(service, call) },
    { method: "GET", path: "/v1/runs/:id", role: "read", handle: (call) => read(service, call) },
    { method: "DELETE", path: "/v1/runs/:id", role: "admin", handle: (call) => remove(service, call) },
    { method: "GET", path: "/v1/runs/:id/history", role: "read", handle: (call) => history(service, call) },
    action(service, "cancel", "operate"),
    action(service, "terminate", "admin"),
    action(service, "pause", "operate"),
    action(service, "resume", "operate"),
    action(service, "retry", "operate"),
    { method: "POST", path: "/v1/runs/:id/signals/:name", role: "operate", handle: (call) => signal(service, call) },
    { method: "POST", path: "/v1/signals/:name", role: "operate", handle: (call) => broadcast(service, call) },
  ];
}

async function read(service: Service, { request, param }: Call): Promise<Response> {
  const waitMs = readWait(readQuery(request, ["wait"]));
  return Response.json(viewRun(await service.runs.read(param("id"), waitMs)));
}

async function list(service: Service, { request }: Call): Promise<Response> {
  const query = readQuery(request, [...filterNames, "limit", "cursor"]);
  const cursor = query.get("cursor");
  const filter = readFilter(query);
  const page = await service.runs.list({
    ...filter,
    limit: readLimit(query, 50),
    ...defined({ cursor }),
  });
  return Response.json({ runs: page.runs.map(viewSummary), cursor: page.cursor });
}

async function history(service: Service, { request, param }: Call): Promise<Response> {
  const query = readQuery(request, ["after", "limit"]);
  const page = await service.runs.history(param("id"), readCount(query, "after") ?? 0, readLimit(query, 200));
  return Response.json(viewHistory(page));
}

function action(service: Service, kind: Exclude<RunAction["kind"], "delete">, role: Role): Route {
  const handle = async (call: Call): Promise<Response> => {
    return Response.json(viewRun(await service.runs.act(call.param("id"), await readAction(call, kind))));
  };
  return { method: "POST", path: `/v1/runs/:id/${kind}`, role, handle };
}

async function remove(service: Service, call: Call): Promise<Response> {
  await service.runs.act(call.param("id"), await readAction(call, "delete"));
  return new Response(null, { status: 204 });
}

async function readAction({ request, author }: Call, kind: RunAction["kind"]): Promise<RunAction> {
  readQuery(request);
  const fields = await readFields(request, ["reason"]);
  return { ...readKey(request), kind, ...author, reason: readReason(request, fields) };
}

async function signal(service: Service, call: Call): Promise<Response> {
  const { duplicate } = await service.signals.send(call.param("id"), await readSignal(call));
  return Response.json({ accepted: true, duplicate }, { status: 202 });
}

async function broadcast(service: Service, call: Call): Promise<Response> {
  const { delivered, buffered } = await service.signals.broadcast(await readSignal(call));
  return Response.json({ delivered, buffered }, { status: 202 });
}

async function readSignal({ request, param, author }: Call): Promise<SignalRequest> {
  readQuery(request);
  const key = readKey(request);
  const payload = await readValue(request, "the payload");
  return { ...key, name: param("name"), payload, ...author, ...readWhy(request), ...readTrace(request) };
}
