/** Owns: the table of the dashboard's routes. */
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

export const siteRoutes: readonly Route[] = [
  ...assetRoutes,
  ...signInPages,
  ...runsPages,
  ...runPages,
  ...workflowsPages,
  ...workflowPages,
  ...schedulesPages,
  ...lanesPages,
  ...statsPages,
];
