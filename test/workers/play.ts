/**
 * Plays a run as the world would: starts it, makes the calls it waits for, and otherwise leaves it
 * alone; what the run does is seen from beside it.
 */
import { documentIntake } from "../../examples/documents/intake.ts";
import { order } from "../../examples/orders.ts";
import { dailyReport } from "../../examples/report.ts";
import type { Entry } from "../../src/core/entry.ts";
import { HoldfastError } from "../../src/core/error.ts";
import type { RunSnapshot } from "../../src/core/run.ts";
import { decode, encode } from "../../src/core/value.ts";
import { getRun } from "../../src/index.ts";
import { Catalog } from "../../src/objects/catalog.ts";
import { createService } from "../../src/objects/service.ts";
import { fanWorkflows } from "./flows/fan.ts";
import { childWorkflows } from "./flows/children.ts";
import { deeds, interruptionWorkflows } from "./flows/interruption.ts";
import { mails, watched } from "./saboteur.ts";
import type { Blow } from "./saboteur.ts";

const workflows = [documentIntake, order, dailyReport, ...interruptionWorkflows, ...childWorkflows, ...fanWorkflows];
export const service = createService(new Catalog(workflows.map(({ definition }) => definition)));
export const pollMs = 40;

/** A call from outside, once the journal says it is time for it; it throws when it was not answered. */
export type Call = {
  readonly when: (entry: Entry) => boolean;
  readonly make: (id: string, entries: readonly Entry[]) => Promise<unknown>;
};

export type Program = {
  readonly title: string;
  readonly workflow: string;
  /** `to` is an address of the run's own. */
  readonly input: (to: string) => unknown;
  readonly calls: readonly Call[];
};

export function sent(after: (entry: Entry) => boolean, name: string, payload: object, key: string): Call {
  return { when: after, make: (id) => getRun(id).signal(name, payload, { idempotencyKey: `${id}:${key}` }) };
}

/** The address is the newest on record: one that was lost with its process was never given to anybody. */
export function clicked(when: (entry: Entry) => boolean, webhook: string, query: Record<string, string>): Call {
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

/** What else is done to a run while it goes on. */
export type Poke = (id: string) => Promise<void>;

/** Starts the run, makes the calls it needs, each until it is answered, and waits for its end without asking it. */
export async function play(
  program: Program,
  id: string,
  blows: readonly Blow[],
  poke: Poke = async () => {},
): Promise<Ending> {
  const sight = watched(id);
  sight.blows = blows;
  await start(program, id);
  const calls = [...program.calls];
  const endsBy = Date.now() + 40_000;
  while (!isOver(id)) {
    if (Date.now() > endsBy) throw new Error(`${id} did not end: ${sight.entries.map(({ kind }) => kind).join(", ")}`);
    const [call] = calls;
    if (call !== undefined && sight.entries.some(call.when)) {
      // Unanswered calls are made again; nothing else is ever asked of the run.
      await call.make(id, sight.entries).then(() => calls.shift(), refused);
    }
    await poke(id);
    await pause(pollMs);
  }
  const { entries } = await service.runs.history(id, 0, 200);
  return { run: await service.runs.read(id), entries };
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
function refused(error: unknown): void {
  if (error instanceof HoldfastError && error.code !== "webhook_not_found") throw error;
}

function isOver(id: string): boolean {
  const { entries, blows, resting, lives } = watched(id);
  const last = entries.at(-1)?.kind;
  // A run that has ended may have no reason to wake once more.
  const spent = blows.length === 0 || lives > 1;
  return spent && resting && (last === "run.completed" || last === "run.failed" || last === "run.cancelled");
}

export function outputOf({ output }: RunSnapshot): unknown {
  return output === null ? null : decode(output);
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * What happened to each call, in its order, without what only tells of the interruptions. A wait is
 * on record only where it had to wait, so its beginning is no part of it.
 */
const unsaid: ReadonlySet<string> = new Set([
  "run.interrupted",
  "run.recovered",
  "step.attempt_started",
  "step.interrupted",
  "wait.started",
]);

function storyOf(entries: readonly Entry[]): Record<string, string[]> {
  const story: Record<string, string[]> = {};
  for (const entry of entries) {
    if (unsaid.has(entry.kind)) continue;
    const [noun] = entry.kind.split(".");
    const place = "step" in entry ? entry.step : "call" in entry ? entry.call : "";
    const detail =
      entry.kind === "log.written" ? ` ${entry.message}` : entry.kind === "signal.received" ? ` ${entry.name}` : "";
    (story[`${noun === "wait" ? "signal" : noun} ${place}`] ??= []).push(`${entry.kind}${detail}`);
  }
  return story;
}

/** The end as it would be under any id and at any time. */
function endOf({ run }: Ending): unknown {
  const text = JSON.stringify([run.status, run.output, run.error, run.progress, run.steps]);
  return text
    .replaceAll(run.id, "ID")
    .replaceAll(/pay_\w{7}|HF\w{7}/g, "CODE")
    .replaceAll(/,\d{12,}(?=[,\]])/g, ",AT")
    .replaceAll(/"stack":"[^"]*"/g, "");
}

/** The mails of the development outbox, where each is a run. */
function mailsOf(id: string): string[] {
  return mails()
    .filter(({ to }) => to === `${id}@example.com` || to === `r-${id}@example.com`)
    .map(({ to, subject }) => `${to} ${subject}`.replaceAll(id, "ID"));
}

/**
 * What was done for the run that was accepted: a start that died unanswered is made again, and what
 * was done under its keys never left the process.
 */
function deedsOf({ id, createdAt }: RunSnapshot): typeof deeds {
  return deeds.filter(({ run, key }) => run === id && key.startsWith(`${id}:${createdAt.toString(36)}:`));
}

/** Everything about a run that its interruptions must not change. */
export function traceOf(ending: Ending) {
  const done = deedsOf(ending.run);
  const keys = new Set(done.map(({ step, key }) => `${step} ${key}`));
  const attempts = new Set(done.map(({ step, attempt }) => `${step} ${attempt}`));
  return {
    end: endOf(ending),
    story: storyOf(ending.entries),
    mails: mailsOf(ending.run.id),
    attempts: [...attempts].toSorted(),
    steps: [...keys].map((key) => key.split(" ")[0]).toSorted(),
    repeated: done.filter(({ repeated }) => repeated),
  };
}
