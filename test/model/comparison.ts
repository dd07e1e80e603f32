/** Holds what was observed of a run against the model. */
import { createRandom } from "../../src/core/random.ts";
import type { Random } from "../../src/core/random.ts";
import { placeOf } from "./call.ts";
import { Disagreement } from "./disagreement.ts";
import type { Seen } from "./disagreement.ts";
import { Model } from "./model.ts";
import type { Order } from "./model.ts";
import { perform } from "./player.ts";
import type { Input } from "./program.ts";
import type { Effect } from "./workflow.ts";

/** How a run looked once so many of its entries were on record. */
export type Look = {
  readonly seq: number;
  readonly at: number;
  readonly status: string;
  readonly waitingFor: readonly string[];
};

/** A request with a key of its own, once or twice, and how it was answered: with a code, if it was refused. */
export type Request = { readonly what: string; readonly key: string; readonly at: number; readonly answer: string };

export type Observation = {
  readonly input: Input;
  readonly history: readonly Seen[];
  readonly looks: readonly Look[];
  readonly requests: readonly Request[];
  readonly effects: readonly Effect[];
  /** An attempt that was cut off may have been so before its report had left the process, which was killed then. */
  readonly isLossy?: true;
  readonly status: string;
  readonly output: unknown;
  readonly error: unknown;
};

/** Orders in which the branches of a cancelled handler may hear of it that are tried at most. */
const maxOrders = 200;

/**
 * @param slackMs how late anything may come
 * @throws Disagreement the first difference
 */
export async function compare(observed: Observation, slackMs: number, turn: () => Promise<void>): Promise<void> {
  const wasCancelled = observed.history.some(({ kind }) => kind === "run.cancel_requested");
  // Which branch of a cancelled handler is the first to hear of it, nobody says: one order must tell the history.
  const orders: (Order | null)[] = [null];
  for (let i = 0; wasCancelled && i < maxOrders; i++) orders.push(shuffle(createRandom(`order ${i}`)));
  let first: unknown = null;
  for (const order of orders) {
    const different = await compareIn(observed, new Model({ slackMs, aheadMs: 0 }, turn, order)).then(
      () => null,
      (error: unknown) => error,
    );
    if (different === null) return;
    if (!(different instanceof Disagreement)) throw different;
    first ??= different;
  }
  throw first;
}

function shuffle(random: Random): Order {
  return (told) => {
    const drawn = told.map((tell) => ({ tell, at: random.next() }));
    return drawn.toSorted((one, other) => one.at - other.at).map(({ tell }) => tell);
  };
}

async function compareIn(observed: Observation, model: Model): Promise<void> {
  const { history } = observed;
  for (const [i, entry] of history.entries()) {
    try {
      if (entry.seq !== i + 1) throw new Disagreement("the history has a gap");
      await model.see(entry, perform);
      for (const look of observed.looks) if (look.seq === entry.seq) checkLook(look, model);
    } catch (error) {
      if (!(error instanceof Disagreement)) throw error;
      throw new Disagreement(`entry ${entry.seq} (${entry.kind}): ${error.message}`);
    }
  }
  checkEnd(observed, model);
  checkEffects(observed, model);
  checkRequests(observed);
}

function checkLook({ at, status, waitingFor }: Look, model: Model): void {
  const wanted = model.look(at);
  if (wanted === null) return;
  const besides = [...wanted.besides];
  const seen = waitingFor.filter((wait, i) => {
    if (wanted.waitingFor.includes(wait) && waitingFor.indexOf(wait) === i) return true;
    const index = besides.indexOf(wait);
    if (index >= 0) besides.splice(index, 1);
    return index < 0;
  });
  const [one, other] = [
    { status, waitingFor: seen },
    { ...wanted, besides: undefined },
  ].map((look) => JSON.stringify(look));
  if (one !== other) throw new Disagreement(`at ${at} the run looks like ${one}, the model like ${other}`);
}

function checkEnd({ status, output, error }: Observation, { end }: Model): void {
  if (end === null) throw new Disagreement(`the run never ended: it is ${status}`);
  if (status !== end.ends) throw new Disagreement(`the run is ${status}, its history says ${end.ends}`);
  const told = JSON.stringify(end.ends === "completed" ? { output } : (error as { code?: unknown }).code);
  const wanted = JSON.stringify(end.ends === "completed" ? { output: end.told["output"] } : end.told["code"]);
  if (told !== wanted) throw new Disagreement(`the run shows ${told}, its history ${wanted}`);
}

/** Each attempt took place as often as deaths explain; a step has one key for ever, and no other step has it. */
function checkEffects({ effects, history, input, isLossy }: Observation, { deeds }: Model): void {
  const counts = new Map<string, number>();
  const keys = new Map<string, string>();
  for (const { path, attempt, key } of effects) {
    const times = timesOf(key);
    const place = placeOf(path, attempt, times);
    counts.set(place, (counts.get(place) ?? 0) + 1);
    // A retry may come to calls of one name in another order, or to others of them.
    if (!input.apart && history.some(({ kind }) => kind === "run.retried")) continue;
    const known = keys.get(`${path} ${times}`) ?? key;
    if (known !== key) throw new Disagreement(`${path} has the keys ${known} and ${key}`);
    keys.set(`${path} ${times}`, key);
  }
  if (new Set(keys.values()).size !== keys.size) throw new Disagreement("two steps have one key");
  for (const [place, count] of counts) {
    const { most } = deeds.get(place) ?? { most: 0 };
    if (count > most) throw new Disagreement(`attempt ${place} took place ${count} times, at most ${most} may be`);
  }
  for (const [place, { least, cutOff }] of deeds) {
    if ((counts.get(place) ?? 0) < least - (isLossy ? cutOff : 0))
      throw new Disagreement(`attempt ${place} is on record and never took place`);
  }
}

/** How often what has this key was undone and done again: what was done before stands under other keys. */
function timesOf(key: string): number {
  return Number(/:[0-9a-z]+(?:\.(\d+))?(?:\.undo)?:[^:]*$/.exec(key)?.[1] ?? 0);
}

/** Each call that was taken is on record, and no bad one is. */
function checkCalls(own: readonly Request[], history: readonly Seen[], fail: (why: string) => never): void {
  const received = history.filter(({ kind, request }) => {
    return kind === "webhook.received" && (request as { body: { key: string } }).body.key === own[0]?.key;
  });
  const taken = own.filter(({ answer }) => answer === "taken");
  if (taken.length > received.length) fail("a call that was accepted is not on record");
  if (own.some(({ what, answer }) => answer === "webhook_rejected" && what !== "bad call"))
    fail("a good call was refused");
  if (own.some(({ what, answer }) => answer === "taken" && what === "bad call")) fail("a bad call was accepted");
}

const ends = /^run\.(completed|failed|cancelled)$/;

/** It had ended by then, or ended at that instant, and was not retried before. */
function isEnded(history: readonly Seen[], now: number): boolean {
  const { length: lives } = history.filter(({ kind }) => kind === "run.created");
  return history.some(({ kind, seq, at }) => {
    const retried = history.find((other) => other.kind === "run.retried" && other.seq > seq);
    // Each of its lives may be put a moment behind the one before.
    return ends.test(kind) && at - (lives - 1) <= now && (retried?.at ?? Infinity) >= now;
  });
}

/** What was accepted is on record once; what came again is a duplicate; what was refused is nowhere. */
function checkRequests({ requests, history }: Observation): void {
  for (const key of new Set(requests.map((request) => request.key))) {
    const own = requests.filter((request) => request.key === key);
    const entries = history.filter((entry) => {
      return entry["key"] === key && entry.kind !== "run.created" && entry["carried"] !== true;
    }).length;
    const fail = (why: string): never => {
      throw new Disagreement(`${why}: ${JSON.stringify(own)}, ${entries} entries`);
    };
    const taken = own.filter(({ answer }) => answer === "taken" || answer.startsWith("result"));
    const refused = own.filter((request) => !taken.includes(request) && request.answer !== "duplicate");
    if (own[0]?.what.endsWith("call") === true) checkCalls(own, history, fail);
    else if (own[0]?.what === "signal" || own[0]?.what === "update") {
      if (entries !== (taken.length > 0 ? 1 : 0)) fail("what was accepted is not on record once");
      if (
        own.some(
          ({ answer }, i) => (answer === "duplicate") !== (i > 0 && taken.length > 0 && own[0]?.what === "signal"),
        )
      )
        if (taken.length > 0 && own[0]?.what === "signal") fail("the first is none, the next are duplicates");
      if (new Set(taken.map(({ answer }) => answer)).size > 1) fail("answered in two ways");
    } else if (entries !== (taken.length > 0 ? 1 : 0)) fail("what was answered is not on record once");
    for (const { answer, at } of refused)
      // A run that is being undone hears signals, and takes no updates any more.
      if (answer === "run_ended" && own[0]?.what !== "update" && !isEnded(history, at)) fail("refused before the end");
  }
}
