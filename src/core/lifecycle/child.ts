/** Child runs as seen by their parent: their ids, when the parent asks for their state, the errors of their calls. */
import { nextPollAt } from "../backoff.ts";
import { describeMs } from "../duration.ts";
import type { StoredError } from "../error.ts";
import type { Fact, FactOf } from "../history/entry.ts";
import type { ChildRun } from "../run/origin.ts";
import { createRandom } from "../random.ts";
import type { Call, Orphan, RunState } from "../state/state.ts";

const maxIdLength = 128;

/** What identifies the call that starts a child: the step, the parent and when it was created, and the newest retry. */
export type CallOrigin = {
  readonly parent: string;
  /** When the parent was created, epoch ms. */
  readonly createdAt: number;
  readonly step: string;
  /** The `seq` of the newest retry that reopened the parent after its end; 0 when there was none. */
  readonly episode: number;
};

/**
 * The id of a child for which none was given: `order-7.m5x2k1a0.ship:2`. The same call always makes the same id, and no
 * other call does. Characters that a run id cannot have are replaced, and a long text is cut; a hash of the whole is
 * then added, which keeps it unique.
 */
export function childId({ parent, createdAt, step, episode }: CallOrigin): string {
  const suffix = episode > 0 ? `.${episode}` : "";
  const created = createdAt.toString(36);
  const plain = `${parent}.${created}.${step.replace(/#(\d+)$/, ":$1")}${suffix}`;
  if (plainStep.test(step) && plain.length <= maxIdLength) return plain;
  const hash = createRandom(JSON.stringify([parent, createdAt, step])).digits();
  const readable = step.replace(/[^A-Za-z0-9_-]+/g, "-").slice(0, 32);
  const tail = `.${readable}.h${hash}${suffix}`;
  return `${`${parent}.${created}`.slice(0, maxIdLength - tail.length)}${tail}`;
}

export function callOrigin({ creation }: RunState, step: string): Omit<CallOrigin, "episode"> {
  return { parent: creation.id, createdAt: creation.at, step };
}

/** Whether the child may have been started by others: its id was given, or belonged to another run. */
export function isForeign(state: RunState, step: string, { id }: ChildRun): boolean {
  const own = childId({ ...callOrigin(state, step), episode: 0 });
  return id !== own && !id.startsWith(`${own}.`);
}

const plainStep = /^[A-Za-z0-9_-]+(?:#\d+)?$/;

/** First asked after this long. Asking is a fallback: a child reports its end to its parent. */
const ownAskMs = 5 * 60_000;
/** The same for a child that others may have started: it reports to its own parent, if to anybody. */
const foreignAskMs = 500;
const longestAskMs = 86_400_000;

/**
 * When the parent asks for the child's state next, strictly later than `after`, epoch ms: some time after `since`, when it
 * was first waited for, then after twice that, four times that, and finally once a day.
 * @param foreign others may have started the child
 */
export function nextAskAt(since: number, after: number, foreign: boolean): number {
  return nextPollAt(since, after, foreign ? foreignAskMs : ownAskMs, longestAskMs);
}

/**
 * The orphans that are to be stopped now. While the handler may go on, one that another call waits for is not among them; nor,
 * until the run has ended, is a failed child whose step a retry of the run cleared: that is called again, which may have the
 * child go on.
 * @param starting what calls are having started that is not on record yet
 */
export function orphansToStop(state: RunState, starting: readonly Starting[]): readonly Orphan[] {
  // Most runs have none, and are asked again and again.
  if (state.orphans.size === 0) return [];
  const kept = new Set(keptIds(state, starting));
  return [...state.orphans.values()].filter(({ child }) => !kept.has(child.id));
}

/** Whether the child of that id is among them. */
export function isToStop(state: RunState, id: string, starting: readonly Starting[]): boolean {
  return state.orphans.has(id) && !keptIds(state, starting).includes(id);
}

/** A child, and since when a call has been having it started, epoch ms. */
type Starting = { readonly child: ChildRun; readonly startedAt: number };

function keptIds({ formerChildren, orphans, open, ending, end }: RunState, starting: readonly Starting[]): string[] {
  if (end !== null) return [];
  const kept = [...formerChildren.values()].flatMap(({ child, stopped }) => (stopped ? [] : child));
  // A run that is being undone waits for none, though their calls are open.
  if (ending === null) kept.push(...awaitedChildren(open));
  // A call that came later finds it stopped, like any that comes later still.
  const isWanted = ({ child, startedAt }: Starting): boolean => startedAt < (orphans.get(child.id)?.since ?? 0);
  return [...kept, ...starting.filter(isWanted).map(({ child }) => child)].map(({ id }) => id);
}

/** The facts of children that no call waits for, which are to be stopped. */
export function givenUp(starts: readonly FactOf<"child.started">[]): Fact[] {
  const calls = starts.map(({ step }) => ({ call: "child", id: step }) as const);
  return starts.length === 0 ? [] : [...starts, { kind: "wait.withdrawn", calls }];
}

/** Those of open calls. */
export function awaitedChildren(open: Iterable<Call>): ChildRun[] {
  return [...open].flatMap(({ child }) => child ?? []);
}

/**
 * How long after its run gave it up a child may still be created, by a start that was under way then, even in a process
 * that died.
 */
const lateStartMs = 60_000;

/** When to look again for an orphan that does not exist; null if it will not be created any more. */
export function lookAgainAt({ since }: Orphan, now: number): number | null {
  return since + lateStartMs > now ? since + lateStartMs : null;
}

/** The error of a call whose child has failed, was cancelled, or is gone. */
export function childFailure(
  step: string,
  child: ChildRun,
  how: "failed" | "cancelled",
  cause: StoredError,
): StoredError {
  const ended = how === "failed" ? "failed" : "was cancelled";
  return childFailed(
    step,
    child,
    `child run ${child.id} of workflow ${child.workflow} ${ended}: ${cause.message}`,
    cause,
  );
}

/** The error of a call whose child has not ended in time. */
export function childTimeout(step: string, child: ChildRun, timeoutMs: number): StoredError {
  const limit = describeMs(timeoutMs);
  const message = `child run ${child.id} of workflow ${child.workflow} did not end within the timeout of ${limit}`;
  return childFailed(step, child, message, { name: "TimeoutError", message, code: "step_timeout" });
}

/** The error of a call whose child could not be started. */
export function childRefusal(step: string, workflow: string, cause: StoredError): StoredError {
  const message = `a child run of workflow ${workflow} could not be started: ${cause.message}`;
  return { name: "ChildFailed", message, code: "child_failed", step, cause };
}

function childFailed(step: string, { id }: ChildRun, message: string, cause: StoredError): StoredError {
  return { name: "ChildFailed", message, code: "child_failed", step, child: id, cause };
}

/** The end of a child that is no longer there to say how it ended. */
export const goneError: StoredError = {
  name: "HoldfastError",
  message: "the run was removed before its end was known",
  code: "run_not_found",
};
