/**
 * Everything that is asked of a deployment, each as a story of its own under a key of its own: what is asked, and
 * what must be true when it is over. Faults change nothing about it.
 */
import { expect, inject } from "vitest";
import { HoldfastError } from "../../../src/core/error.ts";
import { encode } from "../../../src/core/value/value.ts";
import type { ReceivedRequest } from "../httpserver.ts";
import { deeds, repair } from "../flows/faults.ts";
import { act, bulk, ended, history, listed, output, pause, persist, read } from "./client.ts";
import { service, signal, start, until, update, waiting } from "./client.ts";

export type Operation = {
  readonly title: string;
  /** Ids of the runs that are there at the end; what they leave behind is looked at by all stories alike. */
  readonly play: (key: string) => Promise<readonly string[]>;
};

/** How often the step was done, and the number of the last time. */
function done(run: string, step: string): { readonly times: number; readonly last: number } {
  const all = deeds.filter((deed) => deed.run === run && deed.step === step);
  return { times: all.length, last: all.at(-1)?.number ?? 0 };
}

/** Steps give what was recorded: of what was done more than once the last, which nothing came after (guarantee 2). */
function lasts(run: string, ...names: readonly string[]): number[] {
  return names.map((name) => done(run, name).last);
}

async function playSteps(key: string): Promise<string[]> {
  await start("fault-steps", key, { key });
  expect(await ended(key)).toMatchObject({ status: "completed" });
  expect(await output(key)).toEqual(lasts(key, "first", "left", "right", "flaky"));
  return [key];
}

async function playDelayed(key: string): Promise<string[]> {
  const startAt = Date.now() + 60;
  await start("fault-steps", key, { key }, { startAt, key: `${key}-key` });
  await ended(key);
  const began = (await history(key)).find(({ kind }) => kind === "run.started");
  expect(began?.at).toBeGreaterThanOrEqual(startAt);
  expect(await output(key)).toEqual(lasts(key, "first", "left", "right", "flaky"));
  return [key];
}

async function playTalk(key: string): Promise<string[]> {
  await start("fault-talk", key, { key });
  await signal(key, "go", { n: 1 });
  expect(await update(key, "add", 3, `${key}-three`)).toBe(3);
  expect(await update(key, "add", 4, `${key}-four`)).toBe(7);
  expect(await persist("a query", () => service.asks.query(key, "sum"))).toMatchObject({ result: encode(7, "sum") });
  await signal(key, "go", { n: 2 });
  await ended(key);
  expect(await output(key)).toEqual({ first: { n: 1 }, second: { n: 2 }, made: lasts(key, "between")[0], sum: 7 });
  return [key];
}

async function playFamily(key: string): Promise<string[]> {
  await start("fault-family", key, { key });
  await ended(key);
  const children = (await history(key)).flatMap((entry) => (entry.kind === "child.started" ? [entry.child.id] : []));
  expect(new Set(children).size).toBe(4);
  for (const id of children) await ended(id);
  // Which of the two began first is not said.
  const of = (name: string): number => {
    return deeds.findLast(({ run, step }) => step === name && children.includes(run))?.number ?? 0;
  };
  const both = [of("a"), of("b")];
  const { failed, self, both: told } = (await output(key)) as Record<string, unknown>;
  expect({ failed, self, told }).toEqual({ failed: "child_failed", self: { n: 1 }, told: both });
  return [key, ...children];
}

async function playSingle(key: string): Promise<string[]> {
  const ids = ["one", "two", "three"].map((name) => `${key}.${name}`);
  await Promise.all(ids.map((id) => start("fault-single", id, { key })));
  for (const id of ids) {
    await ended(id);
    expect(await output(id)).toEqual([expect.any(Number), done(id, "stay").last]);
  }
  return [...ids, ...(await isFree(`concurrency:fault-single:${key}`, "fault-single", key))];
}

async function playSingleStep(key: string): Promise<string[]> {
  const ids = ["one", "two"].map((name) => `${key}.${name}`);
  await Promise.all(ids.map((id) => start("fault-single-step", id, { key })));
  for (const id of ids) {
    await ended(id);
    expect(await output(id)).toBe(done(id, "stay").last);
  }
  return [...ids, ...(await isFree(`steps:fault-single-step:${key}`, "fault-single-step", key))];
}

/** Its slots are given back; one that nobody could be told of is found out, and given to the run that comes next. */
async function isFree(lane: string, workflow: string, key: string): Promise<string[]> {
  const use = async (): Promise<number> => {
    const { used, waiting: queue } = await persist(`lane ${lane}`, () => service.lanes.find(lane, 20));
    return used + queue;
  };
  for (const until = Date.now() + 1500; Date.now() < until && (await use()) > 0;) await pause(20);
  if ((await use()) === 0) return [];
  const next = `${key}.next`;
  await start(workflow, next, { key });
  await ended(next);
  return [next];
}

async function playRated(key: string): Promise<string[]> {
  const ids = ["one", "two"].map((name) => `${key}.${name}`);
  await Promise.all(ids.map((id) => start("fault-rated", id, { key })));
  const third = start("fault-rated", `${key}.three`, { key });
  await expect(third).rejects.toMatchObject({ code: "rate_limited" });
  for (const id of ids) await ended(id);
  return ids;
}

async function playUnique(key: string): Promise<string[]> {
  const ids = ["one", "two", "three"].map((name) => `${key}.${name}`);
  const runs = await Promise.all(
    ids.map((id) => start("fault-unique", id, { key }, { key: `${id}-key` }).catch(refusedKey)),
  );
  const [first] = runs;
  expect(new Set(runs.map((run) => run?.id)).size).toBe(1);
  const id = first?.id ?? "";
  await signal(id, "go", {});
  await ended(id);
  expect(await output(id)).toEqual(done(id, "unique").last);
  // The key is free again.
  const last = await start("fault-unique", `${key}.last`, { key });
  expect(last.id).toBe(`${key}.last`);
  await signal(last.id, "go", {});
  await ended(last.id);
  return [id, last.id];
}

function refusedKey(error: unknown): never {
  throw error;
}

async function playDebounced(key: string): Promise<string[]> {
  const ids = ["one", "two", "three"].map((name) => `${key}.${name}`);
  const told: string[] = [];
  for (const [n, id] of ids.entries()) {
    told.push((await start("fault-debounced", id, { key, n }, { key: `${id}-key` })).id);
  }
  const runs = [...new Set(told)];
  for (const id of runs) await ended(id);
  // Each start is in one run, and the latest of it wins.
  for (const id of runs) {
    const last = told.findLastIndex((answered) => answered === id);
    expect(await output(id)).toEqual([last, done(id, "debounced").last]);
  }
  return runs;
}

/** The ids of the runs that two starts at once under one key are answered with. */
function startTwice(workflow: string, input: object, key: string): Promise<string[]> {
  const request = { workflow, input: encode(input, "the input"), key, by: "test" };
  const call = () => persist(`the start of ${key}`, () => service.runs.start(request));
  return Promise.all([call(), call()].map(async (started) => (await started).run.id));
}

/** One key is one run, which nobody gave an id, also where the run that one of its starts finds ends meanwhile. */
async function playKeyed(key: string): Promise<string[]> {
  const first = await start("fault-unique", `${key}.first`, { key });
  const answers = (
    await Promise.all([
      startTwice("fault-unique", { key }, `${key}-one`),
      signal(first.id, "go", {}).then(() => startTwice("fault-unique", { key }, `${key}-one`)),
    ])
  ).flat();
  const [one = ""] = answers;
  expect(new Set([...answers, ...(await startTwice("fault-unique", { key }, `${key}-one`))])).toEqual(new Set([one]));
  if (one !== first.id) await signal(one, "go", {});
  for (const id of [first.id, one]) await ended(id);
  return [...new Set([first.id, one])];
}

/** Each start is part of one run, and the latest of a run is its input. */
async function playKeyedDebounced(key: string): Promise<string[]> {
  const told: string[] = [];
  for (const n of [0, 1, 2]) {
    const [one = "", other] = await startTwice("fault-debounced", { key, n }, `${key}-${n}`);
    expect(other).toBe(one);
    told.push(one);
  }
  const runs = [...new Set(told)];
  for (const id of runs) {
    await ended(id);
    expect(await output(id)).toEqual([told.lastIndexOf(id), done(id, "debounced").last]);
  }
  return runs;
}

async function playUndoing(key: string): Promise<string[]> {
  await start("fault-undoing", key, { key });
  await waiting(key, "never");
  await act(key, "cancel");
  expect(await ended(key)).toMatchObject({ status: "cancelled" });
  const kinds = (await history(key)).map(({ kind }) => kind);
  expect(kinds.filter((kind) => kind === "undo.completed")).toHaveLength(1);
  return [key];
}

async function playRepair(key: string): Promise<string[]> {
  await start("fault-failing", key, { key });
  expect(await ended(key)).toMatchObject({ status: "failed" });
  const { times } = done(key, "before");
  repair(key);
  await act(key, "retry");
  await until(`${key} repaired`, async () => ((await listed(key))?.status === "completed" ? key : null));
  expect(done(key, "before").times).toBe(times);
  expect(await output(key)).toEqual(lasts(key, "before", "broken"));
  return [key];
}

async function playPause(key: string): Promise<string[]> {
  await start("fault-talk", key, { key });
  await act(key, "pause");
  await signal(key, "go", { n: 1 });
  await signal(key, "go", { n: 2 });
  await until(`${key} paused`, async () => ((await listed(key))?.status === "paused" ? key : null));
  expect(done(key, "between").times).toBe(0);
  await act(key, "resume");
  await ended(key);
  expect(await output(key)).toMatchObject({ first: { n: 1 }, second: { n: 2 } });
  return [key];
}

async function playFork(key: string): Promise<string[]> {
  await start("fault-steps", key, { key });
  await ended(key);
  const fork = { from: "flaky", results: new Map(), id: `${key}.fork`, by: "test", reason: null };
  await persist("a fork", () => service.runs.fork(key, fork));
  await ended(fork.id);
  const [first, left, right] = lasts(key, "first", "left", "right");
  expect(await output(fork.id)).toEqual([first, left, right, done(fork.id, "flaky").last]);
  return [key, fork.id];
}

async function playDelete(key: string): Promise<string[]> {
  await start("fault-steps", key, { key });
  await ended(key);
  await act(key, "delete");
  await until(`${key} gone`, async () => ((await listed(key)) === null ? key : null));
  await expect(read(key)).rejects.toMatchObject({ code: "run_not_found" });
  // Its id is free again.
  await start("fault-undoing", key, { key });
  await waiting(key, "never");
  await act(key, "terminate");
  expect(await ended(key)).toMatchObject({ status: "cancelled", workflow: "fault-undoing" });
  return [key];
}

async function playRenewing(key: string): Promise<string[]> {
  await start("fault-renewing", key, { key, life: 1 });
  await ended(key);
  expect(await output(key)).toBe(done(key, "life3").last);
  for (const life of ["life1", "life2", "life3"]) expect(done(key, life).times).toBeGreaterThan(0);
  const order = deeds.filter(({ run }) => run === key).map(({ step }) => step);
  expect(order).toEqual(order.toSorted());
  return [key];
}

async function playFleeting(key: string): Promise<string[]> {
  await start("fault-fleeting", key, { key });
  const gone = async (): Promise<string | null> => {
    if ((await listed(key)) !== null || done(key, "fleeting").times === 0) return null;
    const found = await service.runs.read(key).then(
      () => true,
      (error: unknown) => !(error instanceof HoldfastError && error.code === "run_not_found"),
    );
    return found ? null : key;
  };
  await until(`${key} removed`, gone);
  return [];
}

async function playListening(key: string): Promise<string[]> {
  const ids = ["one", "two"].map((name) => `${key}.${name}`);
  const name = `call-${key}`;
  const call = (n: number) => {
    const request = { name, payload: encode({ n }, "payload"), key: `${key}-call-${n}`, by: "test" };
    return persist(`broadcast ${n}`, () => service.signals.broadcast(request));
  };
  // One is kept for the first that waits, one finds the second.
  await call(1);
  await start("fault-listening", ids[0] ?? "", { key });
  await ended(ids[0] ?? "");
  await start("fault-listening", ids[1] ?? "", { key });
  await waiting(ids[1] ?? "", name);
  await call(2);
  await ended(ids[1] ?? "");
  const heard = await Promise.all(ids.map(async (id) => ((await output(id)) as number[])[0]));
  expect(heard).toEqual([1, 2]);
  return ids;
}

async function playBulk(key: string): Promise<string[]> {
  const ids = ["one", "two", "three"].map((name) => `${key}.${name}`);
  await Promise.all(ids.map((id) => start("fault-undoing", id, { key }, { labels: { story: key } })));
  for (const id of ids) await waiting(id, "never");
  const run = await bulk({ action: "cancel", filter: { labels: { story: key } }, key: `${key}-bulk` });
  expect(await ended(run.id)).toMatchObject({ status: "completed" });
  for (const id of ids) expect(await ended(id)).toMatchObject({ status: "cancelled" });
  return ids;
}

async function playTimeout(key: string): Promise<string[]> {
  const since = Date.now();
  await start("fault-sleeping", key, { key, ms: 0, timeout: 80 });
  await ended(key);
  expect(Date.now() - since).toBeGreaterThanOrEqual(80);
  expect(await output(key)).toEqual(lasts(key, "asleep", "awake"));
  return [key];
}

/** At least once, and on record is one of the answers, told to everybody alike. */
async function playFetching(key: string): Promise<string[]> {
  // The server is shared with other test files, which use the same keys.
  const box = crypto.randomUUID();
  const boxOf = async (name: string): Promise<ReceivedRequest[]> => {
    return await (await fetch(`${inject("httpServer")}/box/${box}${name}`)).json();
  };
  await start("fault-fetching", key, { target: `${inject("httpServer")}/ask?count=1&box=${box}` });
  expect(await ended(key)).toMatchObject({ status: "completed" });
  const told = (await output(key)) as number[];
  for (const [index, name] of ["first", "left", "right"].entries()) {
    const asked = await boxOf(name);
    expect(told[index]).toBeGreaterThan(0);
    expect(told[index]).toBeLessThanOrEqual(asked.length);
    expect(new Set(asked.map(({ headers }) => headers["idempotency-key"])).size).toBe(1);
  }
  return [key];
}

async function playSchedule(key: string): Promise<string[]> {
  const asked = { by: "test", reason: null };
  const request = {
    ...{ ...asked, id: key, workflow: "fault-fired", cron: "* * * * * *", overlap: "allow-all" as const },
    ...{ input: encode({ key }, "input"), key: `${key}-create` },
  };
  await persist("a schedule", () => service.schedules.create(request));
  const trigger = () => service.schedules.trigger(key, { ...asked, key: `${key}-trigger` });
  const byHand = await persist("a trigger", trigger);
  await ended(byHand.run.id);
  const untilAt = Math.floor(Date.now() / 1000) * 1000 - 60_000;
  const back = { ...asked, fromAt: untilAt - 5000, untilAt, key: `${key}-back` };
  expect(await persist("a backfill", () => service.schedules.backfill(key, back))).toMatchObject({ firings: 5 });
  /** Of its own accord: what somebody triggered may be of the same second. */
  const ofClock = ({ id, at }: { id: string; at: number }) => id !== byHand.run.id && at > untilAt + 30_000;
  const firedAt = () => firings(key).then((runs) => runs.filter(ofClock));
  await until(`firings of ${key}`, async () => ((await firedAt()).length >= 2 ? key : null));
  await until(`the backfill of ${key}`, async () => {
    return (await firings(key)).filter(({ at }) => at < untilAt).length === 5 ? key : null;
  });
  await persist("its pause", () => service.schedules.change(key, { ...asked, paused: true, key: `${key}-pause` }));
  const runs = await firings(key);
  // Every second since the first has one run, and one only.
  const seconds = runs.filter(ofClock).map(({ at }) => at);
  expect(seconds.filter((at) => at % 1000 !== 0)).toEqual([]);
  expect(new Set(seconds).size).toBe(seconds.length);
  await persist("its removal", () => service.schedules.remove(key, { ...asked, key: `${key}-remove` }).catch(removed));
  for (const { id } of runs) await ended(id);
  return runs.map(({ id }) => id);
}

function removed(error: unknown): void {
  if (!(error instanceof HoldfastError) || error.code !== "schedule_not_found") throw error;
}

/** Runs of the schedule, by the directory. */
async function firings(key: string): Promise<{ id: string; at: number }[]> {
  const { runs } = await persist("a list", () =>
    service.runs.list({ workflow: "fault-fired", idPrefix: key, limit: 200 }),
  );
  return runs.flatMap(({ id, schedule }) => (schedule?.id === key ? [{ id, at: schedule.at }] : []));
}

async function playOverride(key: string): Promise<string[]> {
  const lane = `concurrency:fault-single:${key}`;
  await persist("a limit", () => service.lanes.override(lane, 0));
  await start("fault-single", key, { key });
  await until(`${key} held`, async () => {
    const run = await listed(key);
    return run?.waitingFor.some(({ kind }) => kind === "lane") === true ? key : null;
  });
  expect(done(key, "stay").times).toBe(0);
  await persist("a limit", () => service.lanes.override(lane, 1));
  await ended(key);
  await persist("no limit", () => service.lanes.override(lane, null));
  return [key, ...(await isFree(lane, "fault-single", key))];
}

export const operations: readonly Operation[] = [
  { title: "steps", play: playSteps },
  { title: "a delayed start", play: playDelayed },
  { title: "signals, updates and queries", play: playTalk },
  { title: "children", play: playFamily },
  { title: "a lane of runs", play: playSingle },
  { title: "a lane of steps", play: playSingleStep },
  { title: "a limit set by hand", play: playOverride },
  { title: "a rate limit", play: playRated },
  { title: "a singleton", play: playUnique },
  { title: "a debounce", play: playDebounced },
  { title: "a singleton by key", play: playKeyed },
  { title: "a debounce by key", play: playKeyedDebounced },
  { title: "cancel and undo", play: playUndoing },
  { title: "retry", play: playRepair },
  { title: "pause and resume", play: playPause },
  { title: "fork", play: playFork },
  { title: "delete", play: playDelete },
  { title: "continue as new", play: playRenewing },
  { title: "retention", play: playFleeting },
  { title: "broadcasts", play: playListening },
  { title: "a bulk action", play: playBulk },
  { title: "a timeout", play: playTimeout },
  { title: "requests of couriers", play: playFetching },
  { title: "a schedule", play: playSchedule },
];
