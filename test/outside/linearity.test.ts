/** The check of linearizability can fail: histories that are known to be good, and others that are known to be bad. */
import { describe, expect, test } from "vitest";
import { createRandom } from "../../src/core/random.ts";
import { checkLinear } from "./linearity.ts";
import type { Operation } from "./linearity.ts";
import { tally } from "./linearmodel.ts";
import type { Answer, Request, State } from "./linearmodel.ts";

type Recorded = Operation<Request, Answer>;

/** @param code of a refusal */
function call(
  from: number,
  until: number,
  request: Request,
  status: number,
  said: unknown = null,
  code = "",
): Recorded {
  return { request, answer: { status, code, said }, from, until };
}

function unanswered(from: number, request: Request): Recorded {
  return { request, answer: null, from, until: Infinity };
}

const isLinear = (operations: readonly Recorded[]): boolean =>
  checkLinear<State, Request, Answer>(operations, null, tally).ok;

const started = call(0, 1, { call: "start", input: 1 }, 201);
const signal = (key: string, body = 1): Request => ({ call: "signal", key, body });
const add = (key: string, body = 1): Request => ({ call: "update", key, body });
const history: Request = { call: "history" };
const cancel: Request = { call: "cancel", key: "c", reason: "" };

const good: Readonly<Record<string, readonly Recorded[]>> = {
  "nothing at all": [],
  "two starts at once, one of which finds the run": [
    call(0, 9, { call: "start", input: 1 }, 200),
    call(1, 8, { call: "start", input: 1 }, 201),
  ],
  "reads that overlap a signal, one before it and one behind it": [
    started,
    call(2, 9, signal("a"), 202, false),
    call(3, 5, history, 200, []),
    call(4, 6, history, 200, ["signal a 1"]),
  ],
  "a call without an answer that took effect late": [
    started,
    unanswered(2, signal("a")),
    call(3, 4, history, 200, []),
    call(5, 6, history, 200, ["signal a 1"]),
  ],
  "a call without an answer that had no effect": [started, unanswered(2, signal("a")), call(3, 4, history, 200, [])],
  "a repetition of a call without an answer": [started, unanswered(2, signal("a")), call(3, 4, signal("a"), 202, true)],
  "a run that is cancelled ends at some moment": [
    started,
    call(2, 3, cancel, 200),
    call(4, 5, signal("a"), 202, false),
    call(6, 7, signal("b"), 409, null, "run_ended"),
    call(8, 9, history, 200, ["cancel_requested", "signal a 1", "cancelled"]),
  ],
};

const bad: Readonly<Record<string, readonly Recorded[]>> = {
  "an update counted twice, behind so many reads without an answer that their orders could not all be tried": [
    started,
    ...Array.from({ length: 30 }, (_, from) => unanswered(2 + from, history)),
    call(40, 41, add("a"), 200, 2),
  ],
  "a run that is there before it was started": [
    call(0, 1, history, 200, []),
    call(2, 3, { call: "start", input: 1 }, 201),
  ],
  "two starts that both make the run": [
    call(0, 9, { call: "start", input: 1 }, 201),
    call(1, 8, { call: "start", input: 1 }, 201),
  ],
  "another input that is let pass": [started, call(2, 3, { call: "start", input: 2 }, 200)],
  "an accepted signal that a later read does not show": [
    started,
    call(2, 3, signal("a"), 202, false),
    call(4, 5, history, 200, []),
  ],
  "a read that shows what a later one does not": [
    started,
    call(2, 9, signal("a"), 202, false),
    call(3, 4, history, 200, ["signal a 1"]),
    call(5, 6, history, 200, []),
  ],
  "one key that is new twice": [started, call(2, 5, signal("a"), 202, false), call(3, 6, signal("a"), 202, false)],
  "one key with two bodies": [started, call(2, 3, signal("a", 1), 202, false), call(4, 5, signal("a", 2), 202, false)],
  "two updates with one result": [started, call(2, 5, add("a"), 200, 1), call(3, 6, add("b"), 200, 1)],
  "an update that is lost": [started, call(2, 3, add("a"), 200, 1), call(4, 5, add("b"), 200, 1)],
  "a signal after the end": [
    started,
    call(2, 3, { call: "terminate", key: "t", reason: "" }, 200),
    call(4, 5, signal("a"), 202, false),
  ],
  "a run that ends and goes on": [
    started,
    call(2, 3, cancel, 200),
    call(4, 5, signal("a"), 409, null, "run_ended"),
    call(6, 7, signal("b"), 202, false),
  ],
  "an update while the run is paused": [
    started,
    call(2, 3, { call: "pause", key: "p", reason: "" }, 200),
    call(4, 5, add("a"), 200, 1),
  ],
  "reads that do not agree on the order": [
    started,
    call(2, 9, signal("a"), 202, false),
    call(2, 9, signal("b"), 202, false),
    call(3, 4, history, 200, ["signal a 1", "signal b 1"]),
    call(5, 6, history, 200, ["signal b 1", "signal a 1"]),
  ],
  "a call without an answer that took effect twice": [started, unanswered(2, add("a")), call(3, 4, add("b"), 200, 3)],
  "a call that is undone by nobody": [
    started,
    unanswered(2, signal("a")),
    call(3, 4, history, 200, ["signal a 1"]),
    call(5, 6, history, 200, []),
  ],
};

describe("the check of linearizability", () => {
  test.each(Object.entries(good))("lets pass %s", (_name, operations) => {
    expect(isLinear(operations)).toBe(true);
  });

  test.each(Object.entries(bad))("finds %s", (_name, operations) => {
    expect(isLinear(operations)).toBe(false);
  });

  test("lets pass what a real order makes, however the intervals overlap, and finds a change to one answer", () => {
    let found = 0;
    for (let seed = 1; seed <= 200; seed++) {
      const random = createRandom(`linearity ${seed}`);
      const operations = inOrder((limit) => Math.floor(random.next() * limit));
      expect([seed, isLinear(operations)]).toEqual([seed, true]);
      const at = operations.findIndex(({ request, answer }) => request.call === "history" && answer?.status === 200);
      const read = operations[at];
      if (read === undefined || read.answer === null) continue;
      const said = [...(read.answer.said as readonly string[]), "signal nobody 1"];
      const changed = operations.with(at, { ...read, answer: { ...read.answer, said } });
      expect([seed, isLinear(changed)]).toEqual([seed, false]);
      found++;
    }
    expect(found).toBeGreaterThan(100);
  });
});

/** Calls that took effect one by one, at the whole instants, each in an interval around it. */
function inOrder(below: (limit: number) => number): Recorded[] {
  let state: State = null;
  return Array.from({ length: 20 }, (_, at) => {
    const requests: readonly Request[] = [
      at === 0 ? { call: "start", input: 1 } : history,
      signal(`s${below(6)}`, below(2)),
      add(`u${below(6)}`, below(2)),
      history,
      { call: below(2) === 0 ? "pause" : "resume", key: `a${below(9)}`, reason: "" },
    ];
    const request = requests[at === 0 ? 0 : below(requests.length)] ?? history;
    const [answer, after] = answerTo(state, request);
    state = after;
    return { request, answer, from: at - below(30) / 10, until: at + below(30) / 10 };
  });
}

/** The one answer that the rule lets pass. */
function answerTo(state: State, request: Request): [Answer, State] {
  const said = [null, true, false, state?.log ?? null, ...Array.from({ length: 21 }, (_, count) => count)];
  const codes = ["", "run_not_found", "idempotency_conflict", "run_ended", "run_paused", "run_exists"];
  for (const status of [200, 201, 202, 404, 409]) {
    for (const code of codes) {
      for (const each of said) {
        const answer: Answer = { status, code, said: each };
        const [after] = tally(state, request, answer);
        if (after !== undefined) return [answer, after];
      }
    }
  }
  throw new Error(`no answer to ${JSON.stringify(request)}`);
}
