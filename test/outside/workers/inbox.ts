/** A run that collects the signals and updates that it gets, in order, up to a given number. */
import { createWorker, defineWorkflow } from "../../../src/index.ts";

export const inbox = defineWorkflow("inbox", {
  handler: async ({ signals, updates }: { signals: number; updates: number }, step) => {
    const put: number[] = [];
    step.update("put", null, (item: number) => put.push(item));
    const sent: (number | null)[] = [];
    while (sent.length < signals) sent.push(await step.waitFor<number>("item"));
    await step.waitFor("enough");
    return { sent, put, isWhole: put.length === updates };
  },
});

const worker = createWorker({ workflows: [inbox] });
export default worker;
export const { RunObject, DirectoryObject, SchedulerObject, LaneObject } = worker.objects;
