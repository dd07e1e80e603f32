/** Owns: driving each typical run on a real runtime, one after the other, and counting its usage. */
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { median } from "../sample.ts";
import { kinds, round, takenOf } from "./figures.ts";
import type { Kind, Shape, TakenByKind } from "./figures.ts";
import { callsIn } from "./runtime.ts";
import type { Runtime, Tallies } from "./runtime.ts";

type RunView = {
  readonly id: string;
  readonly status: string;
  readonly waitingFor: readonly { readonly name?: string }[];
  readonly cost: { readonly rowsWritten: number; readonly requests: number; readonly secondsAwake: number };
};

type Driven = { readonly ids: readonly string[]; readonly tallies: Tallies };

type Plan = Omit<Shape, "taken" | "bytes" | "meter"> & {
  /** Makes that many runs, and drives them to their ends. */
  readonly drive: (runtime: Runtime, runs: number) => Promise<Driven>;
};

/** The response times of a mail provider and of a language model. */
const mailMs = 150;
const modelMs = 30_000;
const firingGapMs = 4000;
/** The number of simultaneous requests of a language model, so that they share a courier. */
const together = 12;

/** A local server that responds after `?ms=`, and keeps the addresses that it gets. */
class Provider {
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  readonly inbox: string[] = [];

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url } = JSON.parse(await text(request)) as { url?: string };
    if (url !== undefined) this.inbox.push(url);
    await pause(Number(new URL(request.url ?? "", "http://localhost").searchParams.get("ms")));
    response.end("done");
  }

  close(): void {
    this.#server.close();
  }
}

export async function countShapes(runtime: Runtime, say: (what: string) => void): Promise<readonly Shape[]> {
  const provider = new Provider();
  const shapes: Shape[] = [];
  for (const plan of plans(provider, await provider.listen())) {
    say(plan.what);
    shapes.push(await count(runtime, plan));
  }
  provider.close();
  return shapes;
}

function plans(provider: Provider, url: string): readonly Plan[] {
  const model = `${url}?ms=${modelMs}`;
  return [
    plan("1 step", "one quick step", 1, 50, ends("quick", { count: 1 })),
    plan("5 steps", "five quick steps", 5, 50, ends("quick", { count: 5 })),
    {
      ...plan("approval", `five quick steps, a mail (${mailMs} ms), a person within 3 days`, 7, 10, (runtime, runs) =>
        approve(runtime, runs, { mail: `${url}?ms=${mailMs}` }, provider.inbox),
      ),
      workerRequests: 2,
    },
    plan("fan-out", "20 quick steps, then 100 at once by `step.map`, each of its own length", 120, 10, ends("fan", {})),
    plan(
      "model",
      `one step that awaits a language model for ${modelMs / 1000} s; ${together} at once`,
      1,
      together,
      atOnce("model", { url: model }),
    ),
    plan(
      "model by `step.fetch`",
      `the same by \`step.fetch\`; ${together} at once`,
      1,
      together,
      atOnce("letter", { url: model }),
    ),
    {
      ...plan("schedule", "one quick step, started by a schedule", 1, 4, fire),
      workerRequests: 0,
    },
    plan("lane", "one quick step in a lane with room", 1, 20, ends("laned", {})),
    plan("child", "a run that awaits a child of one step", 2, 20, ends("parent", {})),
    plan("key", "one quick step, started with an id and an `Idempotency-Key`", 1, 20, keyed),
  ];
}

function plan(name: string, what: string, steps: number, runs: number, drive: Plan["drive"]): Plan {
  return { name, what, steps, workerRequests: 1, runs, drive };
}

async function count(runtime: Runtime, { drive, ...plan }: Plan): Promise<Shape> {
  // One run before the count, because objects and the directory do some work only once.
  if (!plan.what.endsWith("at once")) await drive(runtime, 1);
  const { ids, tallies } = await drive(runtime, plan.runs);
  const taken = takenBy(tallies, ids);
  const views = await Promise.all(ids.map(async (id) => (await runtime.fetch(`/v1/runs/${id}`)) as RunView));
  const unfinished = views.find(({ status }) => status !== "completed");
  if (unfinished !== undefined) throw new Error(`run ${unfinished.id} of "${plan.name}" is ${unfinished.status}`);
  const sizes = await Promise.all(ids.map((id) => runtime.fetch(`/size/RUNS/${id}`)));
  await runtime.settled();
  const mean = (of: (view: RunView) => number): number => views.reduce((sum, view) => sum + of(view), 0) / views.length;
  const meter = {
    rowsWritten: mean(({ cost }) => cost.rowsWritten),
    requests: mean(({ cost }) => cost.requests),
    awakeMs: mean(({ cost }) => cost.secondsAwake * 1000),
  };
  return { ...plan, taken, bytes: median(sizes.map(Number)), meter };
}

/** The average usage of each kind of object for one run. */
export function takenBy(tallies: Tallies, ids: readonly string[]): TakenByKind {
  const byKind = Map.groupBy(Object.entries(tallies), ([name]) => kindOf(name, ids));
  const entries = kinds.flatMap((kind) => {
    const found = byKind.get(kind);
    if (found === undefined) return [];
    const taken = found.map(([, tally]) => ({ ...tally, calls: callsIn(tally) }));
    const each = takenOf((field) => round(taken.reduce((sum, { [field]: more }) => sum + more, 0) / ids.length));
    return [[kind, each] as const];
  });
  return Object.fromEntries(entries);
}

function kindOf(object: string, ids: readonly string[]): Kind {
  const [binding, name = ""] = object.split("/");
  switch (binding) {
    case "DIRECTORY":
      return "shard";
    case "SCHEDULER":
      return "scheduler";
    case "LANES":
      return name === "roll" ? "roll" : "lane";
    default:
      if (name.startsWith(".register-")) return "register";
      if (name.startsWith(".courier-")) return "courier";
      if (ids.includes(name)) return "run";
      return name.startsWith("key-") ? "key" : "child";
  }
}

function ends(workflow: string, input: object): Plan["drive"] {
  return async (runtime, runs) => {
    const ids: string[] = [];
    for (let made = 0; made < runs; made++) ids.push(await run(runtime, workflow, input));
    return { ids, tallies: await runtime.settled() };
  };
}

/** Starts runs without waiting for them, and reads them when all objects are idle. */
function atOnce(workflow: string, input: object): Plan["drive"] {
  return async (runtime, runs) => {
    const start = async (): Promise<string> => {
      return ((await runtime.fetch(`/v1/workflows/${workflow}/runs`, { input })) as RunView).id;
    };
    const ids = await Promise.all(Array.from({ length: runs }, start));
    // All objects are idle while the model works, so this has to be waited for separately.
    await pause(modelMs + 5000);
    return { ids, tallies: await runtime.settled() };
  };
}

/** Starts a run, and waits for its end in the same call. */
async function run(runtime: Runtime, workflow: string, input: object): Promise<string> {
  const { id } = (await runtime.fetch(`/v1/workflows/${workflow}/runs?wait=60s`, { input })) as RunView;
  return id;
}

let keys = 0;

/** With an explicit id besides the key, so that the key has an object of its own. */
async function keyed(runtime: Runtime, runs: number): Promise<Driven> {
  const ids: string[] = [];
  for (let made = 0; made < runs; made++) {
    const id = `order-${++keys}`;
    await runtime.fetch(
      "/v1/workflows/quick/runs?wait=60s",
      { id, input: { count: 1 } },
      { headers: { "idempotency-key": id } },
    );
    ids.push(id);
  }
  return { ids, tallies: await runtime.settled() };
}

/** Each waits, loses its memory as it would in a wait of days, and is answered at the address that was mailed. */
async function approve(runtime: Runtime, runs: number, input: object, inbox: string[]): Promise<Driven> {
  const ids: string[] = [];
  for (let made = 0; made < runs; made++) {
    ids.push(((await runtime.fetch("/v1/workflows/approval/runs", { input })) as RunView).id);
  }
  await runtime.quiet();
  await forget(runtime, ids);
  for (const url of inbox.splice(0)) await runtime.fetch(new URL(url).pathname, { decision: "approve" });
  return { ids, tallies: await runtime.settled() };
}

/** Firings closer together than a minute, but each finds objects without a memory, as after a minute. */
async function fire(runtime: Runtime, runs: number): Promise<Driven> {
  const cron = `*/${firingGapMs / 1000} * * * * *`;
  await runtime.fetch("/v1/schedules", { id: `beat-${runs}`, workflow: "quick", cron, input: { count: 1 } });
  await pause(untilMidGap() + firingGapMs);
  const before = await runtime.taken();
  if (before["SCHEDULER/scheduler"] === undefined) throw new Error("the schedule does not fire");
  for (let made = 0; made < runs; made++) {
    await forget(runtime, []);
    await pause(untilMidGap());
  }
  const tallies = await runtime.taken();
  await runtime.fetch(`/v1/schedules/beat-${runs}`, undefined, { method: "DELETE" });
  await runtime.settled();
  const started = Object.entries(tallies).filter(([name, { calls }]) => name.startsWith("RUNS/") && "start" in calls);
  return { ids: started.map(([name]) => name.slice("RUNS/".length)), tallies };
}

/** To the next instant that is as far as can be from any firing. */
function untilMidGap(): number {
  const passed = (Date.now() - firingGapMs / 2) % firingGapMs;
  return firingGapMs - passed;
}

async function forget(runtime: Runtime, ids: readonly string[]): Promise<void> {
  await runtime.evict("SchedulerObject", "scheduler");
  await runtime.evict("DirectoryObject", "shard-0");
  for (const id of [".register-0", ...ids]) await runtime.evict("RunObject", id);
}
