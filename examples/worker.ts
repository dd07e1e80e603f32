/** The example Worker: three workflows and the Holdfast API in front of them; on a laptop, the outbox too. */
import { createWorker } from "holdfast";
import { documentIntake } from "./documents/intake.ts";
import { order } from "./orders.ts";
import { outbox } from "./outbox.ts";
import { dailyReport } from "./report.ts";
import { hasOutbox } from "./settings.ts";

const development = hasOutbox() ? [outbox] : [];
const worker = createWorker({ workflows: [documentIntake, order, dailyReport, ...development] });

export default worker;
export const { RunObject, DirectoryObject, SchedulerObject } = worker.objects;
