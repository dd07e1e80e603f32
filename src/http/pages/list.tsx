/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: parts of lists: the empty state, links to further pages, and blocks of rows that are loaded on demand. */
import type { PropsWithChildren } from "hono/jsx";
import { Icon } from "./icon.tsx";
import type { Sign } from "./icon.tsx";

type EmptyProps = PropsWithChildren<{ readonly title: string; readonly sign?: Sign }>;

/** The empty state of a list, with what to do about it. */
export function Empty({ title, sign = "search", children }: EmptyProps) {
  return (
    <div class="empty">
      <Icon sign={sign} />
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

type PagerProps = {
  /** The address of the first page; null on the first page itself. */
  readonly first: string | null;
  readonly next: string | null;
  readonly label: string;
  /** To the first page, and to the next. */
  readonly words?: readonly [first: string, next: string];
};

export function Pager({ first, next, label, words: [newest, older] = ["Newest", "Older"] }: PagerProps) {
  if (first === null && next === null) return null;
  return (
    <nav class="pager" aria-label={label}>
      {first === null ? (
        <span></span>
      ) : (
        <a class="button plain" href={first}>
          <Icon sign="back" />
          <span>{newest}</span>
        </a>
      )}
      {next === null ? null : (
        <a class="button plain" href={next} rel="next">
          <span>{older}</span>
          <Icon sign="next" />
        </a>
      )}
    </nav>
  );
}

type BlockProps = PropsWithChildren<{
  /** Unlike that of any other block of the page. */
  readonly id: string;
  /** Where the block's own HTML comes from: a fragment, its rows and nothing else. */
  readonly src: string;
  readonly rows: number;
  /** Of one row, in CSS pixels. */
  readonly rowHeight: number;
  /** Changes when the block's content has changed: a loaded block is then fetched again. */
  readonly stamp?: string;
}>;

/**
 * Rows that may be far away. With children they are on the page already; without, an empty picture
 * holds their place until the script fetches them. Those that are far away again are dropped.
 */
export function Block({ id, src, rows, rowHeight, stamp = "", children }: BlockProps) {
  const height = rows * rowHeight;
  const isFilled = children !== undefined && children !== null;
  return (
    <div id={id} class="block" data-block={src} data-stamp={stamp} data-filled={isFilled ? "" : undefined}>
      {isFilled ? (
        children
      ) : (
        // By the view box it keeps its proportions: a style that makes it twice as wide makes rows twice as high.
        <svg class="place" width="1" height={height} viewBox={`0 0 1 ${height}`} aria-hidden="true"></svg>
      )}
    </div>
  );
}
