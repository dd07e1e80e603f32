/**
 * Owns: how a run looks to those who ask its object: at its end, with its places in lanes, and to those who follow it.
 * Does not own: what the run looks like (core/snapshot), the sockets of followers (followers), keeping the run going (host).
 * Invariant 1: nobody who looks moves the run, other than to have it do what it is due to do.
 */
import { bornAt } from "../core/origin.ts";
import type { RunSnapshot } from "../core/run.ts";
import { Bell } from "../engine/bell.ts";
import { watchdogMs } from "./alarm.ts";
import type { Memory } from "./memory.ts";
import type { LaneRequests } from "./requests.ts";
import type { RunSaid } from "./rpc/run.ts";
import { timer } from "./timer.ts";

/** Whoever hosts the run. */
type Hosting = {
  /** Looks at the run now. */
  proceed(): void;
  /** Does so if it has something to do. */
  wake(): void;
};

export class View {
  readonly #memory: Memory;
  readonly #requests: LaneRequests;
  readonly #host: Hosting;
  /** Rings when the run may have ended. */
  readonly #ended = new Bell();

  constructor(memory: Memory, requests: LaneRequests, host: Hosting) {
    this.#memory = memory;
    this.#requests = requests;
    this.#host = host;
  }

  /** The run may have ended. */
  ended(): void {
    this.#ended.ring();
  }

  /** The run once it has ended, or as it is when the time is up. */
  async settled(waitMs: number): Promise<RunSnapshot> {
    const { run } = this.#memory;
    // Mostly there is nothing left to wait for then.
    if (run.isBurst) await run.yielded();
    if (this.#memory.run.state.end !== null) return this.#memory.run.snapshot();
    const limit = timer(Date.now() + waitMs);
    // The memory may be given up meanwhile, and another made. What is over answers null, a bell nothing.
    while (this.#memory.run.state.end === null) {
      if ((await Promise.race([this.#ended.heard(), limit.over])) === null) break;
    }
    limit.cancel();
    return this.#memory.run.snapshot();
  }

  /** The run with its places in the lanes that hold it, asked now; as they were known should that take long. */
  async located(): Promise<RunSnapshot> {
    const { run } = this.#memory;
    const { queued, end, paused } = run.state;
    if (queued.size === 0 || end !== null || paused !== null) return run.snapshot();
    run.lanes.askAgain();
    this.#host.proceed();
    this.#requests.attend(run);
    const limit = timer(Date.now() + watchdogMs);
    await Promise.race([this.#requests.idle(), limit.over]);
    limit.cancel();
    if (this.#memory.isCurrent(run)) this.#requests.deliver(run);
    this.#host.proceed();
    return run.snapshot(run.lanes.slots.places);
  }

  /** Lets in one who follows the run. */
  follow(request: Request): Response {
    const { created } = this.#memory.run.state;
    if (created === null) return new Response(null, { status: 404 });
    this.#host.wake();
    return this.#memory.followers.admit(request, { ...this.#standing(), createdAt: bornAt(created) });
  }

  /** Tells those who follow the run where it stands. */
  tell(): void {
    if (!this.#memory.followers.isEmpty) this.#memory.followers.tell(this.#standing());
  }

  #standing(): Extract<RunSaid, object> {
    const { run } = this.#memory;
    const { seq, end } = run.state;
    return { seq, status: end === null ? null : run.glance().status };
  }
}
