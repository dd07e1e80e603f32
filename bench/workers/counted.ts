/** Holdfast's objects and the floor's, each with a method that says what it has written. */
import { env } from "cloudflare:workers";
import { createWorker } from "../../src/index.ts";
import { callsMade, countCalls } from "./calls.ts";
import { countWrites } from "./count.ts";
import type { Writes } from "./count.ts";
import { RunObject as Floor } from "./floor.ts";
import type { FloorInput } from "./floor.ts";
import { workflows } from "./flows.ts";

/** Taken before the bindings count: what the bench itself asks is no call. */
const plain: unknown = { ...env };
countCalls(["RUNS", "DIRECTORY", "SCHEDULER", "LANES"]);

const worker = createWorker({ workflows });

export class RunObject extends worker.objects.RunObject {
  readonly #writes: () => Writes;

  constructor(ctx: DurableObjectState, given: unknown) {
    const writes = countWrites(ctx);
    super(ctx, given);
    this.#writes = writes;
  }

  async writes(): Promise<Writes> {
    return this.#writes();
  }
}

export class DirectoryObject extends worker.objects.DirectoryObject {
  readonly #writes: () => Writes;

  constructor(ctx: DurableObjectState, given: Cloudflare.Env) {
    const writes = countWrites(ctx);
    super(ctx, given);
    this.#writes = writes;
  }

  async writes(): Promise<Writes> {
    return this.#writes();
  }
}

export class FloorObject extends Floor {
  readonly #writes: () => Writes;

  constructor(ctx: DurableObjectState, given: Cloudflare.Env) {
    const writes = countWrites(ctx);
    super(ctx, given);
    this.#writes = writes;
  }

  async writes(): Promise<Writes> {
    return this.#writes();
  }
}

export const { SchedulerObject, LaneObject } = worker.objects;

function object<Rpc>(binding: string, name: string): Rpc {
  return (plain as Record<string, DurableObjectNamespace>)[binding]?.getByName(name) as Rpc;
}

export default {
  /** Beside Holdfast's API: `/writes/BINDING/NAME`, `/calls`, and `POST /floor/NAME` with a floor's input. */
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
