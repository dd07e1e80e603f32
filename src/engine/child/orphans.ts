/**
 * Owns: stopping the children that a run has given up: which, and that none of them is missed or stopped under another call.
 * Does not own: when they are stopped, and trying again (whoever hosts the run).
 */
import { isToStop, lookAgainAt, orphansToStop } from "../../core/lifecycle/child.ts";
import type { ChildPolicy, ChildRun } from "../../core/run/origin.ts";
import type { Orphan } from "../../core/state/state.ts";
import type { Run } from "../run.ts";
import type { Children } from "../world.ts";
import type { Start } from "./child.ts";

export function orphansOf(run: Run): readonly Orphan[] {
  return orphansToStop(run.state, underWay(run));
}

/**
 * Stops the orphan, once no start is under way that may still create it, and where it is still to be stopped by then. Returns
 * when that is to be done again, epoch ms, because it is not there and may still be created; null where it is not.
 * @param note puts on record that it was stopped
 */
export async function stopOrphan(
  run: Run,
  orphan: Orphan,
  children: Pick<Children, "stop">,
  note: (child: ChildRun, policy: ChildPolicy) => void,
): Promise<number | null> {
  const { child, policy } = orphan;
  const { seq } = run.state;
  const ids = await run.starts.settledIdsOf(child.id);
  // The run may have been retried meanwhile, and wait for the child again. Of thousands, not each is looked for among all.
  if (run.state.seq !== seq && !isToStop(run.state, child.id, underWay(run))) return null;
  const found = await Promise.all([...ids].map((id) => children.stop(id, policy)));
  const againAt = found.includes(true) ? null : lookAgainAt(orphan, run.now());
  if (againAt === null) note(child, policy);
  return againAt;
}

function underWay({ execution }: Run): readonly Start[] {
  return execution?.work.children.underWay() ?? [];
}
