/** The axes of charts: round steps, and the labels of their ticks. */

/** The most steps from 0 to the largest value. */
const mostSteps = 4;

/** A step of 1, 2 or 5 times a power of ten. */
function roundStep(largest: number): number {
  const rough = largest / mostSteps;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10;
  return step * power;
}

/** Counts from 0 to at least `largest`, in whole steps. */
export function countTicks(largest: number): readonly number[] {
  return upTo(largest, Math.max(1, roundStep(Math.max(largest, 1))));
}

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const spans = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map((factor) => factor * second),
  ...[1, 2, 5, 10, 15, 30].map((factor) => factor * minute),
  ...[1, 2, 4, 6, 12].map((factor) => factor * hour),
  ...[1, 2, 5, 10, 20, 50].map((factor) => factor * day),
];

/** Durations from 0 to at least `largest`, in steps of seconds, minutes and hours. In ms. */
export function spanTicks(largest: number): readonly number[] {
  const rough = Math.max(largest, 1) / mostSteps;
  return upTo(largest, spans.find((span) => span >= rough) ?? roundStep(largest / day) * day);
}

function upTo(largest: number, step: number): readonly number[] {
  const steps = Math.max(1, Math.ceil(largest / step));
  return Array.from({ length: steps + 1 }, (_, index) => index * step);
}

/** `1 s`, `30 min`, `4 h`: a tick has one unit. */
export function tickText(ms: number): string {
  if (ms === 0) return "0";
  if (ms < second) return `${ms} ms`;
  if (ms < minute) return `${ms / second} s`;
  if (ms < hour) return `${ms / minute} min`;
  return ms < day ? `${ms / hour} h` : `${Math.round(ms / day)} d`;
}

/** `98.2 %`; 100 % and 0 % only where they are exact. */
export function shareText(share: number | null): string {
  if (share === null) return "–";
  const percent = share * 100;
  const shown = share < 1 && percent > 99.9 ? 99.9 : share > 0 && percent < 0.1 ? 0.1 : Math.round(percent * 10) / 10;
  return `${shown} %`;
}

/** `12,345` */
export function countText(count: number): string {
  return count.toLocaleString("en");
}
