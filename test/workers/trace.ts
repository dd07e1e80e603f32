/** What of a run its interruptions must not change, and what must never be. */
import type { Entry } from "../../src/core/history/entry.ts";
import { deeds } from "./flows/interruption.ts";
import type { Ending } from "./driver.ts";
import { mails, watched } from "./crashpoint.ts";

/**
 * What happened to each call, in its order, without what only tells of the interruptions. A wait, or a sleep until
 * an instant, is on record only where it had to wait, so its beginning is no part of it.
 */
const unsaid: ReadonlySet<string> = new Set([
  "run.interrupted",
  "run.recovered",
  "step.attempt_started",
  "step.interrupted",
  "undo.attempt_started",
  "undo.interrupted",
  "lane.queued",
  "lane.entered",
  "timer.set",
  "wait.started",
  "wait.withdrawn",
]);

function storyOf(entries: readonly Entry[]): Record<string, string[]> {
  const story: Record<string, string[]> = {};
  for (const entry of entries) {
    // A call whose answer was lost with its process is made again.
    const isAgain = entry.kind === "webhook.rejected" && entry.code === "webhook_duplicate";
    if (isAgain || unsaid.has(entry.kind)) continue;
    const [noun] = entry.kind.split(".");
    const place = "step" in entry ? entry.step : "call" in entry ? entry.call : "";
    (story[`${noun === "wait" ? "signal" : noun} ${place}`] ??= []).push(`${entry.kind}${detailOf(entry)}`);
  }
  return story;
}

function detailOf(entry: Entry): string {
  if (entry.kind === "log.written") return ` ${entry.message}`;
  if (entry.kind === "patch.adopted") return ` ${entry.patch}`;
  const isNamed = ["signal.received", "listener.added", "update.accepted", "update.completed", "update.failed"];
  return isNamed.includes(entry.kind) && "name" in entry ? ` ${entry.name}` : "";
}

/** What is said of a call and can be said once, unless somebody had it made again. */
function outcomesOf(entry: Entry): string[] {
  switch (entry.kind) {
    case "step.completed":
    case "step.failed":
    case "undo.completed":
    case "undo.failed":
    case "child.completed":
    case "child.failed":
      return [`${entry.kind.split(".")[0]} ${entry.step}`];
    case "timer.set":
      return [`set ${entry.call}`];
    case "timer.fired":
      return [`timer ${entry.call}`];
    case "wait.timed_out":
      return [`${entry.wait} ${entry.call}`];
    case "webhook.received":
      return [`webhook ${entry.call}`];
    case "webhook.created":
      return [`address ${entry.call}`];
    case "signal.consumed":
      return [`consumed ${entry.signal}`, ...(entry.listener ? [] : [`signal ${entry.call}`])];
    case "wait.withdrawn":
      return entry.calls.flatMap(({ call, id }) => (call === "sleep" ? [`timer ${id}`] : [`signal ${id}`]));
    case "signal.received":
      return entry.key === undefined ? [] : [`key ${entry.key}`];
    case "update.accepted":
      return [`update ${entry.update}`, ...(entry.key === undefined ? [] : [`key ${entry.key}`])];
    case "update.completed":
    case "update.failed":
      return [`answer ${entry.update}`];
    case "patch.adopted":
      return [`patch ${entry.patch}`];
    case "listener.added":
      return [`listener ${entry.name}`];
    case "undo.started":
    case "run.created":
    case "run.started":
    case "run.cancel_requested":
      return [entry.kind];
    case "run.completed":
    case "run.failed":
    case "run.cancelled":
      return ["end"];
    default:
      return [];
  }
}

/** Outcomes that are on record twice. */
function doubledOf(entries: readonly Entry[]): string[] {
  const said = new Set<string>();
  const doubled: string[] = [];
  for (const entry of entries) {
    if (entry.kind === "run.retried") {
      for (const step of entry.cleared) for (const noun of ["step", "undo", "child"]) said.delete(`${noun} ${step}`);
      for (const what of ["end", "undo.started"]) said.delete(what);
    }
    for (const outcome of outcomesOf(entry)) {
      if (said.has(outcome)) doubled.push(outcome);
      said.add(outcome);
    }
  }
  return doubled;
}

/** What was undone, in its order. */
function undoneOf(entries: readonly Entry[]): string[] {
  return entries.flatMap((entry) =>
    entry.kind === "undo.completed" || entry.kind === "undo.failed" ? [`${entry.kind} ${entry.step}`] : [],
  );
}

/** What the run answered at its end, and answers that are not what they must be. */
function answersOf(id: string): { last: string; unsteady: string[]; backwards: string[] } {
  const { answers } = watched(id);
  const changes = answers.filter(({ answer }, i) => answer !== answers[i - 1]?.answer);
  return {
    last: answers.at(-1)?.answer ?? "",
    // With nothing new on record nothing else may be answered, in whatever life.
    unsteady: changes.flatMap(({ length, answer }, i) => (length === changes[i - 1]?.length ? [answer] : [])),
    // What was answered was on record: it is never taken back.
    backwards: changes.flatMap(({ answer }, i) =>
      changes.findIndex((each) => each.answer === answer) < i ? [answer] : [],
    ),
  };
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
export function mailsOf(id: string): string[] {
  return mails()
    .filter(({ to }) => to === `${id}@example.com` || to === `r-${id}@example.com`)
    .map(({ to, subject }) => `${to} ${subject}`.replaceAll(id, "ID"));
}

/**
 * What was done for the run that was accepted: a start that died unanswered is made again, and what
 * was done under its keys never left the process. So it is where the run goes on as new.
 */
export function deedsOf(id: string): typeof deeds {
  const births = watched(id).births.map((at) => `${id}:${at.toString(36)}:`);
  return deeds.filter(({ run, key }) => run === id && births.some((birth) => key.startsWith(birth)));
}

/** Everything about a run that its interruptions must not change. */
export function traceOf(ending: Ending) {
  const done = deedsOf(ending.run.id);
  const keys = new Set(done.map(({ step, key }) => `${step} ${key}`));
  const attempts = new Set(done.map(({ step, attempt }) => `${step} ${attempt}`));
  return {
    end: endOf(ending),
    story: storyOf(ending.entries),
    undone: undoneOf(ending.entries),
    doubled: doubledOf(ending.entries),
    answers: answersOf(ending.run.id),
    mails: mailsOf(ending.run.id),
    attempts: [...attempts].toSorted(),
    steps: [...keys].map((key) => key.split(" ")[0]).toSorted(),
    repeated: done.filter(({ repeated }) => repeated),
  };
}
