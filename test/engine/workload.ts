/** Who is at work under which limits: what no lane may let through. */
import { expect } from "vitest";
import type { LaneNeed } from "../../src/core/need.ts";
import type { AttemptContext, Step } from "../../src/core/step.ts";
import type { Run } from "../../src/engine/run.ts";
import type { LaneSimulation, SimulatedRun } from "./simulation.ts";

/** An attempt under way; one that was told to stop, or whose process has died, is at work no more. */
type Attempt = {
  readonly simulated: SimulatedRun;
  readonly run: Run;
  readonly needs: readonly LaneNeed[];
  readonly signal: AttemptContext["signal"];
};

export class Workload {
  /** The most that were at work at once, by lane. */
  readonly most = new Map<string, number>();
  readonly #simulation: LaneSimulation;
  #attempts: Attempt[] = [];

  constructor(simulation: LaneSimulation) {
    this.#simulation = simulation;
  }

  /** The step, whose attempts are counted. */
  watch(simulated: SimulatedRun, step: Step): Step {
    const { run } = simulated;
    const counted =
      <Args extends readonly unknown[]>(fn: (...args: Args) => unknown, contextOf: (args: Args) => AttemptContext) =>
      async (...args: Args): Promise<unknown> => {
        const needs = run.state.created?.lanes ?? [];
        const attempt = { simulated, run, needs, signal: contextOf(args).signal };
        this.#attempts.push(attempt);
        this.#check();
        try {
          return await fn(...args);
        } finally {
          this.#attempts.splice(this.#attempts.indexOf(attempt), 1);
        }
      };
    const watched = {
      ...step,
      run: (name: string, fn: (context: AttemptContext) => unknown, options: object) =>
        step.run(
          name,
          counted(fn, ([context]) => context),
          options,
        ),
      map: (
        name: string,
        items: readonly unknown[],
        fn: (item: unknown, context: AttemptContext) => unknown,
        options: object,
      ) => step.map(name, items, counted(fn, ([, context]) => context) as never, options),
    };
    return watched as unknown as Step;
  }

  /** No more than the limit of each lane, of those that wait for lanes at all. */
  #check(): void {
    this.#attempts = this.#attempts.filter(({ simulated, run, signal }) => simulated.run === run && !signal.aborted);
    const atWork = this.#attempts.filter(({ run: { state } }) => state.cancelling === null && state.ending === null);
    for (const [name, { limit }] of this.#simulation.lanes) {
      const users = atWork.flatMap(({ simulated, needs }) => {
        const need = needs.find(({ lane, periodMs }) => lane === name && periodMs === null);
        return need === undefined ? [] : [need.scope === "run" ? simulated.id : Symbol("an attempt")];
      });
      const used = new Set(users).size;
      this.most.set(name, Math.max(used, this.most.get(name) ?? 0));
      expect({ name, used: Math.min(used, limit ?? Infinity) }).toEqual({ name, used });
    }
  }
}
