/** The Worker whose dashboard is looked at: the workflows of all the browser tests in one deployment. */
import { createWorker } from "../../src/index.ts";
import { timelineWorkflows } from "../workers/flows/timeline.ts";
import { listedWorkflows } from "./flows/listed.ts";
import { offeredWorkflows } from "./flows/offered.ts";

const worker = createWorker({ workflows: [...listedWorkflows, ...offeredWorkflows, ...timelineWorkflows] });

export default worker;
export const { RunObject, DirectoryObject, SchedulerObject, LaneObject } = worker.objects;
