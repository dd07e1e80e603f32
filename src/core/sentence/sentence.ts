/**
 * Describes an entry of the history to people, in one sentence made from the entry alone: with names, times and messages, and
 * without values of the run. Long because every kind has a sentence of its own.
 */
import { describeMs } from "../duration.ts";
import type { Entry, EntryOf } from "../history/entry.ts";
import {
  attemptOf,
  because,
  callOf,
  clock,
  inLine,
  list,
  named,
  ordinal,
  timeOf,
  quoted,
  elapsed,
  until,
  who,
} from "./phrase.ts";
import type { Time } from "./phrase.ts";

const maxLength = 500;

/** One line of at most 500 characters; never empty. For an entry of an unknown, newer kind it names the kind. */
export function sentenceOf(entry: Entry): string {
  return line(entry, timeOf);
}

/** The same with `UTC` after times of day, for readers who also see times of another zone. */
export function zonedSentenceOf(entry: Entry): string {
  return line(entry, (at, now) => `${timeOf(at, now)} UTC`);
}

function line(entry: Entry, time: Time): string {
  return inLine(describe(entry, time), maxLength) || entry.kind;
}

/** Long because every kind is listed here once, so that a missing one does not compile. */
function describe(entry: Entry, time: Time): string {
  switch (entry.kind) {
    case "run.created":
    case "run.debounced":
    case "run.started":
    case "run.interrupted":
    case "run.recovered":
    case "run.completed":
    case "run.failed":
    case "notice.started":
      return describeRun(entry, time);
    case "run.paused":
    case "run.resumed":
    case "run.retried":
    case "run.imported":
    case "run.cancel_requested":
    case "run.action_noted":
    case "run.cancelled":
      return describeAction(entry);
    case "step.attempt_failed":
    case "step.attempt_started":
    case "step.dispatched":
    case "step.interrupted":
    case "step.abandoned":
    case "step.completed":
    case "step.failed":
    case "undo.attempt_failed":
    case "undo.attempt_started":
    case "undo.interrupted":
    case "undo.completed":
    case "undo.failed":
      return describeAttempt(entry, time);
    case "step.added":
      return `the code now has ${callOf(entry.call, entry.step)}, which this history went on without`;
    case "step.removed":
      if (entry.retried) return `since the retry the run has not come to ${callOf(entry.call, entry.step)} again`;
      return `the code no longer has ${callOf(entry.call, entry.step)} of this history`;
    case "undo.started":
      return `the run is to end as ${entry.ends}${because(entry.error.message)}; first it undoes ${list(entry.steps)}`;
    case "child.started":
    case "child.completed":
    case "child.failed":
    case "child.stopped":
      return describeChild(entry, time);
    case "timer.set":
    case "timer.fired":
    case "wait.started":
    case "wait.withdrawn":
    case "wait.timed_out":
    case "signal.received":
    case "signal.consumed":
    case "listener.added":
    case "webhook.created":
    case "webhook.received":
    case "webhook.rejected":
    case "webhook.revoked":
      return describeWait(entry, time);
    case "update.accepted":
    case "update.completed":
    case "update.failed":
    case "patch.adopted":
    case "lane.queued":
    case "lane.entered":
    case "log.written":
    case "progress.published":
      return describeAnswer(entry);
    default:
      return nothing(entry);
  }
}

type RunEntry = EntryOf<
  `run.${"created" | "debounced" | "started" | "interrupted" | "recovered" | "completed" | "failed"}` | "notice.started"
>;

function describeRun(entry: RunEntry, time: Time): string {
  switch (entry.kind) {
    case "run.created":
      return creation(entry, time);
    case "run.debounced":
      return `${who(entry)} started it once more; it takes the newest input and begins ${clock(entry.startAt, entry, time)}${because(entry.reason)}`;
    case "run.started":
      return "the run began";
    case "run.interrupted":
      return `the process ${entry.held ? "died" : "was replaced by a deployment"} while the run was at work; it goes on from its journal`;
    case "run.recovered":
      return "the run is unharmed by the interruption";
    case "run.completed":
      return "the run completed";
    case "run.failed":
      return `the run failed${because(entry.error.message)}`;
    case "notice.started":
      return `run ${named(entry.run)} tells ${hostOf(entry.url)} of the end`;
    default:
      return nothing(entry);
  }
}

/** The rest of an address may be a secret. */
function hostOf(url: string): string {
  return named(/^[a-z]+:\/\/([^/?#]*)/.exec(url)?.[1] ?? "an address");
}

function creation(entry: EntryOf<"run.created">, time: Time): string {
  const { workflow, version, startAt, parent, schedule, fork, continuation, at } = entry;
  const what = `${named(workflow)} (version ${named(version)})`;
  const begins = startAt === null || startAt <= at ? "" : `, to begin ${clock(startAt, entry, time)}`;
  const { restarted } = continuation ?? {};
  if (restarted !== undefined) {
    const from = restarted.step === null ? "from its start" : `from ${named(restarted.step)} on`;
    return `${who(entry)} had the run begin once more ${from}: ${what}${because(entry.reason)}`;
  }
  if (continuation !== undefined && fork === undefined)
    return `the run went on as new, for the ${ordinal(continuation.count)} time: ${what}`;
  if (fork !== undefined) {
    const from = fork.step === null ? "from its start" : `from ${named(fork.step)} on`;
    return `${who(entry)} forked run ${named(fork.id)} ${from}: ${what}${because(fork.reason)}`;
  }
  if (schedule !== null) {
    return `schedule ${named(schedule.id)} fired for ${time(schedule.at, at)}: ${what}, started by ${who(entry)}${begins}${because(entry.reason)}`;
  }
  const from = parent === null ? who(entry) : `run ${named(parent.id)} of workflow ${named(parent.workflow)}`;
  return `${from} started ${what}${begins}${because(entry.reason)}`;
}

type ActionEntry =
  EntryOf<`run.${"paused" | "resumed" | "retried" | "imported" | "cancel_requested" | "action_noted" | "cancelled"}`>;

/** Who did what to the run, and why. */
function describeAction(entry: ActionEntry): string {
  const why = because(entry.reason);
  switch (entry.kind) {
    case "run.paused":
      return `${who(entry)} paused the run${why}`;
    case "run.resumed":
      return `${who(entry)} resumed the run after ${describeMs(entry.shiftMs)}${why}`;
    case "run.retried": {
      const again = entry.cleared.length === 0 ? "" : `, with ${list(entry.cleared)} to be done again`;
      return `${who(entry)} had the run try again${again}${why}`;
    }
    case "run.imported":
      return `${who(entry)} imported the run, which was ${named(entry.from.id)} in another deployment${why}`;
    case "run.cancel_requested":
      return `${who(entry)} cancelled the run, which cleans up first${why}`;
    case "run.action_noted":
      return `${who(entry)} wanted to ${entry.action} the run, which changed nothing${why}`;
    case "run.cancelled": {
      const how = entry.error.code === "terminated" ? "terminated" : "cancelled";
      const late = entry.givenUp === true ? "; its clean-up came to nothing and was not waited for" : "";
      return `the run was ${how} by ${who(entry)}${because(entry.reason ?? entry.error.message)}${late}`;
    }
    default:
      return nothing(entry);
  }
}

type AttemptEntry =
  | EntryOf<`${"step" | "undo"}.${"attempt_failed" | "attempt_started" | "interrupted" | "completed" | "failed"}`>
  | EntryOf<"step.dispatched" | "step.abandoned">;

function describeAttempt(entry: AttemptEntry, time: Time): string {
  const what = entry.kind.startsWith("undo.") ? `undoing ${named(entry.step)}` : named(entry.step);
  switch (entry.kind) {
    case "step.attempt_started":
    case "undo.attempt_started":
      return `${what}: attempt ${entry.attempt} began`;
    case "step.dispatched":
      return `${what}: a courier makes the request of attempt ${entry.attempt}${until(entry, time)}`;
    case "step.interrupted":
    case "undo.interrupted":
      return `${what}: cut off when the process ${entry.held ? "died" : "was replaced by a deployment"}; it begins again`;
    case "step.abandoned":
      return `${what}: attempt ${entry.attempt} was left behind ${elapsed(entry)}, at work; nobody hears how it ends`;
    case "step.completed":
    case "undo.completed":
      return `${what}: done ${elapsed(entry)}${entry.attempt > 1 ? `, in attempt ${entry.attempt}` : ""}`;
    case "step.failed":
    case "undo.failed":
      return `${what}: failed for good in attempt ${entry.attempt}, ${elapsed(entry)}${quoted(entry.error.message)}`;
    case "step.attempt_failed":
    case "undo.attempt_failed": {
      const { attempt, limit = null, retryAt, at, error } = entry;
      const next = retryAt === null ? "no attempt is left" : `next in ${describeMs(retryAt - at)}`;
      return `${what}: ${attemptOf(attempt, limit)} failed ${elapsed(entry)}${quoted(error.message)}; ${next}`;
    }
    default:
      return nothing(entry);
  }
}

function describeChild(entry: EntryOf<`child.${"started" | "completed" | "failed" | "stopped"}`>, time: Time): string {
  const child =
    entry.child === undefined ? "a child" : `run ${named(entry.child.id)} of workflow ${named(entry.child.workflow)}`;
  switch (entry.kind) {
    case "child.started": {
      if (entry.detached === true) return `${named(entry.step)}: started ${child}, and does not wait for it`;
      return `${named(entry.step)}: started ${child}, and waits for it${until(entry, time)}`;
    }
    case "child.completed":
      return `${named(entry.step)}: ${child} completed`;
    case "child.failed": {
      const left = entry.left === true ? "; it may still go on" : "";
      const how = entry.child === undefined ? "could not be started" : "did not complete";
      return `${named(entry.step)}: ${child} ${how}${quoted(entry.error.message)}${left}`;
    }
    case "child.stopped":
      return entry.policy === "abandon" ? `${child} was left to itself` : `${child} was told to stop (${entry.policy})`;
    default:
      return nothing(entry);
  }
}

type WaitEntry = EntryOf<
  | `timer.${"set" | "fired"}`
  | `wait.${"started" | "withdrawn" | "timed_out"}`
  | `signal.${"received" | "consumed"}`
  | "listener.added"
  | `webhook.${"created" | "received" | "rejected" | "revoked"}`
>;

function describeWait(entry: WaitEntry, time: Time): string {
  switch (entry.kind) {
    case "timer.set":
      return `sleeps${entry.name === "sleep" ? "" : ` (${named(entry.name)})`} for ${describeMs(entry.wakeAt - entry.at)}, until ${time(entry.wakeAt, entry.at)}`;
    case "timer.fired":
      return `woke up${entry.name === "sleep" ? "" : ` (${named(entry.name)})`}`;
    case "wait.started":
      return `waits for signal ${named(entry.name)}${entry.label === undefined ? "" : ` (${named(entry.label)})`}${until(entry, time)}`;
    case "wait.withdrawn":
      return `waits no more for ${list(entry.calls.map(({ call, id }) => callOf(call, id)))}: a race was won by another`;
    case "wait.timed_out":
      return `${entry.wait} ${named(entry.name)} did not come in time`;
    case "signal.received":
      return `signal ${named(entry.name)} came from ${who(entry)}${because(entry.reason)}`;
    case "signal.consumed": {
      const taken = `signal ${named(entry.name)} was ${entry.listener === true ? "heard" : "taken"} by the handler`;
      return entry.error === undefined ? taken : `${taken}, whose schema refused it${because(entry.error.message)}`;
    }
    case "listener.added":
      return `listens for signal ${named(entry.name)}`;
    case "webhook.created":
      return `waits for webhook ${named(entry.name)}${until(entry, time)}`;
    case "webhook.received":
      return `webhook ${named(entry.name)} was called`;
    case "webhook.rejected":
      return `a call of webhook ${named(entry.name)} was refused${because(entry.reason)}`;
    case "webhook.revoked":
      return `the address of webhook ${named(entry.name)} was revoked by ${who(entry)}, and it has another${because(entry.reason)}`;
    default:
      return nothing(entry);
  }
}

type WordEntry = EntryOf<
  | `update.${"accepted" | "completed" | "failed"}`
  | "patch.adopted"
  | `lane.${"queued" | "entered"}`
  | "log.written"
  | "progress.published"
>;

function describeAnswer(entry: WordEntry): string {
  switch (entry.kind) {
    case "update.accepted":
      return `update ${named(entry.name)} came from ${who(entry)}${because(entry.reason)}`;
    case "update.completed":
      return `update ${named(entry.name)} was answered`;
    case "update.failed":
      return `update ${named(entry.name)} failed${because(entry.error.message)}`;
    case "patch.adopted":
      return `the run takes the new side of patch ${named(entry.patch)}`;
    case "lane.queued":
      return `${entry.step === null ? "the run" : named(entry.step)} waits for a slot in lane ${named(entry.lane)}`;
    case "lane.entered":
      return `${entry.step === null ? "the run" : named(entry.step)} has its slot in lane ${named(entry.lane)}`;
    case "log.written":
      return `${entry.level}${because(entry.message)}`;
    case "progress.published":
      return "the run told of its progress";
    default:
      return nothing(entry);
  }
}

/** Older code may meet entries of newer code: the history has to stay readable. */
function nothing(entry: never): string {
  return String(Reflect.get(entry, "kind"));
}
