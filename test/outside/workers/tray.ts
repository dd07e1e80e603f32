/** A run that keeps what it is sent, in order, until it has as much as it was told. */
import { createWorker, defineWorkflow } from "../../../src/index.ts";

export const tray = defineWorkflow("tray", {
  handler: async ({ signals, updates }: { signals: number; updates: number }, step) => {
    const put: number[] = [];
    step.update("put", null, (item: number) => put.push(item));
    const sent: (number | null)[] = [];
    while (sent.length < signals) sent.push(await step.waitFor<number>("item"));
    await step.waitFor("enough");
    return { sent, put, isWhole: put.length === updates };
  },
});

const worker = createWorker({ workflows: [tray] });
export default worker;
export const { RunObject, DirectoryObject, SchedulerObject, LaneObject } = worker.objects;
