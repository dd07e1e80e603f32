/** Runs that fan out, race, go on as new, change their code and share a lane, whose process ends wherever it can. */
import { overlaps } from "./flows/mortal.ts";
import { is, outputOf, sent } from "./play.ts";
import type { Call, Program, When } from "./play.ts";
import { interrupted } from "./stage.ts";
import { deedsOf, traceOf } from "./trace.ts";

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
    title: "a change of its code as its process ends",
    workflow: "mortal-changed",
    input: () => ({}),
    calls: [],
    // Which side it takes depends on where it was by then; it is one, to the end.
    trace: (ending) => {
      const [first, second] = outputOf(ending.run) as boolean[];
      const { doubled } = traceOf(ending);
      const done = new Set(deedsOf(ending.run.id).map(({ step }) => step));
      const side = first ? ["before", "new", "new#2"] : ["before", "old", "old#2"];
      return {
        status: ending.run.status,
        same: first === second,
        doubled,
        others: [...done].filter((step) => !side.includes(step)),
        missing: side.filter((step) => !done.has(step)),
      };
    },
  },
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
