/** Makes the story of one call, all that is recorded of it, from its run's journal. */
import type { Entry } from "../history/entry.ts";
import type { StoredError } from "../error.ts";
import type { BarKind, Story } from "./timeline.ts";
import type { Stored } from "../value/value.ts";
import { Bars } from "./bars.ts";
import { placeOf } from "./calls.ts";
import { brief, toBar } from "./chart.ts";
import type { Present } from "./chart.ts";
import { keyOf } from "./draft.ts";
import type { Draft } from "./draft.ts";

const maxAttempts = 200;
/** Characters of errors that are kept whole, the newest first; older ones are kept without stacks and causes. */
const maxErrors = 2_000_000;

/** If an id belongs to bars of several kinds, the first of these is meant. */
const preferred: readonly BarKind[] = ["run", "child", "wait", "webhook", "sleep", "undo", "update", "lane"];

/**
 * Reads all entries once, oldest first. Null where there is no such bar. The input of a child is not in this journal, and
 * null here.
 * @param key of a bar, or the id of a call
 */
export function storyOf(entries: Iterable<Entry>, present: Present, key: string): Omit<Story, "idempotencyKey"> | null {
  const keys = [key, ...preferred.map((kind) => keyOf(kind, key))];
  const wanted = new Set(keys);
  const bars = new Bars((of, error) => (wanted.has(of) ? error : brief(error)));
  const values = new Values(wanted);
  for (const entry of entries) {
    bars.add(entry);
    values.add(entry);
  }
  bars.underway(present.underway);
  const found = keys.find((each) => bars.all.has(each));
  const draft = found === undefined ? undefined : bars.all.get(found);
  if (draft === undefined) return null;
  const drafts = bars.sorted();
  const place = placeOf(drafts, draft);
  const bar = toBar({ ...draft, attempts: withinBudget(draft.attempts) }, drafts.indexOf(draft), maxAttempts);
  const { input = null, output = null, sensitive = false } = values.of.get(draft.key) ?? {};
  // A result from before a retry cleared the call no longer counts.
  return { bar, place, input, output: sensitive || bar.status === "open" ? null : output, sensitive };
}

function withinBudget(attempts: Draft["attempts"]): Draft["attempts"] {
  let left = maxErrors;
  const kept = attempts.toReversed().map((attempt) => {
    if (attempt.error === null) return attempt;
    left -= sizeOf(attempt.error);
    return left >= 0 ? attempt : { ...attempt, error: brief(attempt.error) };
  });
  return kept.toReversed();
}

function sizeOf({ message, stack = "", cause, errors = [] }: StoredError): number {
  const inner = [...(cause === undefined ? [] : [cause]), ...errors];
  return 100 + message.length + stack.length + inner.reduce((sum, error) => sum + sizeOf(error), 0);
}

type Given = { readonly input?: Stored | null; readonly output?: Stored | null; readonly sensitive?: boolean };

/** Inputs and results of the wanted calls. */
class Values {
  readonly of = new Map<string, Given>();
  readonly #wanted: ReadonlySet<string>;
  /** Payloads of signals that were not consumed yet, by `seq`. */
  readonly #signals = new Map<number, Stored>();

  constructor(wanted: ReadonlySet<string>) {
    this.#wanted = wanted;
  }

  add(entry: Entry): void {
    switch (entry.kind) {
      case "signal.received":
        this.#signals.set(entry.seq, entry.payload);
        return;
      case "signal.consumed": {
        const output = entry.value ?? this.#signals.get(entry.signal) ?? null;
        this.#signals.delete(entry.signal);
        return entry.listener === true ? undefined : this.#note(keyOf("wait", entry.call), { output });
      }
      case "step.completed":
        return this.#note(keyOf("run", entry.step), { output: entry.result, sensitive: entry.sensitive === true });
      case "child.completed":
        return this.#note(keyOf("child", entry.step), { output: entry.output });
      case "webhook.received":
        return this.#note(keyOf("webhook", entry.call), { output: entry.request });
      case "update.accepted":
        return this.#note(keyOf("update", entry.update), { input: entry.sent ?? entry.argument });
      case "update.completed":
        return this.#note(keyOf("update", entry.update), { output: entry.result });
      default:
        return;
    }
  }

  #note(key: string, given: Given): void {
    if (this.#wanted.has(key)) this.of.set(key, { ...this.of.get(key), ...given });
  }
}
