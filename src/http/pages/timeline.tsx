/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/**
 * Owns: the timeline of a run as a waterfall: one row for each bar, in blocks, under one ruler.
 * Positions are percentages, so that zooming is a matter of the width alone (client/waterfall.ts).
 */
import type { Bar, BarAttempt, Timeline } from "../../core/timeline.ts";
import { barAddress, barLength, barSigns, barStatus, barTone, barWords } from "./bar.ts";
import { Icon } from "./icon.tsx";
import { readable } from "./label.ts";
import { Block, Empty } from "./list.tsx";
import { Scale } from "./scale.ts";
import type { Fold } from "./scale.ts";
import { spanText } from "./span.ts";

export const barsPerBlock = 100;
const rowHeight = 36;
const middle = rowHeight / 2;
/** Percent: what has no width at all is not drawn, not even its edge. */
const shortest = 0.02;

type TimelineProps = {
  readonly run: string;
  /** Its first bars, and the measures of the whole. */
  readonly timeline: Timeline;
  /** Changes when the run has changed. */
  readonly stamp: string;
  /** The key of the bar whose panel is open. */
  readonly open: string | null;
};

export function TimelineView({ run, timeline, stamp, open }: TimelineProps) {
  const { total, ended } = timeline;
  const blocks = Array.from({ length: Math.ceil(total / barsPerBlock) }, (_, index) => index);
  return (
    <section class="card timeline" aria-labelledby="timeline-title" id="timeline">
      <div class="card-head">
        <h2 id="timeline-title">Timeline</h2>
        <span class="faint">
          {total} {total === 1 ? "bar" : "bars"} · {spanText(timeline.endedAt - timeline.startedAt)}
          {ended ? "" : " so far"}
        </span>
        <div class="zoom" role="group" aria-label="Zoom" data-keep>
          <button type="button" class="quiet" data-zoom="out" aria-label="Zoom out" title="Zoom out (−)" disabled>
            <Icon sign="minus" />
          </button>
          <output data-zoom-level aria-live="polite">
            1×
          </output>
          <button type="button" class="quiet" data-zoom="in" aria-label="Zoom in" title="Zoom in (+)">
            <Icon sign="plus" />
          </button>
          <button type="button" class="quiet" data-zoom="all" title="Show all (0)" disabled>
            All
          </button>
        </div>
      </div>
      {total === 0 ? (
        <Empty title="Nothing has happened yet" sign="queued" />
      ) : (
        <div class="waterfall" data-waterfall data-block-size={barsPerBlock}>
          <Ruler timeline={timeline} />
          {blocks.map((index) => {
            const from = index * barsPerBlock;
            const rows = Math.min(barsPerBlock, total - from);
            const src = `/runs/${encodeURIComponent(run)}/timeline?from=${from}`;
            return (
              <Block id={`bars-${index}`} src={src} rows={rows} rowHeight={rowHeight} stamp={stamp}>
                {index === 0 ? <TimelineRows run={run} timeline={timeline} open={open} /> : null}
              </Block>
            );
          })}
          <div class="pan" data-pan data-keep aria-hidden="true" hidden>
            <div></div>
          </div>
        </div>
      )}
    </section>
  );
}

function Ruler({ timeline }: { readonly timeline: Timeline }) {
  const scale = new Scale(timeline);
  const named = namedFolds(scale.folds);
  const ticks = readable(scale.ticks());
  return (
    <div class="ruler" aria-hidden="true">
      <span class="faint">since the start</span>
      <div class="bar-track">
        <svg width="100%" height={rowHeight} focusable="false">
          {ticks.map(({ x, label, level, fitsAt }) => (
            <g class={`tick level-${level} fits-${fitsAt ?? "never"}`}>
              <line x1={percent(x)} x2={percent(x)} y1="24" y2={rowHeight} />
              {x > lastLabelled ? null : (
                <text x={percent(x)} dx="4" y="30">
                  {label}
                </text>
              )}
            </g>
          ))}
          {scale.folds.map((fold) => {
            const { x, width, ms } = fold;
            return (
              <g class="fold-label">
                {named.has(fold) ? (
                  <text x={percent(x + width / 2)} y="13" text-anchor={x < 5 ? "start" : x > 92 ? "end" : "middle"}>
                    {spanText(ms)}
                  </text>
                ) : null}
                <line x1={percent(x)} x2={percent(x + width)} y1="18" y2="18" />
              </g>
            );
          })}
        </svg>
      </div>
      <span></span>
    </div>
  );
}

/** Percent: a label further right would be cut off. */
const lastLabelled = 93;
/** Percent that a label takes; of two that would stand in each other's way the longer fold has its own. */
const labelWidth = 14;

function namedFolds(folds: readonly Fold[]): ReadonlySet<Fold> {
  const named = new Set<Fold>();
  for (const fold of folds.toSorted((one, other) => other.ms - one.ms)) {
    if ([...named].every(({ x }) => Math.abs(x - fold.x) >= labelWidth)) named.add(fold);
  }
  return named;
}

type RowsProps = { readonly run: string; readonly timeline: Timeline; readonly open: string | null };

/** The rows of one block: a fragment of the page. */
export function TimelineRows({ run, timeline, open }: RowsProps) {
  const scale = new Scale(timeline);
  return (
    <>
      {timeline.bars.map((bar) => (
        <Row key={bar.key} run={run} bar={bar} scale={scale} now={timeline.endedAt} isOpen={bar.key === open} />
      ))}
    </>
  );
}

type RowProps = {
  readonly run: string;
  readonly bar: Bar;
  readonly scale: Scale;
  readonly now: number;
  readonly isOpen: boolean;
};

function Row({ run, bar, scale, now, isOpen }: RowProps) {
  const status = barStatus(bar);
  const length = barLength(bar, now);
  const { attemptCount: attempts } = bar;
  return (
    <a
      class={`bar-row kind-${bar.kind} ${barTone(bar)}`}
      href={barAddress(run, bar.key)}
      data-row
      data-key={bar.key}
      data-step={bar.key}
      {...(isOpen ? { "aria-current": "true" } : {})}
    >
      <span class="bar-name" title={bar.name}>
        <Icon sign={barSigns[bar.kind]} />
        <span class="sr">{barWords[bar.kind]} </span>
        <span class="bar-text">{bar.name}</span>
        {attempts > 1 ? <span class="tries">×{attempts}</span> : null}
        <span class="sr">
          , {status}
          {attempts > 1 ? `, ${attempts} attempts` : ""}, {length}
        </span>
      </span>
      <span class="bar-track">
        <svg width="100%" height={rowHeight} aria-hidden="true" focusable="false">
          {scale.folds.map(({ x, width }) => (
            <rect class="fold" x={percent(x)} width={percent(width)} y="0" height={rowHeight} />
          ))}
          <Track bar={bar} scale={scale} now={now} />
        </svg>
      </span>
      <span class="bar-length" aria-hidden="true">
        {length}
      </span>
    </a>
  );
}

function Track({ bar, scale, now }: Pick<RowProps, "bar" | "scale" | "now">) {
  const [from, until] = [scale.at(bar.startedAt), scale.at(bar.endedAt ?? now)];
  const isStep = bar.kind === "run" || bar.kind === "undo";
  const height = isStep ? 2 : 12;
  return (
    <>
      <rect
        class={isStep ? "reach" : "span-of"}
        x={percent(from)}
        width={percent(Math.max(shortest, until - from))}
        y={middle - height / 2}
        height={height}
        rx={isStep ? 1 : 3}
      />
      {bar.attempts.map((attempt) => (
        <Attempt attempt={attempt} bar={bar} scale={scale} now={now} />
      ))}
      {bar.rejected.map(({ at }) => (
        <circle class="rejected" cx={percent(scale.at(at))} cy={middle} r="3.5" />
      ))}
      {scale.folds
        .filter(({ x, width }) => from <= x && until >= x + width)
        .map((fold) => (
          <Break fold={fold} />
        ))}
    </>
  );
}

/** What goes through a fold is longer than it looks, as an axis that is cut says it. */
function Break({ fold: { x, width } }: { readonly fold: Fold }) {
  return (
    <svg class="break" x={percent(x + width / 2)} y={middle} width="1" height="1" overflow="visible">
      <path class="gap" d="M-6 9 0-9h6L0 9z" />
      <path d="M-6 9 0-9M0 9 6-9" />
    </svg>
  );
}

type AttemptProps = { readonly attempt: BarAttempt } & Pick<RowProps, "bar" | "scale" | "now">;

function Attempt({ attempt, bar, scale, now }: AttemptProps) {
  const { startedAt, endedAt, interrupted, error } = attempt;
  // Of one that was cut off, nothing says when.
  const until = endedAt ?? (interrupted ? startedAt : (bar.endedAt ?? now));
  const look = interrupted
    ? "cut"
    : error !== null
      ? "bad"
      : endedAt === null && bar.status === "open"
        ? "now"
        : "good";
  const from = scale.at(startedAt);
  return (
    <rect
      class={`try is-${look}`}
      x={percent(from)}
      width={percent(Math.max(shortest, scale.at(until) - from))}
      y={middle - 7}
      height="14"
      rx="3"
    />
  );
}

function percent(value: number): string {
  return `${Math.max(0, value).toFixed(3)}%`;
}
