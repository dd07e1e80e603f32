/** What the entries of updates mean. */
import { put } from "../empty.ts";
import type { Entry } from "../history/entry.ts";
import type { UpdateEnd } from "../run/origin.ts";
import { handlerKey } from "./state.ts";
import type { RunState } from "./state.ts";
import { outcome, clearDeaths } from "./outcome.ts";
import type { Folds } from "./outcome.ts";

export const updateFolds: Folds<Extract<Entry["kind"], `update.${string}`>> = {
  "update.accepted": (state, entry) => {
    const { name, update: id, argument, sent = argument, key } = entry;
    clearDeaths(state);
    state.updates = put(state.updates, id, { id, name, sent, end: null });
    if (key !== undefined) state.updateKeys = put(state.updateKeys, key, id);
    return outcome(entry, handlerKey("update", name), { kind: "update", update: id, argument });
  },
  "update.completed": (state, { update, result }) => end(state, update, { kind: "completed", result }),
  "update.failed": (state, { update, error }) => end(state, update, { kind: "failed", error }),
};

function end({ updates }: RunState, id: string, how: UpdateEnd): void {
  const update = updates.get(id);
  if (update !== undefined) update.end = how;
}
