import { createWorker } from "../../src/index.ts";
import { workflows } from "./flows.ts";

const worker = createWorker({ workflows });

export default worker;
export const { RunObject, DirectoryObject, SchedulerObject, LaneObject } = worker.objects;
