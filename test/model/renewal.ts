/** How a run goes on as new, in the model: when it must, and what of the lives before is left. */
import { claim, same } from "./disagreement.ts";
import type { Seen } from "./disagreement.ts";
import type { Input } from "./program.ts";

type Keyed = { readonly key: string };

type Continuation = {
  readonly count: number;
  readonly createdAt: number;
  readonly keys: readonly Keyed[];
  readonly updates?: readonly Keyed[];
  readonly actions?: readonly Keyed[];
};

const actions = /^run\.(paused|resumed|retried|cancel_requested|action_noted)$/;

export class Renewal {
  /** How many lives went before. */
  #count = 0;
  #first: Seen | null = null;
  #life: Seen | null = null;
  #asked: { readonly input: Input; readonly at: number } | null = null;
  #refusals: ((error: unknown) => void)[] = [];
  /** Signals that go along, and are not on record again yet. */
  #along: Seen[] = [];
  /** What was accepted under a key, in all lives. */
  readonly #signals = new Set<string>();
  readonly #updates = new Map<unknown, string>();
  readonly #ended = new Set<string>();
  readonly #actions = new Set<string>();

  /** The handler wants it, and nothing else any more. */
  get isAsked(): boolean {
    return this.#asked !== null;
  }

  /** Of two, the first counts. */
  ask(input: Input, at: number): Promise<never> {
    return new Promise((_resolve, reject) => {
      // As it is now: the handler may yet change what it gave.
      this.#asked ??= { input: structuredClone(input), at };
      this.#refusals.push(reject);
    });
  }

  /** The run was cancelled: the handler is to clean up instead. */
  refuse(error: unknown): void {
    this.#asked = null;
    for (const refuse of this.#refusals.splice(0)) refuse(error);
  }

  /** A run that nothing holds back goes on as new at once. */
  overdue(at: number, resumedAt: number, slackMs: number): void {
    const dueAt = this.#asked === null ? Infinity : Math.max(this.#asked.at, resumedAt);
    claim(at <= dueAt + slackMs, `the run should have gone on as new at ${dueAt}`);
  }

  /** Takes note of what is to be known in the next life. */
  see(entry: Seen): void {
    const { kind, key, update } = entry;
    this.#first ??= entry;
    this.#life ??= entry;
    if (entry["carried"] !== true) claim(this.#along.length === 0, "a signal was lost");
    else if (kind === "signal.received") this.#carry(entry);
    if (kind === "update.completed" || kind === "update.failed") this.#end(update);
    if (typeof key !== "string") return;
    if (kind === "signal.received") this.#signals.add(key);
    if (kind === "update.accepted") this.#updates.set(update, key);
    if (actions.test(kind)) this.#actions.add(key);
  }

  /**
   * The next life begins.
   * @param inbox signals that nobody consumed
   * @returns its input
   */
  begin(entry: Seen, inbox: readonly Seen[]): Input {
    const asked = this.#asked;
    claim(asked !== null, "nobody asked it to go on as new");
    claim(entry.at > (this.#life?.at ?? 0), "two lives were created at one instant");
    same(entry["input"], asked?.input, "the input of the next life");
    const { count, createdAt, keys, updates = [], actions: acted = [] } = entry["continuation"] as Continuation;
    same([count, createdAt], [++this.#count, this.#first?.at], "which life of which run it is");
    const along = new Set(inbox.map(({ key }) => key));
    sameKeys(
      keys,
      [...this.#signals].filter((key) => !along.has(key)),
      "signals that came",
    );
    sameKeys(updates, [...this.#ended], "updates that have ended");
    sameKeys(acted, [...this.#actions], "actions");
    [this.#life, this.#asked, this.#refusals, this.#along] = [entry, null, [], [...inbox]];
    return asked?.input as Input;
  }

  /** Signals go along in the order in which they came. */
  #carry(entry: Seen): void {
    const next = this.#along.shift();
    const told = ({ kind, name, payload, key, by }: Seen): unknown => [kind, name, payload, key, by];
    same(told(entry), next === undefined ? null : told(next), "what goes along");
  }

  #end(update: unknown): void {
    const key = this.#updates.get(update);
    if (key !== undefined) this.#ended.add(key);
  }
}

function sameKeys(seen: readonly Keyed[], wanted: readonly string[], what: string): void {
  same(seen.map(({ key }) => key).toSorted(), wanted.toSorted(), `the keys that are known of ${what}`);
}
