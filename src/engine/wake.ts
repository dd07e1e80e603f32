/**
 * Owns: calling into the handler's memory of a run for somebody outside, whether or not the run is in memory.
 * Does not own: getting that memory (drive), what is done there (whoever calls).
 */
import { hasCode } from "../core/error.ts";
import type { Execution } from "./execution.ts";
import type { Run } from "./run.ts";

/**
 * Returns what `act` makes of the run's execution, which is replayed before if need be; null if the run has ended.
 * @throws as `Run.awake` and `act`, and whatever made the journal fail meanwhile
 */
export async function wake<Value>(
  run: Run,
  act: (execution: Execution) => Value | Promise<Value>,
): Promise<Value | null> {
  try {
    const execution = await run.awake();
    const value = await act(execution);
    if (execution.course.failure !== null) throw execution.course.failure;
    return value;
  } catch (error) {
    if (hasCode(error, "run_ended")) return null;
    throw error;
  }
}
