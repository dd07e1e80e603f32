/** The Worker whose runs have their requests made elsewhere, or wait for them themselves; it counts the lives of its objects. */
import { createWorker, defineWorkflow } from "../../../src/index.ts";

const away = defineWorkflow("away", {
  handler: async (url: string, step) => (await step.fetch<number>("ask", url)).body,
});

const here = defineWorkflow("here", {
  handler: async (url: string, step) =>
    await step.run("ask", async (): Promise<number> => await (await fetch(url)).json()),
});

const worker = createWorker({ workflows: [away, here] });
/** Of this process. */
const lives = new Map<string, number>();

export class RunObject extends worker.objects.RunObject {
  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env);
    lives.set(ctx.id.name ?? "", (lives.get(ctx.id.name ?? "") ?? 0) + 1);
  }
}

export const { DirectoryObject, SchedulerObject, LaneObject } = worker.objects;

export default {
  ...worker,
  fetch(request: Request, env: unknown, ctx: ExecutionContext): Response | Promise<Response> {
    const [, what, id = ""] = new URL(request.url).pathname.split("/");
    return what === "lives" ? Response.json(lives.get(id) ?? 0) : worker.fetch(request, env, ctx);
  },
};
