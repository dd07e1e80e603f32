/** The Worker of names that are as long as they may be, without a blank to break at. */
import * as z from "zod";
import { createWorker, defineWorkflow, NonRetryableError } from "../../src/index.ts";

const longName = "Maximiliane".repeat(24).slice(0, 256);

const child = defineWorkflow(`${longName.slice(1)}c`, {
  handler: async (_input, step) => await step.waitFor(longName),
});

const wordy = defineWorkflow(longName, {
  input: z.object({ [longName]: z.string() }),
  signals: { [longName]: z.object({ [longName]: z.string() }) },
  schedule: { cron: "0 0 1 1 *", input: { [longName]: longName } },
  lane: { name: longName, limit: 1 },
  concurrency: { limit: 1, key: () => longName.slice(56), hold: true },
  handler: async (_input, step) => {
    await step.run(longName, () => ({ [longName]: longName }));
    step.progress({ [longName]: longName });
    step.log.info(longName, { [longName]: longName });
    const hook = await step.webhook(`${longName.slice(1)}h`);
    const held = step.invoke(child, { [longName]: longName }, { id: longName.slice(0, 128) });
    await Promise.all([step.waitFor(longName), hook.received(), held, step.sleep(`${longName.slice(1)}t`, "1 day")]);
  },
});

const failing = defineWorkflow(`${longName.slice(1)}f`, {
  handler: async (_input, step) =>
    await step.run(longName, () => {
      throw new NonRetryableError(longName.repeat(4));
    }),
});

const worker = createWorker({ workflows: [child, wordy, failing] });

export default worker;
export const { RunObject, DirectoryObject, SchedulerObject, LaneObject } = worker.objects;
