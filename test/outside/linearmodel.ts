/** What a run of the workflow `tally` may answer, as if its callers came one by one. */

export type Request =
  | { readonly call: "start"; readonly input: number }
  | { readonly call: "signal"; readonly key: string; readonly body: number }
  | { readonly call: "update"; readonly key: string; readonly body: number }
  | { readonly call: "pause" | "resume" | "cancel" | "terminate"; readonly key: string; readonly reason: string }
  /** The run as it is; `wait` makes it answer later. */
  | { readonly call: "read"; readonly wait: boolean }
  | { readonly call: "history" };

/** `code` of a refusal; else what the answer says of the run. */
export type Answer = { readonly status: number; readonly code: string; readonly said: unknown };

/** A run, by what was accepted of it, in order; null before its start. */
export type State = {
  readonly input: number;
  readonly log: readonly string[];
  /** What was done with each key. */
  readonly keys: Readonly<Record<string, string>>;
  readonly count: number;
  readonly paused: boolean;
  /** It was cancelled, and has not ended yet: it may at any moment. */
  readonly ending: boolean;
  readonly ended: boolean;
} | null;

type Run = NonNullable<State>;

/** The rule of {@link checkLinear}: by docs and contract alone. */
export function tally(state: State, request: Request, answer: Answer | null): readonly State[] {
  // A run that was cancelled may have ended since.
  const states = state !== null && state.ending ? [state, ended(state)] : [state];
  return states.flatMap((each) => {
    const made = perform(each, request);
    return made.flatMap(({ status, code, said, after }) => {
      if (answer === null) return [after];
      const isSame =
        answer.status === status && answer.code === code && (said === undefined || agrees(answer.said, said));
      return isSame ? [after] : [];
    });
  });
}

type Outcome = Answer & { readonly after: State };

function perform(state: State, request: Request): Outcome[] {
  if (request.call === "start") return [start(state, request.input)];
  if (state === null) return [refused(404, "run_not_found", state)];
  switch (request.call) {
    case "signal":
      return [signal(state, request.key, request.body)];
    case "update":
      return update(state, request.key, request.body);
    case "read":
      return [{ status: 200, code: "", said: statusOf(state), after: state }];
    case "history":
      return [{ status: 200, code: "", said: state.log, after: state }];
    default:
      return [act(state, request.call, request.key, request.reason)];
  }
}

function start(state: State, input: number): Outcome {
  const made = { input, log: [], keys: {}, count: 0, paused: false, ending: false, ended: false };
  if (state === null) return { status: 201, code: "", said: undefined, after: made };
  if (state.input !== input) return refused(409, "run_exists", state);
  return { status: 200, code: "", said: undefined, after: state };
}

function signal(state: Run, key: string, body: number): Outcome {
  const known = state.keys[`s ${key}`];
  if (known === String(body)) return { status: 202, code: "", said: true, after: state };
  if (known !== undefined) return refused(409, "idempotency_conflict", state);
  if (state.ended) return refused(409, "run_ended", state);
  const after = noted(state, `signal ${key} ${body}`, `s ${key}`, String(body));
  return { status: 202, code: "", said: false, after };
}

function update(state: Run, key: string, body: number): Outcome[] {
  const known = state.keys[`u ${key}`];
  if (known !== undefined) {
    const [argument, result] = known.split(" ");
    if (argument !== String(body)) return [refused(409, "idempotency_conflict", state)];
    return [{ status: 200, code: "", said: Number(result), after: state }];
  }
  if (state.ended || state.ending) return [refused(409, "run_ended", state)];
  if (state.paused) return [refused(409, "run_paused", state)];
  const count = state.count + 1;
  const after = { ...noted(state, `update ${key} ${body}`, `u ${key}`, `${body} ${count}`), count };
  return [{ status: 200, code: "", said: count, after }];
}

function act(state: Run, kind: "pause" | "resume" | "cancel" | "terminate", key: string, reason: string): Outcome {
  const known = state.keys[`a ${key}`];
  const own = `${kind} ${reason}`;
  const fine = (after: State): Outcome => ({ status: 200, code: "", said: undefined, after });
  if (known === own) return fine(state);
  if (known !== undefined) return refused(409, "idempotency_conflict", state);
  if (state.ended) return refused(409, "run_ended", state);
  const done = (log: string): Run => noted(state, log, `a ${key}`, own);
  // What changes nothing has used its key all the same.
  const idle = { ...state, keys: { ...state.keys, [`a ${key}`]: own } };
  switch (kind) {
    case "pause":
      return fine(state.paused ? idle : { ...done("paused"), paused: true });
    case "resume":
      return fine(state.paused ? { ...done("resumed"), paused: false } : idle);
    case "cancel":
      return fine(state.ending ? idle : { ...done("cancel_requested"), ending: true, paused: false });
    case "terminate":
      return fine({ ...done("cancelled"), ending: false, ended: true });
    default:
      return kind satisfies never;
  }
}

function noted(state: Run, log: string, key: string, what: string): Run {
  return { ...state, log: [...state.log, log], keys: { ...state.keys, [key]: what } };
}

function ended(state: Run): Run {
  return { ...state, log: [...state.log, "cancelled"], ending: false, ended: true };
}

function refused(status: number, code: string, after: State): Outcome {
  return { status, code, said: undefined, after };
}

function statusOf({ ended: over, paused }: Run): string {
  return over ? "cancelled" : paused ? "paused" : "open";
}

function agrees(seen: unknown, wanted: unknown): boolean {
  return JSON.stringify(seen) === JSON.stringify(wanted);
}
