/** What the entries of updates mean. */
import { put } from "../empty.ts";
import type { Entry } from "../history/entry.ts";
import { handlerKey } from "./state.ts";
import type { Outcome, RunState } from "./state.ts";
import { outcome, progress, unreachable } from "./outcome.ts";

type UpdateEntry = Extract<Entry, { kind: `update.${string}` }>;

export function foldUpdate(state: RunState, entry: UpdateEntry): Outcome | null {
  switch (entry.kind) {
    case "update.accepted": {
      const { name, update: id, argument, sent = argument, key } = entry;
      progress(state);
      state.updates = put(state.updates, id, { id, name, sent, end: null });
      if (key !== undefined) state.updateKeys = put(state.updateKeys, key, id);
      return outcome(entry, handlerKey("update", name), { kind: "update", update: id, argument });
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
    default:
      return unreachable(entry);
  }
}
