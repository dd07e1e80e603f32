/** The Worker under test: the workflows of all the tests in one deployment. */
import { createWorker } from "../../src/index.ts";
import { contexts, engineWorkflows } from "./flows/engine.ts";

const worker = createWorker({ workflows: [...engineWorkflows] });

export default worker;
export const { DirectoryObject, SchedulerObject } = worker.objects;

/** Lets a step end its own object. */
export class RunObject extends worker.objects.RunObject {
  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env);
    if (ctx.id.name !== undefined) contexts.set(ctx.id.name, ctx);
  }
}
