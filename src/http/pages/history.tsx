/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: the raw history of a run on its page: every entry as a sentence, and as JSON when it is opened. */
import type { Entry, Fact } from "../../core/history/entry.ts";
import { zonedSentenceOf } from "../../core/sentence/sentence.ts";
import { viewEntry } from "../view.ts";
import { Instant } from "./instant.tsx";
import { Block } from "./list.tsx";
import { Value } from "./value.tsx";

export const entriesPerBlock = 100;
const rowHeight = 34;

/** What the history can be narrowed to, by the first words of kinds. */
export const groups = {
  run: ["run"],
  steps: ["step", "undo"],
  waits: ["timer", "wait", "signal", "listener", "webhook", "lane"],
  children: ["child"],
  updates: ["update", "patch"],
  logs: ["log", "progress"],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type Group = keyof typeof groups;

export const groupNames = Object.keys(groups) as readonly Group[];

export function isOfGroup(group: Group, { kind }: Pick<Entry, "kind">): boolean {
  const words: readonly string[] = groups[group];
  return words.includes(kind.split(".", 1)[0] ?? "");
}

type HistoryProps = {
  readonly run: string;
  /** `seq` of the first entry of this incarnation of the run, and of the newest. */
  readonly first: number;
  readonly last: number;
  readonly only: Group | null;
};

export function History({ run, first, last, only }: HistoryProps) {
  const address = `/runs/${encodeURIComponent(run)}`;
  return (
    <section class="card history" aria-labelledby="history-title" id="history">
      <div class="card-head">
        <h2 id="history-title">History</h2>
        <span class="faint">
          {last - first + 1} {last === first ? "entry" : "entries"}
        </span>
        {last - first < entriesPerBlock || only !== null ? null : <a href="#newest">To the newest</a>}
        <nav class="segments" aria-label="Entries of which kind">
          {[null, ...groupNames].map((group) => (
            <a
              href={`${address}${group === null ? "" : `?entries=${group}`}#history`}
              data-entries={group ?? ""}
              aria-current={group === only ? "true" : undefined}
            >
              {group ?? "all"}
            </a>
          ))}
        </nav>
      </div>
      <div class="entries" data-key={`entries-${only ?? "all"}`}>
        {only === null ? (
          blocks(address, first, last)
        ) : (
          <Chain address={address} only={only} after={first - 1} last={last} />
        )}
      </div>
      <div id="newest"></div>
    </section>
  );
}

/** Blocks by `seq`: a full block never changes again. */
function blocks(address: string, first: number, last: number) {
  const [from, until] = [first - 1, last].map((seq) => Math.floor(seq / entriesPerBlock));
  const count = Math.floor((last - 1) / entriesPerBlock) - (from ?? 0) + 1;
  return Array.from({ length: Math.max(0, count) }, (_, index) => {
    const start = ((from ?? 0) + index) * entriesPerBlock;
    const end = Math.min(last, start + entriesPerBlock);
    const rows = end - Math.max(first - 1, start);
    const src = `${address}/history?after=${start}`;
    const stamp = (from ?? 0) + index < (until ?? 0) ? "full" : String(end);
    return <Block id={`entries-${start}`} src={src} rows={rows} rowHeight={rowHeight} stamp={stamp} />;
  });
}

type ChainProps = { readonly address: string; readonly only: Group; readonly after: number; readonly last: number };

/** The length of a filtered history is not known: each block ends with the place of the next. */
function Chain({ address, only, after, last }: ChainProps) {
  const src = `${address}/history?after=${after}&entries=${only}`;
  return <Block id={`entries-${only}-${after}`} src={src} rows={8} rowHeight={rowHeight} stamp={String(last)} />;
}

type RowsProps = {
  readonly run: string;
  readonly entries: readonly Entry[];
  /** Of a narrowed history: which, and where it goes on; null at its end. */
  readonly only: Group | null;
  readonly next: number | null;
  readonly last: number;
};

/** The rows of one block: a fragment of the page. */
export function HistoryRows({ run, entries, only, next, last }: RowsProps) {
  const address = `/runs/${encodeURIComponent(run)}`;
  return (
    <>
      {entries.map((entry) => (
        <details class={`entry of-${toneOf(entry.kind)}`} data-key={`e${entry.seq}`}>
          <summary>
            <span class="entry-seq">{entry.seq}</span>
            <Instant at={entry.at} form="exact" />
            <code class="entry-kind">{entry.kind}</code>
            <span class="entry-text" title={zonedSentenceOf(entry)}>
              {zonedSentenceOf(entry)}
            </span>
          </summary>
          <Block id={`entry-${entry.seq}`} src={`${address}/history/${entry.seq}`} rows={3} rowHeight={rowHeight} />
        </details>
      ))}
      {only === null || next === null ? null : <Chain address={address} only={only} after={next} last={last} />}
      {only !== null && next === null && entries.length === 0 ? (
        <p class="faint pad">No further entries of this kind.</p>
      ) : null}
    </>
  );
}

/** One entry as the API shows it. */
export function EntryView({ entry }: { readonly entry: Entry }) {
  return <Value json={viewEntry(entry)} id={`entry-${entry.seq}-json`} />;
}

function toneOf(kind: Fact["kind"]): string {
  if (/failed$|interrupted$|crashed$|rejected$|timed_out$/.test(kind)) return "failed";
  if (/completed$|fired$|consumed$|webhook\.received$/.test(kind)) return "completed";
  return /paused$|cancel/.test(kind) ? "paused" : "plain";
}
