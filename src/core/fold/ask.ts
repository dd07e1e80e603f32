/** What the entries of updates, patches and lanes mean. */
import type { Entry } from "../entry.ts";
import { handlerKey } from "../state.ts";
import type { Outcome, RunState } from "../state.ts";
import { outcome, progress, unreachable } from "./outcome.ts";

type AskEntry = Extract<Entry, { kind: `update.${string}` | `patch.${string}` | `lane.${string}` }>;

export function foldAsk(state: RunState, entry: AskEntry): Outcome | null {
  switch (entry.kind) {
    case "update.accepted": {
      const { name, update: id, argument, sent = argument, key } = entry;
      progress(state);
      state.updates.set(id, { id, name, sent, end: null });
      if (key !== undefined) state.updateKeys.set(key, id);
      return outcome(entry, handlerKey("update", name), { kind: "asked", update: id, argument });
    }
    case "update.completed": {
      const update = state.updates.get(entry.update);
      if (update !== undefined) update.end = { kind: "completed", result: entry.result };
      return null;
    }
    case "update.failed": {
      const update = state.updates.get(entry.update);
      if (update !== undefined) update.end = { kind: "failed", error: entry.error };
      return null;
    }
    case "patch.adopted":
      state.patches.add(entry.patch);
      return null;
    case "lane.queued":
      state.queued.set(laneKey(entry), entry);
      return null;
    case "lane.entered":
      state.queued.delete(laneKey(entry));
      return null;
    default:
      return unreachable(entry);
  }
}

/** A lane that holds the run (`step` null) or one of its steps, as `RunState.queued` knows it. */
export function laneKey({ lane, step }: { readonly lane: string; readonly step: string | null }): string {
  return JSON.stringify([lane, step]);
}
