/**
 * Owns: calls from a run to its children: starting, looking up and stopping them.
 * Does not own: when that is done (engine/child/children, relatives), checking a start (service).
 * Invariant 1: the number of simultaneous calls is limited, for any number of children.
 */
import type { ChildPolicy, ParentRun } from "../../core/run/origin.ts";
import { isEnded, isEnding } from "../../core/run/run.ts";
import { goneError } from "../../core/lifecycle/child.ts";
import type { SignalRequest } from "../../core/service/service.ts";
import type { ChildEnd, Children, ChildStart, ChildStarted, FormerChild } from "../../engine/world.ts";
import { runObject } from "../address.ts";
import { unwrap } from "../answer.ts";
import { isTransient } from "./damage.ts";
import type { StartRun } from "../start/preparation.ts";
import { unpack } from "../packing.ts";
import { describe, patiently, within } from "../patience.ts";
import type { PackedRun } from "../rpc/run.ts";
import { Semaphore } from "../semaphore.ts";
import { sendSignal } from "../service.ts";
import type { HookedRun } from "../webhook/token.ts";

const atOnce = 50;
/** The limit for a call; after it the call is repeated later. */
const patienceMs = 60_000;

/** The parent run. */
export type Self = ParentRun & HookedRun;

export class RunChildren implements Children {
  readonly #self: () => Self;
  readonly #startRun: StartRun;
  readonly #places = new Semaphore(atOnce);

  /** @param self called each time, because the object exists before its run */
  constructor(self: () => Self, startRun: StartRun) {
    this.#self = self;
    this.#startRun = startRun;
  }

  start(request: ChildStart): Promise<ChildStarted> {
    return this.#pass(() => start(this.#self(), this.#startRun, request).catch(postpone));
  }

  /** Who asks asks again by itself, but only after minutes. */
  end(id: string): Promise<ChildEnd | null> {
    return patiently(
      () => this.#pass(() => endOf(id)),
      () => false,
    );
  }

  async signal(id: string, signal: SignalRequest): Promise<void> {
    await sendSignal(id, signal);
  }

  stop(id: string, policy: ChildPolicy): Promise<boolean> {
    return this.#pass(async () => {
      if (policy === "abandon") return true;
      const parent = this.#self().id;
      const reason = "its parent does not wait for it any more";
      const stopped = await runObject(id).act({ kind: policy, by: `parent ${parent}`, parent, reason });
      if (!stopped.ok && stopped.refusal.code === "run_not_found") return false;
      if (!stopped.ok && stopped.refusal.code !== "run_ended") unwrap(stopped);
      return true;
    });
  }

  #pass<Value>(act: () => Promise<Value>): Promise<Value> {
    return this.#places.pass(() => within(act(), patienceMs));
  }
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

/** A temporary refusal must not reach the parent: it becomes an error after which the start is repeated. */
function postpone(error: unknown): never {
  if (isTransient(error)) throw new Error(`it cannot be started now: ${describe(error)}`, { cause: error });
  throw error;
}

/** Retries a failed child once; null if the parent cannot wait for it again. */
async function goesOn(self: Self, { child, key, kept }: FormerChild): Promise<Pick<ChildStarted, "own"> | null> {
  const object = runObject(child.id);
  const retried = await object.act({
    kind: "retry",
    by: `parent ${self.id}`,
    reason: "its parent is tried again",
    key,
  });
  const own = ({ parent }: PackedRun): { own: boolean } => ({ own: parent?.id === self.id });
  if (retried.ok) return own(retried.value);
  if (retried.refusal.code === "run_not_found") return null;
  // If another run has the key of its singleton, a new start finds or replaces that run.
  if (retried.refusal.code === "singleton_held") return null;
  if (retried.refusal.code !== "not_retryable") unwrap(retried);
  const found = await runObject(child.id).read(0);
  if (!found.ok) return null;
  const { status } = found.value;
  const goesOnAlready = kept && !isEnded(status) && !isEnding(found.value);
  return status === "completed" || goesOnAlready ? own(found.value) : null;
}

async function endOf(id: string): Promise<ChildEnd | null> {
  const found = await runObject(id).read(0);
  if (!found.ok && found.refusal.code === "run_not_found") return { kind: "failed", error: goneError };
  const { status, output, error } = await unpack(unwrap(found));
  if (!isEnded(status)) return null;
  if (status === "completed") return output === null ? null : { kind: "completed", output };
  return { kind: status, error: error ?? goneError };
}
