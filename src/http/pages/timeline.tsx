/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/**
 * Owns: the timeline of a run as a waterfall: one row for each bar, in blocks, under one ruler.
 * Positions are percentages, so that zooming is a matter of the width alone (client/waterfall.ts).
 */
import { inLine } from "../../core/sentence/phrase.ts";
import type { Bar, Calls, Grouping, Timeline } from "../../core/timeline/timeline.ts";
import { barAddress, barLength, barSigns, barStatus, barTone, barWords } from "./bar.ts";
import { Icon } from "./icon.tsx";
import { readable } from "./label.ts";
import { Block, Empty } from "./list.tsx";
import { Scale } from "./scale.ts";
import type { Fold } from "./scale.ts";
import { spanText } from "./span.ts";
import { Folds, Length, percent, rowHeight, Track } from "./track.tsx";
import { addressOf } from "./window.tsx";

export const barsPerBlock = 100;
/** The timeline as the page has it: a map of a thousand is one row. */
export const folded: Grouping = { kind: "folded" };

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
  const { total, count, ended } = timeline;
  return (
    <section class="card timeline" aria-labelledby="timeline-title" id="timeline">
      <div class="card-head">
        <h2 id="timeline-title">Timeline</h2>
        <span class="faint">
          {count} {count === 1 ? "bar" : "bars"} · {spanText(timeline.endedAt - timeline.startedAt)}
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
          {blocksOf(total).map(({ index, from, rows }) => (
            <Block id={`bars-${index}`} src={blockAddress(run, from)} rows={rows} rowHeight={rowHeight} stamp={stamp}>
              {index === 0 ? <TimelineRows run={run} timeline={timeline} open={open} /> : null}
            </Block>
          ))}
          <div class="pan" data-pan data-keep aria-hidden="true" hidden>
            <div></div>
          </div>
        </div>
      )}
    </section>
  );
}

function blocksOf(total: number) {
  return Array.from({ length: Math.ceil(total / barsPerBlock) }, (_, index) => {
    const from = index * barsPerBlock;
    return { index, from, rows: Math.min(barsPerBlock, total - from) };
  });
}

function blockAddress(run: string, from: number, of?: string): string {
  return addressOf(`/runs/${encodeURIComponent(run)}/timeline`, { from: String(from), of });
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
      {timeline.bars.map((bar) =>
        bar.calls === undefined ? (
          <Row key={bar.key} run={run} bar={bar} scale={scale} now={timeline.endedAt} isOpen={bar.key === open} />
        ) : (
          <Group key={bar.key} run={run} bar={bar} calls={bar.calls} scale={scale} now={timeline.endedAt} />
        ),
      )}
    </>
  );
}

/** Characters of an error beside its bar. */
const maxWhy = 120;

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
  const why = inLine((bar.error ?? bar.attempts.at(-1)?.error)?.message ?? "", maxWhy);
  // Which one of its name it is stays legible where the name is cut off.
  const [nth = ""] = /#\d+$/.exec(bar.name) ?? [];
  return (
    <a
      class={`bar-row kind-${bar.kind} ${barTone(bar)}`}
      href={barAddress(run, bar.key)}
      data-row
      data-key={bar.key}
      data-step={bar.key}
      aria-current={isOpen ? "true" : undefined}
    >
      <span class="bar-name" title={bar.name}>
        <Icon sign={barSigns[bar.kind]} />
        {bar.kind === "pause" ? "paused by" : <span class="sr">{barWords[bar.kind]} </span>}
        <span class="bar-text">{bar.name.slice(0, bar.name.length - nth.length)}</span>
        {nth === "" ? null : <span class="bar-nth">{nth}</span>}
        {attempts > 1 ? <span class="tries">×{attempts}</span> : null}
        <span class="sr">
          , {status}
          {attempts > 1 ? `, ${attempts} attempts` : ""}, {length}
          {why === "" ? "" : `: ${why}`}
        </span>
      </span>
      <span class="bar-track">
        <svg width="100%" height={rowHeight} aria-hidden="true" focusable="false">
          <Folds scale={scale} />
          <Track bar={bar} scale={scale} now={now} why={why} />
        </svg>
      </span>
      <span class="bar-length" aria-hidden="true">
        {length}
      </span>
    </a>
  );
}

type GroupProps = Omit<RowProps, "isOpen"> & { readonly calls: Calls };

/** All calls of a name in one row; the rows of each come when it is opened. */
function Group({ run, bar, calls, scale, now }: GroupProps) {
  const length = barLength(bar, now);
  const [from, until] = [scale.at(bar.startedAt), scale.at(bar.endedAt ?? now)];
  return (
    <details class="calls" data-key={bar.key} data-calls={calls.key}>
      <summary class={`bar-row kind-${bar.kind} ${barTone(bar)}`} data-row tabindex={0}>
        <span class="bar-name" title={bar.name}>
          <Icon sign="next" />
          <Icon sign={barSigns[bar.kind]} />
          <span class="sr">{barWords[bar.kind]} </span>
          <span class="bar-text">{bar.name}</span>
          <span class="tries">×{calls.total}</span>
          <span class="sr">
            , {callsText(calls)}, {length}
          </span>
        </span>
        <span class="bar-track">
          <svg width="100%" height={rowHeight} aria-hidden="true" focusable="false">
            <Folds scale={scale} />
            <text x={percent(from)} y="15" {...(from > 50 ? { x: "100%", "text-anchor": "end" } : {})}>
              {callsText(calls)}
            </text>
            <Length class="span-of" from={from} until={until} y={25} height={8} />
          </svg>
        </span>
        <span class="bar-length" aria-hidden="true">
          {length}
        </span>
      </summary>
      {blocksOf(calls.total).map(({ index, from: first, rows }) => (
        <Block
          id={`calls-${bar.index}-${index}`}
          src={blockAddress(run, first, calls.key)}
          rows={rows}
          rowHeight={rowHeight}
          stamp={String(bar.lastSeq)}
        />
      ))}
    </details>
  );
}

/** `1 failed · 9 open · 990 done` */
function callsText({ total, completed, failed, open }: Calls): string {
  const counts = [
    [failed, "failed"],
    [open, "open"],
    [completed, "done"],
    [total - failed - open - completed, "withdrawn"],
  ] as const;
  return counts.flatMap(([count, word]) => (count === 0 ? [] : [`${count} ${word}`])).join(" · ");
}
