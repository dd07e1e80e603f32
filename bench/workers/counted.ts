/** Holdfast's objects and the floor's, each with a method that says how many rows it has written. */
import { env } from "cloudflare:workers";
import { createWorker } from "../../src/index.ts";
import { countRows } from "./count.ts";
import { RunObject as Floor } from "./floor.ts";
import type { FloorInput } from "./floor.ts";
import { workflows } from "./flows.ts";

const worker = createWorker({ workflows });

export class RunObject extends worker.objects.RunObject {
  readonly #rows: () => number;

  constructor(ctx: DurableObjectState, given: unknown) {
    const rows = countRows(ctx);
    super(ctx, given);
    this.#rows = rows;
  }

  async rows(): Promise<number> {
    return this.#rows();
  }
}

export class DirectoryObject extends worker.objects.DirectoryObject {
  readonly #rows: () => number;

  constructor(ctx: DurableObjectState, given: Cloudflare.Env) {
    const rows = countRows(ctx);
    super(ctx, given);
    this.#rows = rows;
  }

  async rows(): Promise<number> {
    return this.#rows();
  }
}

export class FloorObject extends Floor {
  readonly #rows: () => number;

  constructor(ctx: DurableObjectState, given: Cloudflare.Env) {
    const rows = countRows(ctx);
    super(ctx, given);
    this.#rows = rows;
  }

  async rows(): Promise<number> {
    return this.#rows();
  }
}

export const { SchedulerObject, LaneObject } = worker.objects;

function object<Rpc>(binding: string, name: string): Rpc {
  return (env as unknown as Record<string, DurableObjectNamespace>)[binding]?.getByName(name) as Rpc;
}

export default {
  /** Beside Holdfast's API: `/rows/BINDING/NAME`, and `POST /floor/NAME` with a floor's input. */
  async fetch(request: Request, given: unknown, ctx: ExecutionContext): Promise<Response> {
    const [, first, second, third] = new URL(request.url).pathname.split("/");
    if (first === "rows") {
      return Response.json(await object<{ rows(): Promise<number> }>(second ?? "", third ?? "").rows());
    }
    if (first === "floor") {
      await object<Floor>("FLOOR", second ?? "").run("steps", await request.json<FloorInput>());
      return Response.json(null);
    }
    return await worker.fetch(request, given, ctx);
  },
};
