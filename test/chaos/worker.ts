/** The Worker that chaos is made of: its workflows play programs, and every step tells the ledger before it returns. */
import { byThisClock } from "../outside/clock.ts";
import { env } from "cloudflare:workers";
import * as z from "zod";
import { NonRetryableError, createWorker, defineWorkflow } from "../../src/index.ts";
import type { AttemptContext, RunOptions, Step } from "../../src/index.ts";
import type { Report } from "../outside/ledger.ts";
import type { Input, Op } from "./plan.ts";

const { LEDGER, LIFE, CODE } = env as unknown as { LEDGER: string; LIFE: string; CODE: string };

type Told = { readonly step: string; readonly ms: number; readonly note?: string };

function shared({ info: { id, schedule } }: Step): Pick<Report, "run" | "slotAt" | "life"> {
  return { run: id, slotAt: schedule?.at ?? null, life: Number(LIFE) };
}

/** @returns the value the ledger gave; no two reports are given the same */
async function report(step: Step, { attempt, idempotencyKey: key }: AttemptContext, told: Told): Promise<number> {
  const body: Report = { ...shared(step), key, attempt, ...told };
  const answer = await fetch(LEDGER, { method: "POST", body: JSON.stringify(body) });
  return ((await answer.json()) as { value: number }).value;
}

type Landing = {
  /** In the order in which the handler heard of them: the name, and what it got. */
  readonly heard: readonly (readonly [name: string, value: unknown])[];
};

/** Plays a program; what it heard, and when, is its output. */
class Player {
  readonly heard: [string, unknown][] = [];
  readonly #step: Step;
  readonly #lane: string;

  constructor(step: Step, lane: string) {
    this.#step = step;
    this.#lane = lane;
  }

  async play(ops: readonly Op[]): Promise<void> {
    for (const op of ops) await this.#play(op);
  }

  async effect(name: string, ms: number, options: RunOptions<number> & { fails?: number; note?: string } = {}) {
    const { fails = 0, note = this.#lane, ...rest } = options;
    const value = await this.#step.run<Promise<number>>(
      name,
      async (context) => {
        const value = await report(this.#step, context, { step: name, ms, note });
        if (context.attempt <= fails) throw new Error(`failure ${context.attempt}`);
        return value;
      },
      rest,
    );
    this.heard.push([name, value]);
    return value;
  }

  async #play(op: Op): Promise<unknown> {
    const step = this.#step;
    switch (op.t) {
      case "step":
        return await this.effect(op.name, op.ms, { fails: op.fails, ...(op.undo ? this.#undo(op.name) : {}) });
      case "fetch": {
        const body = { ...shared(step), attempt: 0, step: op.name, ms: op.ms, note: this.#lane };
        const answer = await step.fetch<{ value: number }>(op.name, { url: LEDGER, method: "POST", body });
        return this.heard.push([op.name, answer.body.value]);
      }
      case "nap":
        return await step.sleep(op.name, op.ms);
      case "wait":
        return this.heard.push(["approval", await step.waitFor("approval")]);
      case "hook": {
        const hook = await step.webhook(op.name);
        await this.effect(`${op.name}-url`, 0, { note: hook.url });
        return this.heard.push([op.name, (await hook.received())?.body]);
      }
      case "all":
        return await Promise.all(op.ms.map((ms, index) => this.effect(`${op.name}-${index}`, ms)));
      case "race": {
        const branches = op.ms.map((ms, index) => [`${op.name}-${index}`, ms] as const);
        const racing = branches.map(([name, ms]) => [name, () => this.effect(name, ms)] as const);
        return this.heard.push([op.name, (await step.race(Object.fromEntries(racing))).key]);
      }
      case "map": {
        const name = op.name;
        const work = (ms: number, context: AttemptContext & { index: number }) =>
          report(step, context, { step: `${name} ${context.index}`, ms, note: this.#lane });
        return this.heard.push([name, await step.map(name, op.ms, work, { concurrency: op.concurrency })]);
      }
      case "invoke":
        return this.heard.push([op.name, await step.invoke("voyage", childInput(op.ops))]);
      case "start":
        return this.heard.push([op.name, await step.start("voyage", childInput(op.ops))]);
      case "send":
        await step.signal(op.to, "echo", { of: op.to });
        return this.heard.push(["echo", await step.waitFor("echo")]);
      case "log":
        step.progress({ heard: this.heard.length });
        return step.log.info("going on", { heard: this.heard.length });
      default:
        return op satisfies never;
    }
  }

  #undo(name: string): RunOptions<number> {
    const undone = `${name}:undo`;
    return { undo: (_value, context) => report(this.#step, context, { step: undone, ms: 10, note: this.#lane }) };
  }
}

function childInput(ops: readonly Op[]): Input {
  return { ops, updates: 0, end: "return", rounds: 0, lane: "" };
}

const input = z.custom<Input>((value) => typeof value === "object" && value !== null && "ops" in value);
const signals = { approval: z.object({ number: z.number() }), echo: z.object({ of: z.string() }) };
const retry = { limit: 4, delay: 50, jitter: 0.5 };

async function sail(given: Input, step: Step, prefix = ""): Promise<Landing> {
  const player = new Player(step, given.lane);
  const updated = takeUpdates(given.updates, step, player);
  if (prefix !== "") await player.effect(prefix, 5);
  await player.play(given.ops);
  await updated;
  await player.effect("end", 0);
  if (step.info.continued < given.rounds) return await step.continueAsNew(given);
  // The run is cancelled here, or was before.
  if (given.end === "park") await step.waitFor("never");
  if (given.end === "bail") step.bail("enough");
  if (given.end === "throw") throw new NonRetryableError("storm");
  return { heard: player.heard };
}

async function takeUpdates(count: number, step: Step, player: Player): Promise<void> {
  if (count === 0) return;
  let taken = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  step.update("add", z.object({ number: z.number() }), async ({ number }) => {
    const value = await player.effect(`add-${number}`, 20);
    taken++;
    if (taken === count) resolve();
    return { number, value };
  });
  step.query("heard", () => player.heard.length);
  await promise;
}

const voyage = defineWorkflow("voyage", {
  input,
  signals,
  retry,
  handler: (given, step) => sail(given, step as unknown as Step),
});

const laned = defineWorkflow("laned", {
  input,
  retry,
  concurrency: { limit: 2, key: ({ lane }: Input) => lane },
  handler: (given, step) => sail(given, step as unknown as Step),
});

const pinned = ["1", "2"].map((version) =>
  defineWorkflow("pinned", {
    input,
    retry,
    version,
    handler: (given, step) => sail(given, step as unknown as Step, `code-${version}`),
  }),
);

const tick = defineWorkflow("tick", {
  schedule: { cron: "*/3 * * * * *", id: "every-3s", overlap: "allow-all" },
  handler: async (_input: unknown, step) => await new Player(step, "").effect("tick", 0),
});

const present = pinned.filter((_workflow, index) => CODE === "both" || CODE === (index === 0 ? "one" : "two"));
const worker = createWorker({ workflows: [voyage, laned, tick, ...present] });

export default worker;
export const RunObject = byThisClock(worker.objects.RunObject);
export const DirectoryObject = byThisClock(worker.objects.DirectoryObject);
export const SchedulerObject = byThisClock(worker.objects.SchedulerObject);
export const LaneObject = byThisClock(worker.objects.LaneObject);
