/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/**
 * Owns: instants and durations on a page. The server writes UTC and says so, or the distance from now; the script replaces
 * them by the reader's own time, and keeps distances up to date.
 */
import { timeOf } from "../../core/sentence/phrase.ts";
import type { Piece } from "../../core/run/reason.ts";
import { agoText, dayText, exactText, hourText, inText, leftText, spanText, utcText } from "./span.ts";

type Form = "clock" | "exact" | "day" | "hour" | "time" | "ago" | "since" | "in" | "left";

type InstantProps = {
  /** Epoch ms. */
  readonly at: number;
  /**
   * `clock`: date and time; `exact`: to the millisecond; `day` and `hour`: one of them; `time`: as in a run's reason.
   * `ago`: how long since, or until. `since`: how long it has been going on. `in` and `left`: how long until then,
   * counted down, and the page is drawn anew once it has come.
   */
  readonly form?: Form;
};

export function Instant({ at, form = "clock" }: InstantProps) {
  const iso = new Date(at).toISOString();
  // Screen readers should not read every second of a countdown.
  const silence = form === "in" || form === "left" ? { "aria-live": "off" as const } : {};
  return (
    <time datetime={iso} data-form={form} title={iso} {...silence}>
      {textOf(at, form)}
    </time>
  );
}

function textOf(at: number, form: Form): string {
  switch (form) {
    case "clock":
      return utcText(at);
    case "exact":
      return exactText(at);
    case "day":
      return dayText(at);
    case "hour":
      return hourText(at);
    case "time":
      return `${timeOf(at, Date.now())} UTC`;
    case "ago":
      return agoText(at, Date.now());
    case "since":
      return spanText(Date.now() - at);
    case "in":
      return inText(at, Date.now());
    case "left":
      return leftText(at - Date.now());
    default:
      return form satisfies never;
  }
}

/** Names the time zone of the page, where times of another zone are beside it. */
export function Zone() {
  return (
    <small class="faint" data-zone-name>
      UTC
    </small>
  );
}

type DeadlineProps = {
  readonly at: number;
  /** Since when the time that is left is counted; null where that is not told. */
  readonly since: number | null;
  /** Of a paused run: since when it is. A pause puts deadlines off by its own length. */
  readonly pausedAt: number | null;
};

/** When a deadline comes: counted down, unless the run is paused. */
export function Deadline({ at, since, pausedAt }: DeadlineProps) {
  if (pausedAt === null) return <Instant at={at} form="in" />;
  if (since === null) return <>some time after it is resumed</>;
  const left = at - Math.max(since, pausedAt);
  return <>{left > 0 ? `${leftText(left)} after it is resumed` : "once it is resumed"}</>;
}

/** A sentence whose spans stay true. */
export function Sentence({ pieces }: { readonly pieces: readonly Piece[] }) {
  return (
    <>{pieces.map((piece) => (typeof piece === "string" ? piece : <Instant at={piece.at} form={piece.form} />))}</>
  );
}

/** A span that is over. */
export function Span({ ms }: { readonly ms: number }) {
  return <span class="span">{spanText(ms)}</span>;
}
