/**
 * Describes an entry of the history to people, in one sentence made from the entry alone: with names, times and messages, and
 * without values of the run.
 */
import { describeMs } from "../duration.ts";
import type { Entry, EntryOf } from "../history/entry.ts";
import {
  attemptOf,
  because,
  callOf,
  clock,
  elapsed,
  inLine,
  list,
  named,
  napName,
  ordinal,
  quoted,
  timeOf,
  until,
  who,
} from "./phrase.ts";
import type { Time } from "./phrase.ts";
import type { ChildRun } from "../run/origin.ts";

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
  return inLine(describe(entry.kind, entry, time), maxLength) || entry.kind;
}

/** Older code may meet entries of newer code: the history has to stay readable. */
function describe<Kind extends Entry["kind"]>(kind: Kind, entry: EntryOf<Kind>, time: Time): string {
  return Object.hasOwn(sentences, kind) ? sentences[kind](entry, time) : kind;
}

/** The sentence of each kind. A kind that is not here does not compile. */
const sentences: { readonly [Kind in Entry["kind"]]: (entry: EntryOf<Kind>, time: Time) => string } = {
  "run.created": creation,
  "run.debounced": (entry, time) =>
    `${who(entry)} started it once more; it takes the newest input and begins ${clock(entry.startAt, entry, time)}${because(entry.reason)}`,
  "run.started": () => "the run began",
  "run.interrupted": ({ held }) => `the process ${fateOf(held)} while the run was at work; it goes on from its journal`,
  "run.recovered": () => "the run is unharmed by the interruption",
  "run.completed": () => "the run completed",
  "run.failed": ({ error }) => `the run failed${because(error.message)}`,
  "notice.started": ({ run, url }) => `run ${named(run)} tells ${hostOf(url)} of the end`,

  "run.paused": (entry) => `${who(entry)} paused the run${because(entry.reason)}`,
  "run.resumed": (entry) => `${who(entry)} resumed the run after ${describeMs(entry.shiftMs)}${because(entry.reason)}`,
  "run.retried": (entry) => {
    const again = entry.cleared.length === 0 ? "" : `, with ${list(entry.cleared)} to be done again`;
    return `${who(entry)} had the run try again${again}${because(entry.reason)}`;
  },
  "run.imported": (entry) =>
    `${who(entry)} imported the run, which was ${named(entry.from.id)} in another deployment${because(entry.reason)}`,
  "run.cancel_requested": (entry) => `${who(entry)} cancelled the run, which cleans up first${because(entry.reason)}`,
  "run.action_noted": (entry) =>
    `${who(entry)} wanted to ${entry.action} the run, which changed nothing${because(entry.reason)}`,
  "run.cancelled": (entry) => {
    const how = entry.error.code === "terminated" ? "terminated" : "cancelled";
    const late = entry.givenUp === true ? "; its clean-up came to nothing and was not waited for" : "";
    return `the run was ${how} by ${who(entry)}${because(entry.reason ?? entry.error.message)}${late}`;
  },

  "step.attempt_started": attemptStarted,
  "undo.attempt_started": attemptStarted,
  "step.dispatched": (entry, time) =>
    `${named(entry.step)}: a courier makes the request of attempt ${entry.attempt}${until(entry, time)}`,
  "step.interrupted": interrupted,
  "undo.interrupted": interrupted,
  "step.abandoned": (entry) =>
    `${named(entry.step)}: attempt ${entry.attempt} was left behind ${elapsed(entry)}, at work; nobody hears how it ends`,
  "step.attempt_failed": attemptFailed,
  "undo.attempt_failed": attemptFailed,
  "step.completed": completed,
  "undo.completed": completed,
  "step.failed": failed,
  "undo.failed": failed,
  "step.added": ({ call, step }) => `the code now has ${callOf(call, step)}, which this history went on without`,
  "step.removed": ({ call, step, retried }) =>
    retried
      ? `since the retry the run has not come to ${callOf(call, step)} again`
      : `the code no longer has ${callOf(call, step)} of this history`,
  "undo.started": ({ ends, error, steps }) =>
    `the run is to end as ${ends}${because(error.message)}; first it undoes ${list(steps)}`,

  "child.started": (entry, time) => {
    const how = entry.detached === true ? "does not wait for it" : `waits for it${until(entry, time)}`;
    return `${named(entry.step)}: started ${runOf(entry.child)}, and ${how}`;
  },
  "child.completed": ({ step, child }) => `${named(step)}: ${runOf(child)} completed`,
  "child.failed": ({ step, child, error, left }) => {
    const how = child === undefined ? "a child could not be started" : `${runOf(child)} did not complete`;
    return `${named(step)}: ${how}${quoted(error.message)}${left === true ? "; it may still go on" : ""}`;
  },
  "child.stopped": ({ child, policy }) =>
    `${runOf(child)} was ${policy === "abandon" ? "left to itself" : `told to stop (${policy})`}`,

  "timer.set": ({ name, wakeAt, at }, time) =>
    `sleeps${napName(name)} for ${describeMs(wakeAt - at)}, until ${time(wakeAt, at)}`,
  "timer.fired": ({ name }) => `woke up${napName(name)}`,
  "wait.started": (entry, time) => {
    const label = entry.label === undefined ? "" : ` (${named(entry.label)})`;
    return `waits for signal ${named(entry.name)}${label}${until(entry, time)}`;
  },
  "wait.withdrawn": ({ calls }) =>
    `waits no more for ${list(calls.map(({ call, id }) => callOf(call, id)))}: a race was won by another`,
  "wait.timed_out": ({ wait, name }) => `${wait} ${named(name)} did not come in time`,
  "signal.received": (entry) => `signal ${named(entry.name)} came from ${who(entry)}${because(entry.reason)}`,
  "signal.consumed": ({ name, listener, error }) => {
    const taken = `signal ${named(name)} was ${listener === true ? "heard" : "taken"} by the handler`;
    return error === undefined ? taken : `${taken}, whose schema refused it${because(error.message)}`;
  },
  "listener.added": ({ name }) => `listens for signal ${named(name)}`,
  "webhook.created": (entry, time) => `waits for webhook ${named(entry.name)}${until(entry, time)}`,
  "webhook.received": ({ name }) => `webhook ${named(name)} was called`,
  "webhook.rejected": ({ name, reason }) => `a call of webhook ${named(name)} was refused${because(reason)}`,
  "webhook.revoked": (entry) =>
    `the address of webhook ${named(entry.name)} was revoked by ${who(entry)}, and it has another${because(entry.reason)}`,

  "update.accepted": (entry) => `update ${named(entry.name)} came from ${who(entry)}${because(entry.reason)}`,
  "update.completed": ({ name }) => `update ${named(name)} was answered`,
  "update.failed": ({ name, error }) => `update ${named(name)} failed${because(error.message)}`,
  "patch.adopted": ({ patch }) => `the run takes the new side of patch ${named(patch)}`,
  "lane.queued": ({ step, lane }) => `${holderOf(step)} waits for a slot in lane ${named(lane)}`,
  "lane.entered": ({ step, lane }) => `${holderOf(step)} has its slot in lane ${named(lane)}`,
  "log.written": ({ level, message }) => `${level}${because(message)}`,
  "progress.published": () => "the run told of its progress",
};

function creation(entry: EntryOf<"run.created">, time: Time): string {
  const { workflow, version, startAt, parent, schedule, fork, continuation, at } = entry;
  const what = `${named(workflow)} (version ${named(version)})`;
  const begins = startAt === null || startAt <= at ? "" : `, to begin ${clock(startAt, entry, time)}`;
  const why = because(entry.reason);
  const { restarted } = continuation ?? {};
  if (restarted !== undefined)
    return `${who(entry)} had the run begin once more ${fromStep(restarted.step)}: ${what}${why}`;
  if (fork !== undefined)
    return `${who(entry)} forked run ${named(fork.id)} ${fromStep(fork.step)}: ${what}${because(fork.reason)}`;
  if (continuation !== undefined) return `the run went on as new, for the ${ordinal(continuation.count)} time: ${what}`;
  if (schedule !== null)
    return `schedule ${named(schedule.id)} fired for ${time(schedule.at, at)}: ${what}, started by ${who(entry)}${begins}${why}`;
  return `${parent === null ? who(entry) : runOf(parent)} started ${what}${begins}${why}`;
}

function attemptStarted(entry: EntryOf<"step.attempt_started" | "undo.attempt_started">): string {
  return `${workOf(entry)}: attempt ${entry.attempt} began`;
}

function interrupted(entry: EntryOf<"step.interrupted" | "undo.interrupted">): string {
  return `${workOf(entry)}: cut off when the process ${fateOf(entry.held)}; it begins again`;
}

function attemptFailed(entry: EntryOf<"step.attempt_failed" | "undo.attempt_failed">): string {
  const { attempt, limit = null, retryAt, at, error } = entry;
  const next = retryAt === null ? "no attempt is left" : `next in ${describeMs(retryAt - at)}`;
  return `${workOf(entry)}: ${attemptOf(attempt, limit)} failed ${elapsed(entry)}${quoted(error.message)}; ${next}`;
}

function completed(entry: EntryOf<"step.completed" | "undo.completed">): string {
  const later = entry.attempt > 1 ? `, in attempt ${entry.attempt}` : "";
  return `${workOf(entry)}: done ${elapsed(entry)}${later}`;
}

function failed(entry: EntryOf<"step.failed" | "undo.failed">): string {
  return `${workOf(entry)}: failed for good in attempt ${entry.attempt}, ${elapsed(entry)}${quoted(entry.error.message)}`;
}

/** The step, or its undoing. */
function workOf({ kind, step }: { readonly kind: string; readonly step: string }): string {
  return kind.startsWith("undo.") ? `undoing ${named(step)}` : named(step);
}

/** `run item-3 of workflow resize` */
function runOf({ id, workflow }: ChildRun): string {
  return `run ${named(id)} of workflow ${named(workflow)}`;
}

function fromStep(step: string | null): string {
  return step === null ? "from its start" : `from ${named(step)} on`;
}

/** What became of the process. @param held it was at work under the same deployment */
function fateOf(held: boolean): string {
  return held ? "died" : "was replaced by a deployment";
}

/** What needs a slot: a step, or the run. */
function holderOf(step: string | null): string {
  return step === null ? "the run" : named(step);
}

/** The rest of an address may be a secret. */
function hostOf(url: string): string {
  return named(/^[a-z]+:\/\/([^/?#]*)/.exec(url)?.[1] ?? "an address");
}
