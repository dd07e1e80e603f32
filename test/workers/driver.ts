/** Drives a run from outside: starts it, makes the calls that it waits for, and otherwise only observes its writes. */
import { agent } from "../../examples/agent/agent.ts";
import { approval } from "../../examples/approval.ts";
import { documentIntake } from "../../examples/documents/intake.ts";
import { drip } from "../../examples/drip.ts";
import { order } from "../../examples/orders.ts";
import { dailyReport } from "../../examples/report.ts";
import type { Entry } from "../../src/core/history/entry.ts";
import { HoldfastError } from "../../src/core/error.ts";
import type { RunSnapshot } from "../../src/core/run/run.ts";
import type { RunAction } from "../../src/core/service/service.ts";
import { decode, encode } from "../../src/core/value/value.ts";
import { getRun } from "../../src/index.ts";
import { Catalog } from "../../src/objects/deployment/catalog.ts";
import { createService } from "../../src/objects/service.ts";
import { fanWorkflows } from "./flows/fan.ts";
import { childWorkflows } from "./flows/children.ts";
import { interruptionWorkflows } from "./flows/interruption.ts";
import { mortalWorkflows } from "./flows/interruptible.ts";
import { orderWorkflows } from "./flows/orders.ts";
import { watched } from "./crashpoint.ts";
import type { CrashPoint } from "./crashpoint.ts";

const workflows = [
  documentIntake,
  order,
  dailyReport,
  agent,
  approval,
  drip,
  ...interruptionWorkflows,
  ...mortalWorkflows,
  ...orderWorkflows,
  ...childWorkflows,
  ...fanWorkflows,
];
export const service = createService(new Catalog(workflows.map(({ definition }) => definition)));
const pollMs = 40;
/** Who waits for a run gives it so long, and looks at it so often meanwhile: where there is much to do, timers are late. */
const patienceMs = 40_000;
const patiencePolls = 250;

export type When = (entry: Entry, index: number, all: readonly Entry[]) => boolean;

/** A call from outside, once the journal says it is time for it; it throws when it was not answered. */
export type Call = {
  readonly when: When;
  readonly make: (id: string, entries: readonly Entry[]) => Promise<unknown>;
  /** To a run that has ended. */
  readonly late?: true;
};

export type Program = {
  readonly title: string;
  readonly workflow: string;
  /** `to` is an address of the run's own. */
  readonly input: (to: string) => unknown;
  readonly calls: readonly Call[];
  /** How many entries it makes, where it takes long to see. */
  readonly length?: number;
  /** Another run of it goes on beside it, undisturbed. */
  readonly twin?: true;
  /** What it is asked whenever it rests. */
  readonly query?: string;
  /** What interruptions must not change, where that is not everything. */
  readonly trace?: (ending: Ending) => unknown;
  /** The machine stood still for so long that time took the run another way: it is played once more. */
  readonly isLate?: (ending: Ending) => boolean;
};

export function sent(after: When, name: string, payload: object, key: string): Call {
  return { when: after, make: (id) => getRun(id).signal(name, payload, { idempotencyKey: `${id}:${key}` }) };
}

/** What somebody does to the run; again with the same key if it was not answered. */
export function acted(when: When, kind: RunAction["kind"], key: string): Call {
  const action = { kind, by: "test", reason: `to ${kind}` };
  return { when, make: (id) => service.runs.act(id, { ...action, key: `${id}:${key}` }) };
}

/** An update and the same once more: it is one, with one answer. */
export function updated(when: When, name: string, argument: unknown, key: string): Call {
  return {
    when,
    make: async (id) => {
      const update = { name, argument: encode(argument, "argument"), key: `${id}:${key}`, by: "test" };
      const answer = await service.asks.update(id, update);
      const again = await service.asks.update(id, update);
      if (JSON.stringify(again) !== JSON.stringify(answer)) throw new HoldfastError("update_failed", "two answers");
    },
  };
}

/** The address is the newest on record: one that was lost with its process was never given to anybody. */
export function clicked(when: When, webhook: string, query: Record<string, string>): Call {
  return {
    when,
    make: async (_id, entries) => {
      const created = entries.findLast((entry) => entry.kind === "webhook.created" && entry.name === webhook);
      const url = created?.kind === "webhook.created" ? created.url : "";
      await service.hooks.receive(url.split("/").at(-1) ?? "", {
        method: "GET",
        headers: {},
        query,
        body: new Uint8Array(),
      });
    },
  };
}

export const is =
  (kind: Entry["kind"], name?: string) =>
  (entry: Entry): boolean =>
    entry.kind === kind &&
    (name === undefined || ("name" in entry && entry.name === name) || ("step" in entry && entry.step === name));

export type Ending = { readonly run: RunSnapshot; readonly entries: readonly Entry[] };

/** Called repeatedly while the run goes on, to disturb it. */
export type Poke = (id: string) => Promise<void>;

/** Starts the run, makes its calls, each until it is answered, and waits for its end without calling it. */
export async function drive(
  program: Program,
  id: string,
  blows: readonly CrashPoint[],
  poke: Poke = async () => {},
): Promise<Ending> {
  const sight = watched(id);
  sight.blows = blows;
  await start(program, id);
  const calls = [...program.calls];
  let isDue = false;
  const endsBy = Date.now() + patienceMs;
  for (let polls = 0; !isOver(id) || calls.some(({ late }) => late); polls++) {
    if (Date.now() > endsBy && polls > patiencePolls) {
      const kinds = sight.entries.map(({ kind }) => kind).slice(-200);
      throw new Error(`${id} did not end, ${calls.length} calls to come: ${kinds.join(", ")}`);
    }
    const [call] = calls;
    // Entries that may have been lost with the process do not count.
    isDue ||= call !== undefined && !sight.unsure && sight.entries.some(call.when);
    if (isDue && call !== undefined) {
      // Calls without an answer are repeated. The run gets no other calls.
      isDue = await call.make(id, sight.entries).then(() => calls.shift() === undefined, refused);
    }
    if (program.query !== undefined) await ask(id, program.query);
    await poke(id);
    await pause(pollMs);
  }
  if (program.query !== undefined) await ask(id, program.query, true);
  const { entries } = await service.runs.history(id, 0, 200);
  return { run: await service.runs.read(id), entries };
}

/** Queries a run at rest, once for each number of entries unless `again`, and keeps the answers. */
export async function ask(id: string, query: string, again = false): Promise<void> {
  const sight = watched(id);
  const { length } = sight.entries;
  const known = sight.answers.at(-1)?.length === length;
  if (!sight.resting || length === 0 || (known && !again)) return;
  const answer = await service.asks.query(id, query).catch(refused);
  if (answer === true) return;
  // An object that was made to answer, and had nothing else to do, rests.
  if (sight.idle) sight.resting = true;
  if (sight.entries.length === length) sight.answers.push({ length, answer: JSON.stringify(answer) });
}

async function start({ workflow, input }: Program, id: string): Promise<void> {
  for (;;) {
    try {
      await service.runs.start({ workflow, id, input: encode(input(`${id}@example.com`), "input"), by: "test" });
      return;
    } catch (error) {
      refused(error);
      await pause(pollMs);
    }
  }
}

/** A process that ended while it was asked answers with an error of the platform's; ours would be a refusal. */
function refused(error: unknown): true {
  if (error instanceof HoldfastError && error.code !== "webhook_not_found") throw error;
  return true;
}

function isOver(id: string): boolean {
  const { entries, blows, resting, lives } = watched(id);
  const last = entries.at(-1)?.kind;
  const [blow] = blows;
  // A run that has ended may have no reason to wake once more, or have made fewer entries this time.
  const spent = blow === undefined || lives > 1 || (blow.at !== "wake" && blow.at > entries.length);
  return spent && resting && (last === "run.completed" || last === "run.failed" || last === "run.cancelled");
}

export function outputOf({ output }: RunSnapshot): unknown {
  return output === null ? null : decode(output);
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
