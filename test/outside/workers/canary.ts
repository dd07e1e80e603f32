/** The Worker whose files are searched for what its runs were given. */
import { createWorker } from "../../../src/index.ts";
import { canaryWorkflows } from "../../workers/flows/canary.ts";

const worker = createWorker({ workflows: canaryWorkflows });

export default worker;
export const { RunObject, DirectoryObject, SchedulerObject, LaneObject } = worker.objects;
