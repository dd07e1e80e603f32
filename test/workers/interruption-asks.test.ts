/** Runs that are asked and told all along, and the examples that are, whose process ends wherever it can. */
import { is, outputOf, sent, updated } from "./driver.ts";
import type { Program, When } from "./driver.ts";
import { interrupted } from "./stage.ts";
import { mailsOf, traceOf } from "./trace.ts";

const answered =
  (name: string, times: number): When =>
  (_entry, _index, all) =>
    all.filter((entry) => entry.kind.startsWith("update.") && is("update.accepted", name)(entry)).length >= times;
const waits =
  (name: string, times = 1): When =>
  (_entry, _index, all) =>
    all.filter((entry) => is("wait.started", name)(entry)).length >= times;

const letters = ["Hello", "And again", "Still here"];

const programs: readonly Program[] = [
  {
    title: "updates, signals and queries",
    workflow: "mortal-asks",
    input: () => ({}),
    query: "lines",
    calls: [
      sent(is("run.started"), "note", { text: "early" }, "early"),
      updated(is("signal.consumed", "note"), "add", { item: "tea" }, "tea"),
      sent(is("run.started"), "note", { text: "between" }, "between"),
      updated(is("run.started"), "refuse", null, "refuse"),
      updated(answered("refuse", 1), "add", { item: "milk" }, "milk"),
      sent(is("run.started"), "note", { text: "late" }, "late"),
      updated((_entry, _index, all) => all.filter(is("signal.consumed", "note")).length === 3, "close", null, "close"),
    ],
  },
  {
    title: "signals that a schema takes its time over",
    workflow: "judged",
    input: () => ({}),
    calls: [
      sent(is("run.started"), "one", { n: 1 }, "one"),
      sent(waits("two"), "two", { n: 2 }, "two"),
      sent(is("signal.consumed", "one"), "one", { n: 3 }, "three"),
    ],
    trace: (ending) => {
      const { doubled, repeated } = traceOf(ending);
      return { status: ending.run.status, output: outputOf(ending.run), doubled, repeated };
    },
  },
  {
    title: "an approval that escalates and is delegated",
    workflow: "ask-approval",
    input: (to) => ({ what: "a boat", approver: to, manager: `r-${to}`, remindAfter: "40ms", escalateAfter: "40ms" }),
    query: "stage",
    calls: [
      updated(waits("decision", 3), "delegate", { to: "delegate@example.com" }, "delegate"),
      sent(is("run.started"), "decision", { approved: true, by: "boss@example.com" }, "decision"),
    ],
  },
  {
    title: "a campaign that somebody leaves",
    workflow: "drip",
    // Each letter is a run: where they come faster than the machine can send them, nobody gets to leave.
    input: (email) => ({ email, letters, pause: "2s" }),
    calls: [
      sent(
        (entry) => entry.kind === "run.created" && (entry.continuation?.count ?? 0) >= 2,
        "unsubscribe",
        {},
        "unsubscribe",
      ),
    ],
    // How many letters there are is told by chance; each is sent once, in its order.
    trace: (ending) => {
      const count = (outputOf(ending.run) as { letters: number }).letters;
      const expected = Array.from({ length: count }, (_unused, i) => `ID@example.com ${letters[i % letters.length]}`);
      const mails = mailsOf(ending.run.id);
      const { doubled, repeated } = traceOf(ending);
      const isRight = count >= 3 && JSON.stringify(mails) === JSON.stringify(expected);
      return { status: ending.run.status, isRight, wrong: isRight ? [] : mails, doubled, repeated };
    },
  },
  {
    title: "an agent that asks, pays and is cut short",
    workflow: "agent",
    input: () => ({
      task: ["search tea", "send-money 3 EUR", ...Array.from({ length: 6 }, (_unused, i) => `search ${i}`)].join("\n"),
      credits: 2,
    }),
    query: "notes",
    calls: [
      sent(waits("decision"), "decision", { approved: true, by: "ann" }, "decision"),
      sent(waits("credit"), "credit", { credits: 3 }, "first"),
      sent(waits("credit", 2), "credit", { credits: 20 }, "second"),
    ],
  },
];

interrupted(programs);
