/** Runs that fan out, race, go on as new and share a lane, whose process ends wherever it can. */
import { overlaps } from "./flows/interruptible.ts";
import { is, sent } from "./driver.ts";
import type { Call, Program, When } from "./driver.ts";
import { interrupted } from "./stage.ts";
import { traceOf } from "./trace.ts";

/** In its so many-th round. */
const round =
  (count: number): When =>
  (entry) =>
    entry.kind === "run.created" && (entry.continuation?.count ?? 0) === count;

const item = (when: When, n: number): Call => sent(when, "item", { n }, `${n}`);
const nth =
  (when: When, times: number): When =>
  (entry, index, all) =>
    when(entry, index, all) && all.filter(when).length >= times;

const programs: readonly Program[] = [
  { title: "maps with failures", workflow: "mortal-map", input: () => ({}), calls: [] },
  {
    title: "races that each of three wins",
    workflow: "mortal-race",
    input: () => ({}),
    calls: [
      sent(is("step.attempt_failed", "work-3"), "bell", { n: 3 }, "third"),
      sent(nth(is("signal.consumed", "bell"), 1), "bell", { n: 4 }, "last"),
    ],
  },
  {
    title: "rounds with signals all along",
    workflow: "mortal-rounds",
    input: () => ({}),
    query: "seen",
    calls: [
      item(is("run.created"), 1),
      // One more than its round takes, then one between two, and the rest while it waits.
      item(is("run.created"), 2),
      item(is("run.created"), 3),
      item(round(1), 4),
      item(is("wait.started", "item"), 5),
      // Of a round that is over: it is known, and nothing new.
      item(round(2), 1),
      item(round(2), 6),
      sent(is("wait.started", "end"), "end", {}, "end"),
    ],
  },
  { title: "a change of its code before it began", workflow: "mortal-patched", input: () => ({}), calls: [] },
  {
    title: "two runs with one slot",
    workflow: "mortal-laned",
    input: (to) => ({ key: to.replace("-twin@", "@") }),
    calls: [],
    twin: true,
    trace: (ending) => ({
      ...traceOf(ending),
      overlaps: overlaps.filter((overlap) => overlap.includes(ending.run.id)),
    }),
  },
];

interrupted(programs);
