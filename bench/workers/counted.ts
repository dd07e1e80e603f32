/** The objects of Holdfast and of the floor, with a method that returns their counts. */
import { env } from "cloudflare:workers";
import { createWorker } from "../../src/index.ts";
import type { ObjectClass } from "../../src/index.ts";
import { callsMade, countCalls } from "./calls.ts";
import { countWrites } from "./count.ts";
import type { Writes } from "./count.ts";
import { RunObject as Floor } from "./floor.ts";
import type { FloorInput } from "./floor.ts";
import { workflows } from "./flows.ts";

/** Copied before the bindings are replaced, because calls of the bench itself do not count. */
const plain: unknown = { ...env };
countCalls(["RUNS", "DIRECTORY", "SCHEDULER", "LANES"]);

const worker = createWorker({ workflows });

function counting(base: ObjectClass): ObjectClass {
  return class extends base {
    readonly #writes: () => Writes;

    constructor(ctx: DurableObjectState, given: Cloudflare.Env) {
      const writes = countWrites(ctx);
      super(ctx, given);
      this.#writes = writes;
    }

    async writes(): Promise<Writes> {
      return this.#writes();
    }
  };
}

export const RunObject = counting(worker.objects.RunObject);
export const DirectoryObject = counting(worker.objects.DirectoryObject);
export const FloorObject = counting(Floor);
export const { SchedulerObject, LaneObject } = worker.objects;

function object<Rpc>(binding: string, name: string): Rpc {
  return (plain as Record<string, DurableObjectNamespace>)[binding]?.getByName(name) as Rpc;
}

export default {
  /** Besides Holdfast's API: `/writes/BINDING/NAME`, `/calls`, and `POST /floor/NAME` with the input for the floor. */
  async fetch(request: Request, given: unknown, ctx: ExecutionContext): Promise<Response> {
    const [, first, second, third] = new URL(request.url).pathname.split("/");
    if (first === "writes") {
      return Response.json(await object<{ writes(): Promise<Writes> }>(second ?? "", third ?? "").writes());
    }
    if (first === "calls") return Response.json(callsMade());
    if (first === "floor") {
      await object<Floor>("FLOOR", second ?? "").run("steps", await request.json<FloorInput>());
      return Response.json(null);
    }
    return await worker.fetch(request, given, ctx);
  },
};
