/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: drawing a bar along the time axis: its length, its attempts, and the folds that it crosses. */
import type { Bar, BarAttempt } from "../../core/timeline/timeline.ts";
import type { Fold, Scale } from "./scale.ts";

export const rowHeight = 36;
const middle = rowHeight / 2;
/** Percent: what has no width at all is not drawn, not even its edge. */
const shortest = 0.02;

type TrackProps = { readonly bar: Bar; readonly scale: Scale; readonly now: number };

export function Folds({ scale }: { readonly scale: Scale }) {
  return (
    <>
      {scale.folds.map(({ x, width }) => (
        <rect class="fold" x={percent(x)} width={percent(width)} y="0" height={rowHeight} />
      ))}
    </>
  );
}

/** @param why its error, shown where there is room for it */
export function Track({ bar, scale, now, why }: TrackProps & { readonly why: string }) {
  const endedAt = bar.endedAt ?? now;
  const [from, until] = [scale.at(bar.startedAt), scale.at(endedAt)];
  const isStep = bar.kind === "run" || bar.kind === "undo";
  return (
    <>
      <Length class={isStep ? "reach" : "span-of"} {...{ from, until }} y={middle} height={isStep ? 2 : 12} />
      {bar.attempts.map((attempt) => (
        <Attempt attempt={attempt} bar={bar} scale={scale} now={now} />
      ))}
      {bar.rejected.map(({ at }) => (
        <circle class="rejected" cx={percent(scale.at(at))} cy={middle} r="3.5" />
      ))}
      {scale.foldsWithin(bar.startedAt, endedAt).map((fold) => (
        <Break fold={fold} />
      ))}
      {why === "" ? null : <Why from={from} until={until} text={why} />}
    </>
  );
}

/** Behind a bar that ends in the left half, before one that begins in the right one. */
function Why({ from, until, text }: Pick<LengthProps, "from" | "until"> & { readonly text: string }) {
  const isBehind = until <= 50;
  if (!isBehind && from < 50) return null;
  const place = isBehind ? { x: percent(until), dx: "8" } : { x: percent(from), dx: "-8", "text-anchor": "end" };
  return (
    <text class="why" y={middle + 4} {...place}>
      {text}
    </text>
  );
}

type LengthProps = {
  readonly class: string;
  /** Percent. */
  readonly from: number;
  readonly until: number;
  /** Of its middle. */
  readonly y: number;
  readonly height: number;
};

export function Length({ class: look, from, until, y, height }: LengthProps) {
  const width = Math.max(shortest, until - from);
  const round = Math.min(3, height / 2);
  return <rect class={look} x={percent(from)} width={percent(width)} y={y - height / 2} height={height} rx={round} />;
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

type AttemptProps = { readonly attempt: BarAttempt } & TrackProps;

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
  return <Length class={`try is-${look}`} from={scale.at(startedAt)} until={scale.at(until)} y={middle} height={14} />;
}

export function percent(value: number): string {
  return `${Math.max(0, value).toFixed(3)}%`;
}
