/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/**
 * Owns: charts, drawn on the server as SVG that stretches with the page; text is HTML beside it, so that it does not stretch.
 * For screen readers the same numbers are in a table.
 */
import type { PropsWithChildren } from "hono/jsx";
import type { Durations, SliceCounts, StatsSlice } from "../../core/stats/stats.ts";
import { Instant } from "./instant.tsx";
import { countText, countTicks, spanTicks, tickText } from "./axis.ts";
import { spanText } from "./span.ts";
import { total } from "./spark.tsx";

/** In the picture's own units. */
const width = 1000;
const height = 200;

const outcomes = ["completed", "failed", "cancelled", "open"] as const;

type SlicesProps = {
  readonly slices: readonly StatsSlice[];
  readonly sliceMs: number;
  /** Where the runs of a slice are listed. */
  readonly href: (from: number, until: number) => string;
};

/** How many runs were created in each slice, by their status. */
export function OutcomeChart({ slices, sliceMs, href }: SlicesProps) {
  const ticks = countTicks(Math.max(...slices.map(total)));
  const top = ticks.at(-1) ?? 1;
  const step = width / slices.length;
  return (
    <figure class="chart">
      <Legend names={outcomes} />
      <Plot ticks={ticks} text={countText} slices={slices} sliceMs={sliceMs}>
        {slices.map((slice, index) => {
          const label = outcomes.map((name) => `${slice[name]} ${name}`).join(", ");
          return (
            <a
              class="slice"
              href={href(slice.at, slice.at + sliceMs)}
              tabindex={-1}
              data-at={slice.at}
              data-text={label}
            >
              <rect class="slice-area" x={round(index * step)} y={0} width={round(step)} height={height} />
              <Stack slice={slice} x={index * step + step * 0.12} size={step * 0.76} scale={height / top} />
            </a>
          );
        })}
      </Plot>
      <ChartTable slices={slices} sliceMs={sliceMs} />
    </figure>
  );
}

type StackProps = { readonly slice: SliceCounts; readonly x: number; readonly size: number; readonly scale: number };

/** The outcomes of a slice, stacked; each that is not 0 has a visible height. */
function Stack({ slice, x, size, scale }: StackProps) {
  let y = height;
  return (
    <>
      {outcomes.map((name) => {
        if (slice[name] === 0) return null;
        const tall = Math.max(slice[name] * scale, 2);
        y -= tall;
        return <rect class={`tone-${name}`} x={round(x)} y={round(y)} width={round(size)} height={round(tall)} />;
      })}
    </>
  );
}

/** How long runs took: the median and the 95th percentile. */
export function DurationChart({ slices, sliceMs, href }: SlicesProps) {
  const ticks = spanTicks(Math.max(0, ...slices.map(({ durations }) => durations?.p95 ?? 0)));
  const top = ticks.at(-1) ?? 1;
  const step = width / slices.length;
  const points = (name: "p50" | "p95"): (Point | null)[] =>
    slices.map(({ durations }, index) =>
      durations === null ? null : { x: (index + 0.5) * step, y: height - (durations[name] / top) * height },
    );
  return (
    <figure class="chart">
      <Legend names={["p95", "p50"]} />
      <Plot ticks={ticks} text={tickText} slices={slices} sliceMs={sliceMs}>
        {(["p95", "p50"] as const).map((name) => (
          <>
            <path class={`area tone-${name}`} d={areaOf(points(name))} />
            <path class={`line tone-${name}`} d={lineOf(points(name), step)} />
          </>
        ))}
        {slices.map(({ at, durations }, index) => (
          <a class="slice" href={href(at, at + sliceMs)} tabindex={-1} data-at={at} data-text={durationText(durations)}>
            <rect class="slice-area" x={round(index * step)} y={0} width={round(step)} height={height} />
          </a>
        ))}
      </Plot>
    </figure>
  );
}

function durationText(durations: Durations | null): string {
  return durations === null ? "no run has ended" : `p50 ${spanText(durations.p50)}, p95 ${spanText(durations.p95)}`;
}

type Point = { readonly x: number; readonly y: number };

/** The line in segments, which end where a slice has no value. */
function stretches(points: readonly (Point | null)[]): Point[][] {
  const found: Point[][] = [];
  let isOpen = false;
  for (const point of points) {
    if (point !== null && isOpen) found.at(-1)?.push(point);
    else if (point !== null) found.push([point]);
    isOpen = point !== null;
  }
  return found;
}

/** A point without neighbours is a short dash. */
function lineOf(points: readonly (Point | null)[], step: number): string {
  return stretches(points)
    .map((stretch) => {
      const [first] = stretch;
      if (first !== undefined && stretch.length === 1)
        return `M${round(first.x - step * 0.3)} ${round(first.y)}h${round(step * 0.6)}`;
      return `M${stretch.map(({ x, y }) => `${round(x)} ${round(y)}`).join("L")}`;
    })
    .join("");
}

function areaOf(points: readonly (Point | null)[]): string {
  return stretches(points)
    .filter((stretch) => stretch.length > 1)
    .map((stretch) => {
      const [first, last] = [stretch[0], stretch.at(-1)];
      const line = stretch.map(({ x, y }) => `${round(x)} ${round(y)}`).join("L");
      return `M${round(first?.x ?? 0)} ${height}L${line}L${round(last?.x ?? 0)} ${height}Z`;
    })
    .join("");
}

type PlotProps = PropsWithChildren<{
  readonly ticks: readonly number[];
  readonly text: (tick: number) => string;
  readonly slices: readonly StatsSlice[];
  readonly sliceMs: number;
}>;

/** The picture with its axes. The script shows beside the legend what the pointer is at. */
function Plot({ ticks, text, slices, sliceMs, children }: PlotProps) {
  const top = ticks.at(-1) ?? 1;
  return (
    <div class="plot" data-chart data-slice={String(sliceMs)}>
      <div class="plot-scale" aria-hidden="true">
        {ticks.toReversed().map((tick) => (
          <span>{text(tick)}</span>
        ))}
      </div>
      <svg
        class="plot-picture"
        viewBox={`0 0 ${width} ${height}`}
        preserveAspectRatio="none"
        aria-hidden="true"
        focusable="false"
      >
        {ticks.map((tick) => {
          const y = round(height - (tick / top) * height);
          return <line class="grid" x1={0} x2={width} y1={y} y2={y} />;
        })}
        {children}
      </svg>
      <Hours slices={slices} sliceMs={sliceMs} />
    </div>
  );
}

const hour = 3_600_000;
const spacings = [
  ...[1 / 12, 1 / 6, 1 / 4, 1 / 2, 1, 2, 3, 6, 12, 24].map((factor) => factor * hour),
  ...[2, 5, 7, 14, 30].map((factor) => factor * 24 * hour),
];
const marks = 8;
/** On a small screen a label further right would leave the card. */
const lateShare = 0.8;

/** Instants under the picture, at round distances, each under the slice that begins with it. */
function Hours({ slices, sliceMs }: { readonly slices: readonly StatsSlice[]; readonly sliceMs: number }) {
  const whole = slices.length * sliceMs;
  const spacing = spacings.find((each) => each * marks >= whole && each % sliceMs === 0) ?? whole;
  const last = slices.length - (spacing / sliceMs) * 0.4;
  return (
    <div class="plot-hours" aria-hidden="true">
      {slices.map(({ at }, index) => (
        <span class={index > lateShare * slices.length ? "is-late" : undefined}>
          {at % spacing === 0 && index <= last ? (
            <Instant at={at} form={spacing >= 24 * hour ? "day" : "hour"} />
          ) : null}
        </span>
      ))}
    </div>
  );
}

function Legend({ names }: { readonly names: readonly string[] }) {
  return (
    <div class="legend">
      {names.map((name) => (
        <span class="legend-item">
          <svg width="10" height="10" viewBox="0 0 10 10" aria-hidden="true">
            <rect class={`tone-${name}`} width="10" height="10" rx="2" />
          </svg>
          {name}
        </span>
      ))}
      <span class="legend-read" data-read aria-hidden="true"></span>
    </div>
  );
}

/** The numbers of both charts, without the slices in which nothing began. */
function ChartTable({ slices, sliceMs }: { readonly slices: readonly StatsSlice[]; readonly sliceMs: number }) {
  const filled = slices.filter((slice) => total(slice) > 0);
  return (
    <details class="chart-table">
      <summary>As a table</summary>
      <div class="scroller" tabindex={0} role="region" aria-label="Runs over time, as a table">
        <table class="table">
          <caption class="sr">Runs by the {spanText(sliceMs)} in which they were created</caption>
          <thead>
            <tr>
              <th scope="col">From</th>
              {[...outcomes, "p50", "p95"].map((name) => (
                <th scope="col" class="number">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {filled.map((slice) => (
              <tr>
                <th scope="row">
                  <Instant at={slice.at} />
                </th>
                {outcomes.map((name) => (
                  <td class="number">{slice[name]}</td>
                ))}
                <td class="number">{slice.durations === null ? "–" : spanText(slice.durations.p50)}</td>
                <td class="number">{slice.durations === null ? "–" : spanText(slice.durations.p95)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

function round(length: number): number {
  return Math.round(length * 100) / 100;
}
