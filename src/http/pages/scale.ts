/**
 * Owns: the horizontal position of an instant in a timeline, in percent. Idle spans are folded: each gets a width by the
 * magnitude of its length, all of them together half of the total. The rest is proportional to its length, and never
 * stretched so much that milliseconds look longer than days beside them.
 */
import type { Timeline } from "../../core/timeline/timeline.ts";
import { spanText } from "./span.ts";

type Measures = Pick<Timeline, "startedAt" | "endedAt" | "idle">;

export type Fold = { readonly x: number; readonly width: number; readonly ms: number };

/** `level` 0 is always there; 1 from a zoom of 2 on, 2 from 4, and so on. */
export type Tick = { readonly x: number; readonly label: string; readonly level: number };

/** Percent: of all folds together. */
const maxFolded = 50;
/** Percent: beside a fold no millisecond is wider. */
const maxRate = 1;
/** Ticks across the width, at each zoom. */
const ticksAcross = 6;
const levels = 6;

export class Scale {
  readonly folds: readonly Fold[];
  readonly #measures: Measures;
  /** Percent for each millisecond that is not folded. */
  readonly #rate: number;
  readonly #busyMs: number;
  /** Percent that each fold takes. */
  readonly #widths: readonly number[];

  constructor(measures: Measures) {
    const { startedAt, endedAt, idle } = measures;
    this.#measures = measures;
    const lengths = idle.map(({ fromAt, untilAt }) => untilAt - fromAt);
    // A timeline of no length still needs a scale.
    this.#busyMs = Math.max(1, endedAt - startedAt - sum(lengths));
    const weights = lengths.map((ms) => weightOf(ms / this.#busyMs));
    const free = 100 - Math.min(maxFolded, (100 * sum(weights)) / (1 + sum(weights)));
    this.#rate = Math.min(free / this.#busyMs, idle.length === 0 ? Infinity : maxRate);
    const folded = 100 - this.#rate * this.#busyMs;
    this.#widths = weights.map((weight) => (folded * weight) / sum(weights));
    this.folds = idle.map(({ fromAt }, index) => {
      return { x: this.at(fromAt), width: this.#widths[index] ?? 0, ms: lengths[index] ?? 0 };
    });
  }

  /** Percent of the width. */
  at(instant: number): number {
    const { startedAt, endedAt, idle } = this.#measures;
    const clamped = Math.min(Math.max(instant, startedAt), endedAt);
    let foldedMs = 0;
    let folded = 0;
    for (const [index, { fromAt, untilAt }] of idle.entries()) {
      if (clamped <= fromAt) break;
      const share = Math.min(1, (clamped - fromAt) / Math.max(1, untilAt - fromAt));
      foldedMs += share * (untilAt - fromAt);
      folded += share * (this.#widths[index] ?? 0);
    }
    return Math.min(100, folded + (clamped - startedAt - foldedMs) * this.#rate);
  }

  /** The folds that a span goes through from end to end; by its instants, as places are rounded. */
  foldsWithin(fromInstant: number, untilInstant: number): Fold[] {
    const { idle } = this.#measures;
    return this.folds.filter((_, index) => {
      const { fromAt, untilAt } = idle[index] ?? { fromAt: -Infinity, untilAt: Infinity };
      return fromInstant <= fromAt && untilInstant >= untilAt;
    });
  }

  /** Marks of the ruler, by how long after the start they are; those that zooming adds have higher levels. */
  ticks(): Tick[] {
    const found = new Map<number, Tick>();
    for (let level = 0; level < levels; level++) {
      const wanted = this.#busyMs / (ticksAcross * 2 ** level);
      // No ticks below a millisecond.
      if (wanted < 1 && level > 0) break;
      const step = roundStep(wanted);
      for (const offset of this.#offsets(step)) {
        if (found.has(offset)) continue;
        found.set(offset, { x: this.at(this.#measures.startedAt + offset), label: spanText(offset), level });
      }
    }
    return [...found.values()].toSorted((one, other) => one.x - other.x);
  }

  /** Multiples of the step that are not inside a fold. */
  *#offsets(step: number): Generator<number> {
    const { startedAt, endedAt, idle } = this.#measures;
    const busy = [...idle.map(({ fromAt }) => fromAt), endedAt];
    let beginsAt = startedAt;
    for (const [index, untilAt] of busy.entries()) {
      const first = Math.ceil((beginsAt - startedAt) / step) * step;
      for (let offset = first; offset <= untilAt - startedAt; offset += step) yield offset;
      beginsAt = idle[index]?.untilAt ?? endedAt;
    }
  }
}

const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000];
const longSteps = [600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000, 604_800_000];

/** The next longer round length of time. */
function roundStep(ms: number): number {
  return [...steps, ...longSteps].find((step) => step >= ms) ?? Math.ceil(ms / 604_800_000) * 604_800_000;
}

/** What is longer than all that is not folded is only by its powers of ten wider than that. */
function weightOf(ratio: number): number {
  return ratio <= 1 ? ratio : 1 + Math.log10(ratio);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
