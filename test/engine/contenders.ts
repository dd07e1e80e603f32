/** Random workflows that contend for slots of lanes, each with what may come upon it. */
import type { Flow } from "../../src/core/definition/definition.ts";
import { createRandom } from "../../src/core/random.ts";
import { made } from "./program.ts";
import type { Carried } from "./player.ts";
import type { Jolt, Node, Program } from "./program.ts";
import { ReceivingMaker } from "./receivers.ts";

/** Upon the run of this place, so many turns behind the write of this number. */
export type Stroke = {
  readonly run: number;
  readonly write: number;
  readonly turns: number;
  readonly what: Jolt["what"] | "death" | "eviction" | "resume" | "retry";
};

export type Contention = {
  readonly seed: number;
  readonly contenders: readonly Contender[];
  readonly strokes: readonly Stroke[];
  /** The share of messages between runs and lanes that are lost. */
  readonly lost: number;
};

/** One run, and when it is started. */
export type Contender = {
  readonly program: Program;
  readonly workflow: string;
  readonly flow: Flow<Carried>;
  readonly startMs: number;
};

const strokes = [
  ...(["death", "death", "death", "death", "eviction", "pause", "pause", "resume", "cancel", "terminate"] as const),
  ...(["retry", "signal", "heard", "update", "update", "call"] as const),
];

/** The runs of this seed, of two workflows at most. */
export function makeContention(seed: number): Contention {
  const random = createRandom(`contention ${seed}`);
  const maker = new ContendingMaker((limit) => Math.floor(random.next() * limit), false);
  maker.judges = seed % 5 === 0;
  const mail = { name: "mail", limit: 1 + maker.below(2) };
  const flows = [maker.flow(mail), maker.flow(mail)] as const;
  const contenders = Array.from({ length: 3 + maker.below(3) }, () => {
    const other = maker.below(3) === 0;
    const flow = flows[other ? 1 : 0];
    return {
      program: maker.program(seed),
      workflow: other ? "other" : "flow",
      flow,
      startMs: maker.pick([0, 0, 1, 20, 1000, 60_000]),
    };
  });
  return { seed, contenders, strokes: maker.strokes(contenders.length), lost: maker.below(3) === 0 ? 0.1 : 0 };
}

class ContendingMaker extends ReceivingMaker {
  // Who waits for a slot asks after it all the while.
  override readonly spans = [0, 0, 1, 20, 250, 1000, 10_000, 60_000, 5 * 60_000];

  override readonly requestSpans = [0, 1, 250, 10_000, 60_000];

  /** They overlap where no lane keeps them apart. */
  override run(): Node {
    if (this.below(4) === 0) return this.fetch();
    const run = super.run();
    return run.t === "run" && this.below(2) === 0 ? { ...run, ms: this.pick([1000, 10_000, 60_000]) } : run;
  }

  program(seed: number): Program {
    const isRenewed = this.below(3) === 0;
    const body = this.receiving(isRenewed);
    const next = isRenewed ? [this.receiving(true)] : [];
    const timeoutMs = this.below(8) === 0 ? 20 * 60_000 : null;
    return { ...made(seed, this), body, next, timeoutMs, retries: this.below(3), asks: this.below(2) === 0 };
  }

  /** One limit at least. */
  flow(lane: { readonly name: string; readonly limit: number }): Flow<Carried> {
    const flow = { ...(this.below(2) === 0 ? { lane } : {}), ...this.own(), ...this.rate() };
    return Object.keys(flow).length > 0 ? flow : { concurrency: 1 };
  }

  own(): Flow<Carried> {
    const limit = 1 + this.below(2);
    const keyed = this.below(3) === 0 ? { key: ({ round }: Carried) => String(round) } : {};
    const own = this.pick([
      {},
      { concurrency: { limit, ...keyed, hold: this.below(2) === 0 } },
      { concurrency: { limit, ...keyed, scope: "step" } },
    ] as const);
    return this.below(5) === 0 ? { ...own, singleton: { mode: "queue" } } : own;
  }

  rate(): Flow<Carried> {
    const throttle = this.below(6) === 0 ? { throttle: { limit: 1 + this.below(2), period: 30_000 } } : {};
    return this.below(4) === 0 ? { ...throttle, priority: this.below(3) } : throttle;
  }

  strokes(runs: number): Stroke[] {
    return Array.from({ length: this.below(4 * runs) }, () => ({
      run: this.below(runs),
      write: 1 + this.below(16),
      turns: this.below(4),
      what: this.pick(strokes),
    }));
  }
}
