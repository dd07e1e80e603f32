/**
 * Owns: a handler's child runs: starting them, waiting for their ends, asking whether they have ended, timing out.
 * Does not own: the children themselves (world), how their ends reach the run (news), stopping those that nobody waits for
 * any more (orphans).
 * Invariant 1: a child is on record only once it has been started; until then every life starts it
 * again under the same id, which finds the one that is there (guarantee 2).
 * Invariant 2: a child reports its end to its parent, and the parent asks by itself too, ever more rarely: no end is lost,
 * whichever of the two dies (guarantee 4).
 */
import { emptyMap, put } from "../../core/empty.ts";
import { childRefusal, childTimeout, givenUp, goneError, isForeign, nextAskAt } from "../../core/lifecycle/child.ts";
import { waitedSince } from "../../core/lifecycle/due.ts";
import { backoffMs } from "../../core/backoff.ts";
import { HoldfastError } from "../../core/error.ts";
import type { ChildRun } from "../../core/run/origin.ts";
import type { Call } from "../../core/state/state.ts";
import { callKey, wasRemoved } from "../../core/state/state.ts";
import { endOf, requestOf, startedAs, startOf } from "./child.ts";
import type { Start } from "./child.ts";
import { isChild, recordedCall } from "../call/call.ts";
import type { ChildPlan, Pending } from "../call/call.ts";
import type { Course } from "../turn/course.ts";
import { isWithdrawn } from "../call/scope.ts";
import { longestUnrecordedPauseMs } from "../next.ts";
import type { Receipt } from "../receipt.ts";
import type { ChildEnd, ChildStarted } from "../world.ts";

/** A child that is still to be started, with the fact that will put it on record. */
type Launch = {
  readonly fact: Start;
  /** How often the start did not get through. */
  tries: number;
  /** When it is tried again; Infinity while it is under way. */
  retryAt: number;
  /** Resolves once what became of the newest try is on record. */
  settled: Promise<void>;
};

/** A child that is waited for; `foreign` where others may have started it, `asking` while it is asked whether it has ended. */
type AwaitedChild = {
  readonly pending: Pending<ChildPlan>;
  readonly child: ChildRun;
  readonly foreign: boolean;
  askedAt: number;
  asking: boolean;
};

const firstPauseMs = 1000;

export class Children {
  readonly #course: Course;
  readonly #pending: ReadonlyMap<string, Pending>;
  #launches: Map<string, Launch> = emptyMap;
  #awaited: Map<string, AwaitedChild> = emptyMap;
  /** Facts of children whose calls lost a race in replay: an earlier life may have started them. */
  readonly #maybeStarted: Start[] = [];
  /** How many children are being started: this memory has to stay for the answers. */
  starting = 0;
  /** How many are being asked whether they have ended: this memory has to stay for those answers, too. */
  asking = 0;

  constructor(course: Course, pending: ReadonlyMap<string, Pending>) {
    this.#course = course;
    this.#pending = pending;
  }

  /** The call was closed in replay: where it lost a race, an earlier life may have been starting its child. */
  closed(pending: Pending): void {
    if (!isChild(pending) || !isWithdrawn(pending.scope)) return;
    const { key, id, plan } = pending;
    const { state, ledger, resumed } = this.#course;
    const call = state.calls.get(key);
    if (call !== undefined && !(resumed && isToStart(call))) return;
    this.#maybeStarted.push(startOf(id, plan, requestOf(state, id, plan), ledger.now()));
  }

  /** Children of calls that lost a race go on record where they may have been started, so that they are stopped. */
  recordLost(): void {
    const lost = this.underWay().filter(({ step }) => !this.#pending.has(callKey("child", step)));
    this.#giveUp([...this.#maybeStarted.splice(0), ...lost]);
  }

  /** Whoever hosts the run is to stop them. */
  #giveUp(starts: readonly Start[]): void {
    const { ledger } = this.#course;
    if (starts.length === 0) return;
    ledger.append(...givenUp(starts));
    this.#course.wakeBy(ledger.now());
  }

  /** Those that are being started, or whose start is tried again. */
  get unstarted(): ChildRun[] {
    return [...this.#launches.values()].map(({ fact }) => fact.child);
  }

  begin(pending: Pending<ChildPlan>): void {
    const call = recordedCall(this.#course.state, pending);
    // A detached call that is open on record was recorded while its start was under way.
    if (call === undefined || call.child === null || pending.plan.detached) return this.#launch(pending);
    const awaited = this.#await(pending, call.child);
    if (wasRemoved(this.#course.state, pending.key)) {
      const { child, until, policy } = call;
      this.#course.record({ kind: "child.started", step: pending.id, child, until, policy });
      // It may have reported its end meanwhile, when no call waited for it.
      this.#ask(awaited);
    }
    // It may have reported its end in vain while this run had ended; or it is on record only to be stopped, and was not started.
    if (this.#course.state.retriedSeq > 0) this.#ask(awaited, true);
    this.#course.wakeBy(this.dueAt(pending));
  }

  /** The run goes on after a pause or a retry: a child may have reported its end in vain, or could not be asked. */
  resume(): void {
    const { resumedAt } = this.#course.state;
    for (const awaited of this.#awaited.values())
      if (this.#isOpen(awaited.pending) && awaited.askedAt <= resumedAt) this.#ask(awaited);
  }

  /** When there is something to do for this call; Infinity when only the world can move it. */
  dueAt(pending: Pending): number {
    const launch = this.#launches.get(pending.key);
    if (launch !== undefined) return launch.retryAt;
    const call = recordedCall(this.#course.state, pending);
    const awaited = this.#awaited.get(pending.key);
    if (call === undefined || awaited === undefined) return Infinity;
    const askAt = awaited.asking
      ? Infinity
      : nextAskAt(waitedSince(this.#course.state, call), awaited.askedAt, awaited.foreign);
    return Math.min(call.until ?? Infinity, askAt);
  }

  /** The instant has come at which the start is tried again, the wait is over, or the child is asked. */
  fire(pending: Pending<ChildPlan>): void {
    if (this.#launches.has(pending.key)) return this.#launch(pending);
    const call = recordedCall(this.#course.state, pending);
    const awaited = this.#awaited.get(pending.key);
    if (call === undefined || awaited === undefined) return;
    const { ledger } = this.#course;
    if ((call.until ?? Infinity) > ledger.now()) return this.#ask(awaited);
    const error = childTimeout(pending.id, awaited.child, pending.plan.timeoutMs ?? ledger.now() - call.since);
    this.#course.record({ kind: "child.failed", step: pending.id, child: awaited.child, error, left: true });
    // Whoever hosts the run is to stop the child.
    this.#course.wakeBy(ledger.now());
  }

  /** Puts the end of a child on record, in its turn, if a call waits for it. */
  async receive(step: string, child: string, end: ChildEnd): Promise<Receipt> {
    const key = callKey("child", step);
    const { stopped } = this.#course;
    for (;;) {
      const launch = this.#launches.get(key);
      // The child has ended before the answer to its start has come: that answer first.
      if (launch !== undefined && launch.retryAt === Infinity) await Promise.race([launch.settled, stopped.rung()]);
      const receipt = await this.#course.turn(() => this.#take(key, child, end));
      if (receipt !== "starting") return receipt ?? "later";
    }
  }

  #take(key: string, child: string, end: ChildEnd): Receipt | "starting" {
    const { state } = this.#course;
    const call = state.calls.get(key);
    const pending = this.#pending.get(key);
    const launch = this.#launches.get(key);
    if (launch !== undefined) return launch.retryAt === Infinity ? "starting" : "later";
    if (call === undefined || call.child === null) return pending === undefined ? "unwanted" : "later";
    if (call.done || call.child.id !== child) return "unwanted";
    if (pending !== undefined) return this.#acceptEnd(pending, call.child, end);
    // The replay may still come to the call, unless the code was seen to make it no more.
    return wasRemoved(state, key) ? "unwanted" : "later";
  }

  /** An end that comes after the deadline of the call comes too late, even if the run was in no state to act on the deadline. */
  #acceptEnd(pending: Pending, child: ChildRun, end: ChildEnd): Receipt {
    const { state, ledger } = this.#course;
    const until = recordedCall(this.#course.state, pending)?.until ?? Infinity;
    if (isChild(pending) && until < (state.paused?.at ?? ledger.now())) {
      this.fire(pending);
      return "unwanted";
    }
    this.#awaited.delete(pending.key);
    this.#course.record(endOf(pending.id, child, end));
    return "recorded";
  }

  #launch(pending: Pending<ChildPlan>): void {
    const { world, state, ledger } = this.#course;
    const { plan } = pending;
    const request = requestOf(state, pending.id, plan);
    const launch: Launch = this.#launches.get(pending.key) ?? {
      // The timeout counts from the call, however often the start is tried.
      fact: { ...startOf(pending.id, plan, request, ledger.now()), ...this.#deadlineOf(pending) },
      tries: 0,
      retryAt: Infinity,
      settled: Promise.resolve(),
    };
    launch.retryAt = Infinity;
    this.#launches = put(this.#launches, pending.key, launch);
    this.starting++;
    const isItself = request.id === state.creation.id && !plan.detached;
    const started = isItself ? refuseItself(request.id) : world.children.start(request);
    launch.settled = started.then(
      async (made) => void (await this.#course.turn(() => this.#started(pending, launch, made))),
      async (error: unknown) => void (await this.#course.turn(() => this.#refused(pending, launch, error))),
    );
  }

  #started(pending: Pending<ChildPlan>, launch: Launch, made: ChildStarted): void {
    const { state } = this.#course;
    const { child, existed } = made;
    this.#launches.delete(pending.key);
    this.starting--;
    const fact = startedAs(state, launch.fact, made);
    if (!this.#isOpen(pending)) {
      // The call was given up meanwhile: where it is on record, the child is being stopped.
      return recordedCall(state, pending) === undefined ? this.#giveUp([fact]) : undefined;
    }
    if (pending.plan.detached) return this.#course.record({ ...fact, detached: true });
    this.#course.record(fact);
    const awaited = this.#await(pending, child);
    // A child that was there before may have ended before anybody waited for it.
    if (existed) this.#ask(awaited);
    this.#course.wakeBy(this.dueAt(pending));
  }

  #refused(pending: Pending<ChildPlan>, launch: Launch, error: unknown): void {
    const { ledger } = this.#course;
    this.starting--;
    const isOpen = this.#isOpen(pending);
    if (!isOpen || error instanceof HoldfastError) this.#launches.delete(pending.key);
    if (!isOpen) return;
    if (error instanceof HoldfastError) {
      const { name, code, message } = error;
      const refusal = childRefusal(pending.id, pending.plan.workflow, { name, code, message });
      return this.#course.record({ kind: "child.failed", step: pending.id, error: refusal });
    }
    launch.tries++;
    launch.retryAt = ledger.now() + backoffMs(launch.tries, firstPauseMs, longestUnrecordedPauseMs);
    this.#course.wakeBy(launch.retryAt);
  }

  /** Children that may have been started and are not on record. */
  underWay(): Start[] {
    const { calls } = this.#course.state;
    return [...this.#launches].flatMap(([key, { fact }]) => {
      const call = calls.get(key);
      return call === undefined || isToStart(call) ? [fact] : [];
    });
  }

  /** @param anew it may not have been started: it is, where it is not there */
  #ask(awaited: AwaitedChild, anew = false): void {
    if (awaited.asking) return;
    const { pending } = awaited;
    awaited.asking = true;
    awaited.askedAt = Math.max(awaited.askedAt, this.#course.ledger.now());
    this.asking++;
    const answered = (end: ChildEnd | null): void => {
      void this.#course.turn(() => {
        awaited.asking = false;
        this.asking--;
        const isOpen = this.#isOpen(pending);
        if (isOpen && anew && end?.kind === "failed" && end.error === goneError) this.#launch(pending);
        else if (isOpen && end !== null) this.#acceptEnd(pending, awaited.child, end);
        else this.#course.wakeBy(this.dueAt(pending));
      });
    };
    // A child that cannot be asked now is asked again, later.
    this.#course.world.children.end(awaited.child.id).then(answered, () => answered(null));
  }

  #isOpen(pending: Pending): boolean {
    return this.#pending.get(pending.key) === pending;
  }

  #await(pending: Pending<ChildPlan>, child: ChildRun): AwaitedChild {
    const foreign = isForeign(this.#course.state, pending.id, child);
    // Earlier lives asked whenever it was time, up to the last that is known of them.
    const awaited: AwaitedChild = { pending, child, foreign, askedAt: this.#course.ledger.openedAt, asking: false };
    this.#awaited = put(this.#awaited, pending.key, awaited);
    return awaited;
  }

  /** That of a call that is on record stays. */
  #deadlineOf(pending: Pending): Partial<Pick<Start, "until">> {
    const call = recordedCall(this.#course.state, pending);
    return call === undefined || call.child === null ? {} : { until: call.until };
  }
}

async function refuseItself(id: string): Promise<never> {
  throw new HoldfastError("run_exists", `the run ${id} cannot wait for itself`);
}

/** The call starts its child anew, which is not on record yet: the former one was stopped, or belongs to another deployment. */
function isToStart({ done, child }: Call): boolean {
  return !done && child === null;
}
