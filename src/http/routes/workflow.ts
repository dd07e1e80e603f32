/** Routes of the workflows of this deployment. */
import { readQuery } from "../query.ts";
import type { Call, Route } from "../route.ts";
import { viewWorkflow } from "../view.ts";

export const workflowRoutes: readonly Route[] = [
  { method: "GET", path: "/v1/workflows", role: "read", handle: list },
  { method: "GET", path: "/v1/workflows/:name", role: "read", handle: find },
];

async function list({ service, request }: Call): Promise<Response> {
  readQuery(request);
  return Response.json({ workflows: (await service.workflows.list()).map(viewWorkflow) });
}

async function find({ service, request, param }: Call): Promise<Response> {
  readQuery(request);
  return Response.json(viewWorkflow(await service.workflows.find(param("name"))));
}
