/**
 * Whether what concurrent clients were answered can be explained by their calls having taken effect one by one,
 * each at an instant between its invocation and its response (Herlihy and Wing, "Linearizability: a correctness
 * condition for concurrent objects", 1990). A search over all orders, which never looks twice at the same calls
 * done with the same state (Wing and Gong, "Testing and verifying concurrent objects", 1993; Lowe, "Testing for
 * linearizability", 2017).
 */

/** One call. A client that got no answer does not know whether it took effect: `answer` is null, `until` Infinity. */
export type Operation<Request, Answer> = {
  readonly request: Request;
  readonly answer: Answer | null;
  readonly from: number;
  readonly until: number;
};

/** What may be answered: the states that the call may leave behind, none where it cannot be answered like this. */
export type Rule<State, Request, Answer> = (state: State, request: Request, answer: Answer | null) => readonly State[];

export type Verdict<Request, Answer> =
  | { readonly ok: true; readonly states: number }
  /** `done` is the longest order that explains as many calls as can be explained; `stuck` those that could be next. */
  | {
      readonly ok: false;
      readonly done: readonly Operation<Request, Answer>[];
      readonly stuck: readonly Operation<Request, Answer>[];
    };

/** @param initial plain data: two states are one if they are the same as JSON */
export function checkLinear<State, Request, Answer>(
  operations: readonly Operation<Request, Answer>[],
  initial: State,
  rule: Rule<State, Request, Answer>,
): Verdict<Request, Answer> {
  const search = new Search(operations, rule);
  if (search.run(initial, [])) return { ok: true, states: search.seen };
  return { ok: false, done: search.longest, stuck: search.next(new Set(search.longest)) };
}

class Search<State, Request, Answer> {
  longest: readonly Operation<Request, Answer>[] = [];
  readonly #operations: readonly Operation<Request, Answer>[];
  readonly #rule: Rule<State, Request, Answer>;
  readonly #done = new Set<Operation<Request, Answer>>();
  readonly #known = new Set<string>();

  constructor(operations: readonly Operation<Request, Answer>[], rule: Rule<State, Request, Answer>) {
    this.#operations = operations.toSorted((one, other) => one.from - other.from);
    this.#rule = rule;
  }

  /** How many places it has looked at. */
  get seen(): number {
    return this.#known.size;
  }

  /** Whether the calls that are left can follow. Those without an answer may have had no effect at all. */
  run(state: State, order: readonly Operation<Request, Answer>[]): boolean {
    if (order.length > this.longest.length) this.longest = order;
    if (this.#operations.every((each) => each.answer === null || this.#done.has(each))) return true;
    const done = this.#operations.map((each) => (this.#done.has(each) ? "1" : "0")).join("");
    const text = JSON.stringify(state);
    const place = `${done} ${text}`;
    if (this.#known.has(place)) return false;
    this.#known.add(place);
    for (const operation of this.next(this.#done)) {
      this.#done.add(operation);
      const states = this.#rule(state, operation.request, operation.answer);
      // Without an answer and without an effect, it need not have taken place.
      const after = operation.answer === null ? states.filter((each) => JSON.stringify(each) !== text) : states;
      if (after.some((each) => this.run(each, [...order, operation]))) return true;
      this.#done.delete(operation);
    }
    return false;
  }

  /** Calls that no other has to come before: none that is left was answered before they were made. */
  next(done: ReadonlySet<Operation<Request, Answer>>): Operation<Request, Answer>[] {
    const left = this.#operations.filter((each) => !done.has(each));
    const answeredAt = left.reduce((first, { until }) => Math.min(first, until), Infinity);
    return left.filter(({ from }) => from <= answeredAt);
  }
}
