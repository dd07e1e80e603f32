/**
 * Owns: reading a run in its object: at its end, with its places in lanes, and following it.
 * Does not own: snapshots (core/run/snapshot), the sockets of followers (followers), driving the run (host).
 * Invariant 1: reading does not change the run, but may advance it if it is due.
 */
import { firstCreatedAt } from "../../core/run/origin.ts";
import type { RunSnapshot } from "../../core/run/run.ts";
import { Bell } from "../../engine/turn/bell.ts";
import { watchdogMs } from "../alarm.ts";
import type { Memory } from "./memory.ts";
import type { LaneRequests } from "../lane/requests.ts";
import type { RunMessage } from "../rpc/run.ts";
import { untilSo, upTo } from "../patience.ts";
import { turn } from "./turn.ts";

/** How long an answer waits: to a cancellation, for the end of the run; to what lets it go on, for the end of its replay. */
export const patienceMs = 500;

/** The host of the run. */
type Hosting = {
  /** Advances the run now. */
  proceed(): void;
  /** Advances the run if it is due; answers whether it was. */
  wake(): boolean;
};

export class View {
  readonly #memory: Memory;
  readonly #requests: LaneRequests;
  readonly #host: Hosting;
  /** Rings when the run has ended; it may have been retried since. */
  readonly #ended = new Bell();

  constructor(memory: Memory, requests: LaneRequests, host: Hosting) {
    this.#memory = memory;
    this.#requests = requests;
    this.#host = host;
  }

  /** Called when the run has ended: answers those who wait for that, and tells its followers. */
  ended(): void {
    this.#ended.ring();
    if (!this.#memory.followers.isEmpty) this.#memory.followers.send(this.#standing());
  }

  /** The run at its end, or when the time is over. */
  async settled(waitMs: number): Promise<RunSnapshot> {
    const { run } = this.#memory;
    // After a burst the run has usually ended.
    if (run.isBurst) await run.yielded();
    if (this.#memory.run.state.end !== null) return this.#memory.run.snapshot();
    // The memory may be replaced meanwhile.
    await untilSo(() => this.#memory.run.state.end !== null, this.#ended, waitMs);
    return this.#memory.run.snapshot();
  }

  /** Wakes the run if it is due, and waits until it is at rest or at a step: during a replay it cannot say what it waits for. */
  async woken(): Promise<void> {
    if (!this.#host.wake()) return;
    const { run } = this.#memory;
    if (run.execution?.busy === true) await upTo(watchdogMs, run.rested());
  }

  /** Waits until its handler, if it has one, is at a call again: during a replay the run cannot say what it waits for. */
  async replayed(waitMs: number): Promise<void> {
    // A host that is still at work, as after the end that a retry took back, begins the handler only now.
    await turn();
    const { run } = this.#memory;
    if (run.execution === null) return;
    const atCall = run.awake().then(async (execution) => {
      while (execution.course.busy && !execution.working) await execution.course.rested.rung();
    });
    // A run that cannot go on says so itself.
    await upTo(
      waitMs,
      atCall.catch(() => {}),
    );
  }

  /** The run with its present places in lanes, or the last known ones if reading them takes long. */
  async located(): Promise<RunSnapshot> {
    const { run } = this.#memory;
    const { queued, end, paused } = run.state;
    if (queued.size === 0 || end !== null || paused !== null) return run.snapshot();
    run.lanes.askAgain();
    this.#host.proceed();
    this.#requests.attend(run);
    await upTo(watchdogMs, this.#requests.idle());
    if (this.#memory.isCurrent(run)) this.#requests.deliver(run);
    this.#host.proceed();
    return run.snapshot(run.lanes.slots.places);
  }

  /** Accepts a follower of the run. */
  follow(request: Request): Response {
    const { created } = this.#memory.run.state;
    if (created === null) return new Response(null, { status: 404 });
    this.#host.wake();
    return this.#memory.followers.admit(request, { ...this.#standing(), createdAt: firstCreatedAt(created) });
  }

  #standing(): Extract<RunMessage, object> {
    const { run } = this.#memory;
    const { seq, end } = run.state;
    return { seq, status: end === null ? null : run.glance().status };
  }
}
