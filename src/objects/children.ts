/**
 * Owns: reaching the runs that one run starts: starting them, asking after them, stopping them.
 * Does not own: when that is done (engine/children, relatives), checking a start (service).
 * Invariant 1: however many children a run has, it speaks to a limited number of them at once.
 */
import type { ParentRun } from "../core/origin.ts";
import { isEnded } from "../core/run.ts";
import type { Made } from "../core/run.ts";
import { goneError } from "../core/child.ts";
import type { ChildEnd, Children, ChildStart, ChildStarted, FormerChild } from "../engine/world.ts";
import { runObject } from "./address.ts";
import { unwrap } from "./answer.ts";
import { isTransient } from "./damage.ts";
import type { Start } from "./preparation.ts";
import { unpack } from "./parcel.ts";
import { describe, patiently, within } from "./patience.ts";
import type { Answer } from "./answer.ts";
import type { Parcel } from "./rpc/run.ts";
import { Semaphore } from "./semaphore.ts";
import { sendSignal } from "./service.ts";
import type { HookedRun } from "./token.ts";

const atOnce = 50;
/** An answer that takes longer is asked for again, later. */
const patienceMs = 60_000;

/** Starts a run of the workflow's newest version. @throws HoldfastError */
export type StartRun = (workflow: string, start: Start) => Promise<Made>;

/** The run that has the children. */
export type Self = ParentRun & HookedRun;

/** @param self asked anew each time: the object is there before its run is */
export function createChildren(self: () => Self, startRun: StartRun): Children {
  const places = new Semaphore(atOnce);
  const pass = <Value>(act: () => Promise<Value>): Promise<Value> => places.pass(() => within(act(), patienceMs));
  const by = () => `parent ${self().id}`;
  return {
    start: (request) => pass(() => start(self(), startRun, request).catch(postpone)),
    // Who asks asks again by itself, but only after minutes.
    end: (id) =>
      patiently(
        () => pass(() => endOf(id)),
        () => false,
      ),
    signal: async (id, signal) => void (await sendSignal(id, signal)),
    stop: (id, policy) =>
      pass(async () => {
        if (policy === "abandon") return;
        const reason = "its parent does not wait for it any more";
        const stopped = await runObject(id).act({ kind: policy, by: by(), parent: self().id, reason });
        if (!stopped.ok && !isOver(stopped)) unwrap(stopped);
      }),
  };
}

async function start(self: Self, startRun: StartRun, request: ChildStart): Promise<ChildStarted> {
  const { workflow, id, input, labels, reply, former, trace } = request;
  const again = former === null ? null : await goesOn(self, former);
  if (former !== null && again !== null) return { child: former.child, existed: true, createdAt: null, ...again };
  const { run, created } = await startRun(workflow, {
    id,
    input,
    labels,
    trace,
    by: `parent ${self.id}`,
    parent: { id: self.id, workflow: self.workflow },
    ...(self.origin === null ? {} : { origin: self.origin }),
    ...(reply === null ? {} : { reply }),
  });
  const own = created || run.parent?.id === self.id;
  return { child: { id: run.id, workflow: run.workflow }, existed: !created, own, createdAt: run.createdAt };
}

/** What is no refusal for good is none that the parent may hear: the start is made again. */
function postpone(error: unknown): never {
  if (isTransient(error)) throw new Error(`it cannot be started now: ${describe(error)}`, { cause: error });
  throw error;
}

/** A child that failed is tried again, once; null where it cannot be waited for once more. */
async function goesOn(self: Self, { child, key, kept }: FormerChild): Promise<Pick<ChildStarted, "own"> | null> {
  const object = runObject(child.id);
  const retried = await object.act({
    kind: "retry",
    by: `parent ${self.id}`,
    reason: "its parent is tried again",
    key,
  });
  const own = ({ parent }: Parcel): { own: boolean } => ({ own: parent?.id === self.id });
  if (retried.ok) return own(retried.value);
  if (retried.refusal.code === "run_not_found") return null;
  // Where another run has the key of its singleton, a start finds that one, or takes its place.
  if (retried.refusal.code === "singleton_held") return null;
  if (retried.refusal.code !== "not_retryable") unwrap(retried);
  const found = await runObject(child.id).read(0);
  if (!found.ok) return null;
  const { status } = found.value;
  return status === "completed" || (kept && !isEnded(status)) ? own(found.value) : null;
}

/** There is nothing left to act on. */
function isOver(answer: Answer<Parcel>): boolean {
  return !answer.ok && (answer.refusal.code === "run_ended" || answer.refusal.code === "run_not_found");
}

async function endOf(id: string): Promise<ChildEnd | null> {
  const found = await runObject(id).read(0);
  if (!found.ok && found.refusal.code === "run_not_found") return { kind: "failed", error: goneError };
  const { status, output, error } = await unpack(unwrap(found));
  if (!isEnded(status)) return null;
  if (status === "completed") return output === null ? null : { kind: "completed", output };
  return { kind: status, error: error ?? goneError };
}
