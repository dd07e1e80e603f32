/** Routes of the workflows of this deployment. */
import type { Service } from "../../core/service/service.ts";
import { readQuery } from "../query.ts";
import type { Call, Route } from "../route.ts";
import { viewWorkflow } from "../view.ts";

export function workflowRoutes(service: Service): Route[] {
  return [
    { method: "GET", path: "/v1/workflows", role: "read", handle: (call) => list(service, call) },
    { method: "GET", path: "/v1/workflows/:name", role: "read", handle: (call) => find(service, call) },
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
