/** Who is at work under which limits: what no lane may let through. */
import type { LaneNeed } from "../../src/core/lane/need.ts";
import type { AttemptContext } from "../../src/core/definition/options.ts";
import type { Step } from "../../src/core/definition/step.ts";
import { dispatchedCalls } from "../../src/core/state/dispatched.ts";
import type { Run } from "../../src/engine/run.ts";
import type { SimulatedRun } from "./simulation.ts";

/** An attempt under way; one that was told to stop, or whose process has died, is at work no more. */
type Attempt = {
  readonly simulated: SimulatedRun;
  readonly run: Run;
  readonly needs: readonly LaneNeed[];
  readonly signal: AttemptContext["signal"];
};

export class Workload {
  readonly excess: { readonly lane: string; readonly limit: number | null; readonly used: number }[] = [];
  readonly #watched = new Set<SimulatedRun>();
  #attempts: Attempt[] = [];

  /** The step, whose attempts are counted. */
  watch(simulated: SimulatedRun, step: Step): Step {
    const { run } = simulated;
    this.#watched.add(simulated);
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

  /** Those under way, which no process has to live for. */
  #requests(): Pick<Attempt, "simulated" | "run" | "needs">[] {
    return [...this.#watched].flatMap((simulated) => {
      const { run } = simulated;
      return dispatchedCalls(run.state).map(() => ({ simulated, run, needs: run.state.created?.lanes ?? [] }));
    });
  }

  /** Notes where more than the limit of a lane are at work, of those that wait for lanes at all. */
  #check(): void {
    this.#attempts = this.#attempts.filter(({ simulated, run, signal }) => simulated.run === run && !signal.aborted);
    const busy = [...this.#attempts, ...this.#requests()];
    const atWork = busy.filter(({ run: { state } }) => state.cancelling === null && state.ending === null);
    const users = new Map<LaneNeed, Set<unknown>>();
    const lanes = new Map<string, LaneNeed>();
    for (const attempt of atWork) {
      for (const need of attempt.needs.filter(({ periodMs }) => periodMs === null)) {
        const known = lanes.get(need.lane) ?? need;
        lanes.set(need.lane, known);
        // A run has one slot however much of it is at work.
        users.set(known, (users.get(known) ?? new Set()).add(need.scope === "run" ? attempt.simulated : attempt));
      }
    }
    // What is thrown here would be a failure of the step.
    for (const [{ lane, limit }, { size: used }] of users)
      if (used > (limit ?? Infinity)) this.excess.push({ lane, limit, used });
  }
}
