/** Makes a part of a run's timeline from its journal. */
import type { Entry } from "../history/entry.ts";
import type { StoredError } from "../error.ts";
import { defined } from "../record.ts";
import type { Bar, Timeline, Window } from "./timeline.ts";
import { Bars } from "./bars.ts";
import type { Underway } from "./bars.ts";
import { asOne, rowsOf } from "./calls.ts";
import type { Row } from "./calls.ts";
import type { Draft } from "./draft.ts";

/** What the journal does not have: attempts in flight, and the present (epoch ms). */
export type Present = { readonly underway: readonly Underway[]; readonly now: number };

const maxAttempts = 40;
const maxMessage = 200;
/** How many idle spans there are at most: more could not be distinguished on a screen. */
const maxIdle = 40;
const shortestIdleMs = 1000;

/** Reads all entries once, oldest first. Errors are without stacks and causes, which `storyOf` has. */
export function timelineOf(
  entries: Iterable<Entry>,
  { underway, now }: Present,
  { from, limit, only, grouping }: Window,
): Timeline {
  const bars = new Bars((_key, error) => brief(error));
  for (const entry of entries) bars.add(entry);
  bars.underway(underway);
  const drafts = bars.sorted();
  const wanted = drafts
    .map((draft, index) => ({ draft, index }))
    .filter(({ draft }) => only === undefined || draft.kind === only);
  const rows = rowsOf(wanted, grouping);
  // A step may have begun before the first entry was written.
  const firstAt = Math.min(bars.firstAt, drafts[0]?.startedAt ?? Infinity);
  const startedAt = Number.isFinite(firstAt) ? firstAt : bars.at;
  const endedAt = bars.ended ? bars.at : Math.max(now, bars.at);
  return {
    bars: rows.slice(from, from + limit).map(barOf),
    from,
    total: rows.length,
    count: wanted.length,
    startedAt,
    endedAt,
    ended: bars.ended,
    idle: idleSpans(busySpans(bars, drafts, endedAt), startedAt, endedAt),
  };
}

function barOf(row: Row): Bar {
  if (row.kind === "call") return toBar(row.draft, row.index, maxAttempts);
  return toBar(asOne(row.of), row.of[0].index, 0);
}

/** @param newest how many attempts are kept */
export function toBar(draft: Draft, index: number, newest: number): Bar {
  const { endedSeq: _endedSeq, cutShort: _cutShort, limit: _limit, granted: _granted, attempts, ...bar } = draft;
  return { index, ...bar, attempts: attempts.slice(-newest) };
}

/** An error without stack and causes. */
export function brief({ name, message, code, step, child }: StoredError): StoredError {
  return {
    name,
    message: message.length > maxMessage ? `${message.slice(0, maxMessage - 1)}…` : message,
    ...defined({ code, step, child }),
  };
}

type Span = { readonly fromAt: number; readonly untilAt: number };

/** The spans in which something happened: attempts, and single instants. */
function busySpans({ instants }: Bars, drafts: readonly Draft[], endedAt: number): Span[] {
  const spans: Span[] = instants.map((at) => ({ fromAt: at, untilAt: at }));
  for (const { attempts } of drafts) {
    for (const { startedAt, endedAt: attemptEndedAt, interrupted } of attempts) {
      spans.push({ fromAt: startedAt, untilAt: attemptEndedAt ?? (interrupted ? startedAt : endedAt) });
    }
  }
  return spans.toSorted((one, other) => one.fromAt - other.fromAt);
}

/** The long gaps between these: at least a second, and a quarter of the time that is not in gaps. */
function idleSpans(busy: readonly Span[], startedAt: number, endedAt: number): Span[] {
  const gaps: Span[] = [];
  let untilAt = startedAt;
  for (const span of [...busy, { fromAt: endedAt, untilAt: endedAt }]) {
    if (span.fromAt - untilAt >= shortestIdleMs) gaps.push({ fromAt: untilAt, untilAt: span.fromAt });
    untilAt = Math.max(untilAt, span.untilAt);
  }
  const busyMs = endedAt - startedAt - gaps.reduce((sum, gap) => sum + lengthOf(gap), 0);
  return gaps
    .filter((gap) => lengthOf(gap) >= busyMs / 4)
    .toSorted((one, other) => lengthOf(other) - lengthOf(one))
    .slice(0, maxIdle)
    .toSorted((one, other) => one.fromAt - other.fromAt);
}

function lengthOf({ fromAt, untilAt }: Span): number {
  return untilAt - fromAt;
}
