/** Owns: which ticks of a timeline's ruler are drawn, and which of them have a label where there is little room. */
import type { Tick } from "./scale.ts";

/**
 * A tick as it is drawn. `fitsAt` is how often the zoom has doubled where there is room for its label on a small
 * screen; null where there never is.
 */
export type Label = Tick & { readonly fitsAt: number | null };

/**
 * The ticks that get a label: not those within a fold, and none whose text would be the same as that of another because a
 * fold of days lies between.
 */
export function readable(ticks: readonly Tick[]): Label[] {
  let last: Tick | null = null;
  const kept: Tick[] = [];
  for (const tick of ticks) {
    if (tick.label === last?.label) continue;
    if (tick.level === 0) {
      if (last !== null && tick.x - last.x < tickWidth) continue;
      last = tick;
    }
    kept.push(tick);
  }
  return fitted(kept);
}

/** Percent that a label takes on a large screen. */
const tickWidth = 8;

/** As far as the script zooms: 32 times. */
const furthest = 5;

/** The narrowest track, and what a letter takes on it, in CSS pixels. */
const narrowest = 170;
const letter = 6.5;
const margin = 10;

/** Each zoom adds labels between those that are there, as far as they do not touch. */
function fitted(ticks: readonly Tick[]): Label[] {
  const labels = ticks.map((tick) => ({ ...tick, fitsAt: null as number | null }));
  for (let zoom = 0; zoom <= furthest; zoom++) {
    let free = 0;
    for (const [index, label] of labels.entries()) {
      if (label.fitsAt === null && label.level <= zoom && label.x >= free) {
        const next = labels.slice(index + 1).find(({ fitsAt }) => fitsAt !== null)?.x ?? 100;
        if (label.x + widthOf(label, zoom) <= next) label.fitsAt = zoom;
      }
      if (label.fitsAt !== null) free = label.x + widthOf(label, zoom);
    }
  }
  return labels;
}

/** Percent of the whole width at that zoom. */
function widthOf({ label }: Tick, zoom: number): number {
  return (100 * (label.length * letter + margin)) / (narrowest * 2 ** zoom);
}
