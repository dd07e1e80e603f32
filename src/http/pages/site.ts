/** Owns: the table of the dashboard's routes. */
import type { Service } from "../../core/service/service.ts";
import type { Route } from "../route.ts";
import { assetRoutes } from "./asset.ts";
import { lanesPages } from "./lanes.tsx";
import { runPages } from "./run.tsx";
import { runsPages } from "./runs.tsx";
import { schedulesPages } from "./schedules.tsx";
import { signInPages } from "./signin.tsx";
import { statsPages } from "./stats.tsx";
import { workflowPages } from "./workflow.tsx";
import { workflowsPages } from "./workflows.tsx";

export function siteRoutes(service: Service): Route[] {
  return [
    ...assetRoutes(),
    ...signInPages(),
    ...runsPages(service),
    ...runPages(service),
    ...workflowsPages(service),
    ...workflowPages(service),
    ...schedulesPages(service),
    ...lanesPages(service),
    ...statsPages(service),
  ];
}
