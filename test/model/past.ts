/** What a run has on record that a handler that begins anew is given, in the model; and what a retry takes from it. */
import type { Call, Outcome } from "./call.ts";
import type { Seen } from "./disagreement.ts";

/** Something that the handler was told; `call` is null for an update. */
export type Told = { readonly entry: Seen; readonly call: Call | null; readonly outcome: Outcome | null };

/** A failure as it is stored. */
type Failure = {
  readonly code?: unknown;
  readonly step?: unknown;
  readonly errors?: readonly (Failure | null)[];
  readonly cause?: Failure;
};

export class Past {
  /** In the order of the entries. */
  told: Told[] = [];
  /** How often each step was undone, to be done again. */
  readonly times = new Map<string, number>();
  /** Undone since the run began, or was retried. */
  undone: string[] = [];
  /** What was said, but for what an undoing said. */
  #said: Seen[] = [];
  #isUndoing = false;

  see(entry: Seen): void {
    if (entry.kind === "undo.started" || entry.kind === "run.retried") this.#isUndoing = entry.kind === "undo.started";
    if (entry.kind === "log.written" && !this.#isUndoing) this.#said.push(entry);
  }

  tell(entry: Seen, call: Call | null): void {
    this.told.push({ entry, call, outcome: call?.outcome ?? null });
  }

  /** What is done once more: what the error tells of, whatever else failed behind it, and what was undone. */
  repeated(error: Failure): Set<string> {
    const failed = this.told.filter(isFailed);
    const told = toldOf(error, failed);
    const first = Math.min(...failed.filter(({ call }) => told.has(call.id)).map(({ entry }) => entry.seq));
    const behind = failed.filter(({ entry }) => told.size === 0 || entry.seq > first);
    return new Set([...told, ...behind.map(({ call }) => call.id), ...this.undone]);
  }

  /** Takes from it what is done once more. */
  clear(steps: ReadonlySet<string>): void {
    this.told = this.told.filter((told) => {
      const { call } = told;
      if (call === null || !steps.has(call.id)) return true;
      return !isFailed(told) && !(call.kind === "run" && this.undone.includes(call.id));
    });
    for (const step of this.undone) this.times.set(step, (this.times.get(step) ?? 0) + 1);
    this.undone = [];
  }

  /** Where the newest of them begin that may have come on record together: what is said from there on may be news. */
  get newest(): number {
    let index = this.told.length - 1;
    for (; index > 0; index--) {
      const [before, after] = [this.told[index - 1]?.entry, this.told[index]?.entry];
      if (before?.at !== after?.at || (before?.seq ?? 0) + 1 !== after?.seq) break;
    }
    return index;
  }

  /** Those of the lines that were not said behind all of them before. */
  news(lines: readonly unknown[]): unknown[] {
    const seq = this.told.at(-1)?.entry.seq ?? 0;
    const said = this.#said.filter((each) => each.seq > seq).map((each) => each["message"]);
    return lines.filter((line) => {
      const index = said.indexOf(line);
      if (index >= 0) said.splice(index, 1);
      return index < 0;
    });
  }
}

function isFailed(told: Told): told is Told & { readonly call: Call } {
  return /^(step|child)\.failed$/.test(told.entry.kind);
}

function toldOf(error: Failure, failed: readonly (Told & { readonly call: Call })[]): Set<string> {
  const all = [error, ...(error.errors ?? [])].filter((each) => each !== null);
  const own = all.flatMap(({ code, step }) => {
    const isTold = ({ id, name }: Call): boolean => (code === "map_failed" ? name : id) === step;
    return failed.filter(({ call }) => isTold(call)).map(({ call }) => call.id);
  });
  // What a child failed of are the child's own steps.
  const deeper = all.flatMap(({ code, cause }) =>
    cause === undefined || code === "child_failed" ? [] : [...toldOf(cause, failed)],
  );
  return new Set([...own, ...deeper]);
}
