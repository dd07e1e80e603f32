/**
 * Everything that is compared, in one Worker that can be deployed: Holdfast, the floor below `/floor`, and the hosted product
 * below `/hosted`. The latter two also need a token of API_TOKENS.
 */
import { env } from "cloudflare:workers";
import { Hono } from "hono";
import { bearerAuth } from "hono/bearer-auth";
import { createWorker } from "../../src/index.ts";
import hosted from "./emulator.ts";
import { floorApp } from "./floor.ts";
import { workflows } from "./flows.ts";

const worker = createWorker({ workflows });

export const { RunObject, DirectoryObject, SchedulerObject, LaneObject } = worker.objects;
export { BenchWorkflow } from "./emulator.ts";
export { RunObject as FloorObject } from "./floor.ts";

const { API_TOKENS = "" } = env as unknown as { API_TOKENS?: string };
const token = API_TOKENS.split(",").map((each) => each.trim().replace(/^[^:]*:/, ""));

const others = new Hono();
others.use(bearerAuth({ token }));
others.route("/floor", floorApp("FLOOR"));
others.route("/hosted", hosted);

export default {
  async fetch(request: Request, given: unknown, ctx: ExecutionContext): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (/^\/(?:floor|hosted)\//.test(pathname)) return await others.fetch(request, given, ctx);
    return await worker.fetch(request, given, ctx);
  },
};
