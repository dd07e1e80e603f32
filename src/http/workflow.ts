/** Routes of workflows and their schedules: what this deployment holds. */
import type { Service } from "../core/service.ts";
import { RequestError } from "./problem.ts";
import { readQuery } from "./query.ts";
import type { Call, Route } from "./route.ts";
import { viewSchedule, viewWorkflow } from "./view.ts";

export function workflowRoutes(service: Service): Route[] {
  return [
    { method: "GET", path: "/v1/workflows", role: "read", handle: (call) => list(service, call) },
    { method: "GET", path: "/v1/workflows/:name", role: "read", handle: (call) => find(service, call) },
    { method: "GET", path: "/v1/schedules", role: "read", handle: (call) => listSchedules(service, call) },
    { method: "GET", path: "/v1/schedules/:id", role: "read", handle: (call) => findSchedule(service, call) },
  ];
}

async function list(service: Service, { request }: Call): Promise<Response> {
  readQuery(request);
  return Response.json({ workflows: (await service.workflows.list()).map(viewWorkflow) });
}

async function find(service: Service, { request, param }: Call): Promise<Response> {
  readQuery(request);
  return Response.json(viewWorkflow(await service.workflows.find(param("name"))));
}

async function listSchedules(service: Service, { request }: Call): Promise<Response> {
  readQuery(request);
  return Response.json({ schedules: (await service.schedules.list()).map(viewSchedule) });
}

async function findSchedule(service: Service, { request, param }: Call): Promise<Response> {
  readQuery(request);
  const schedule = (await service.schedules.list()).find(({ id }) => id === param("id"));
  if (schedule !== undefined) return Response.json(viewSchedule(schedule));
  throw new RequestError("schedule_not_found", "No schedule has this id.");
}
