/** What the API has acknowledged, and so must still hold: guarantee 1 as a model that a fuzzer keeps beside it. */

type Write<Value> = { readonly value: Value; readonly begin: number; readonly end: number; readonly isSure: boolean };

/** One thing that several clients write at a time. Which write was the last is not always known from outside. */
export class Register<Value> {
  readonly #clock: Clock;
  readonly #writes: Write<Value>[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @param begin the clock's tick before the call
   * @param isSure false where the answer did not say whether it was written
   */
  note(value: Value, begin: number, isSure = true): void {
    this.#writes.push({ value, begin, end: this.#clock.tick(), isSure });
  }

  /** Whether it may ever have held this. */
  has(value: Value): boolean {
    return this.#writes.some((write) => write.value === value);
  }

  /** What it may hold now: whatever no later acknowledged write has surely replaced. */
  candidates(): Value[] {
    const last = Math.max(-1, ...this.#writes.filter(({ isSure }) => isSure).map(({ begin }) => begin));
    const possible = this.#writes.filter(({ isSure, end }) => !isSure || end >= last);
    return [...new Set(possible.map(({ value }) => value))];
  }

  /** The one thing it must hold; undefined where there are several, or none. */
  certain(): Value | undefined {
    const values = this.candidates();
    return values.length === 1 ? values[0] : undefined;
  }
}

export class Clock {
  #now = 0;

  tick(): number {
    return ++this.#now;
  }
}

export type Presence = "there" | "gone";

/** A run that a 2xx answer spoke of. */
export type KnownRun = {
  readonly id: string;
  readonly presence: Register<Presence>;
  /** As the answers showed the newest run of this id. */
  readonly workflow: string;
  readonly input: unknown;
  readonly createdAt: string;
};

/** A message with a text of its own, by which it is found again. */
export type Sent = { readonly run: string; readonly kind: string; readonly tag: string; isKept: boolean };

export class Model {
  readonly clock = new Clock();
  readonly runs = new Map<string, KnownRun>();
  readonly schedules = new Map<string, { presence: Register<Presence>; cron: Register<string> }>();
  readonly lanes = new Map<string, Register<number | null>>();
  readonly sent: Sent[] = [];
  /** How often all objects were ended, and whether they just are. */
  storms = 0;
  isStormy = false;

  /** Counts as written, because the answer showed it. One that was deleted may have made room for another run. */
  see(run: Omit<KnownRun, "presence">): KnownRun {
    const before = this.runs.get(run.id);
    const isOld = before !== undefined && run.createdAt <= before.createdAt;
    if (isOld || before?.presence.has("gone") === false) return before;
    const known = { ...run, presence: before?.presence ?? new Register<Presence>(this.clock) };
    this.runs.set(run.id, known);
    // What the one before was told is gone with it.
    for (const sent of before === undefined ? [] : this.sent) if (sent.run === run.id) sent.isKept = false;
    return known;
  }

  schedule(id: string) {
    const known = this.schedules.get(id) ?? {
      presence: new Register<Presence>(this.clock),
      cron: new Register<string>(this.clock),
    };
    this.schedules.set(id, known);
    return known;
  }

  lane(name: string): Register<number | null> {
    const known = this.lanes.get(name) ?? new Register<number | null>(this.clock);
    this.lanes.set(name, known);
    return known;
  }
}
