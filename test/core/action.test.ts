/** What a person's action does to a run, where that is not seen of a run alone. */
import { expect, test } from "vitest";
import { decide } from "../../src/core/lifecycle/action.ts";
import type { Fact } from "../../src/core/history/entry.ts";
import { fold } from "../../src/core/state/fold.ts";
import { RunState } from "../../src/core/state/state.ts";
import { created } from "../engine/host.ts";

test("a retry looks once at what has failed, however much that is", () => {
  const state = new RunState();
  const add = (fact: Fact): void => void fold(state, { seq: state.seq + 1, at: state.seq, ...fact });
  const error = { name: "Error", message: "broken", code: "step_failed" };
  const many = 200_000;
  add({ kind: "run.created", ...created(null) });
  add({ kind: "run.started", deployment: "one" });
  for (let i = 1; i <= many; i++) {
    add({ kind: "step.failed", step: i === 1 ? "item" : `item#${i}`, attempt: 1, startedAt: 0, error });
  }
  add({ kind: "run.failed", error: { ...error, code: "map_failed", step: "item" } });
  const decision = decide(state, { kind: "retry", by: "test", reason: null }, state.at);
  expect(decision?.fact.kind === "run.retried" && decision.fact.cleared.length).toBe(many);
});
