/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: the relations of a run: its ancestors, the run that it was forked from, its children. */
import type { RunSnapshot } from "../../core/run/run.ts";
import type { Bar } from "../../core/timeline/timeline.ts";
import { barAddress, barStatus, barTone } from "./bar.ts";
import { Instant } from "./instant.tsx";
import { Block } from "./list.tsx";
import { Status } from "./status.tsx";
import { addressOf } from "./window.tsx";

export const childrenPerBlock = 25;
const rowHeight = 40;

/** An ancestor; null where it was removed, or cannot be read. */
export type Ancestor = { readonly id: string; readonly workflow: string; readonly run: RunSnapshot | null };

/** How many children it has, and the id of the first, where that was started. */
export type Offspring = { readonly count: number; readonly first: string | null };

type FamilyProps = {
  readonly run: RunSnapshot;
  /** The oldest ancestor first. */
  readonly ancestors: readonly Ancestor[];
  readonly children: Offspring;
};

/** @param kin how many ancestors and children it has */
export function hasFamily({ fork, schedule }: RunSnapshot, kin: number): boolean {
  return kin > 0 || fork !== null || schedule !== null;
}

export function Family({ run, ancestors, children: { count, first } }: FamilyProps) {
  const { fork, schedule } = run;
  // Ids that were not given begin with that of the parent.
  const prefix = `${run.id}.`;
  if (!hasFamily(run, ancestors.length + count)) return null;
  return (
    <section class="card family" aria-labelledby="family-title" id="family">
      <div class="card-head">
        <h2 id="family-title">Family</h2>
        {count === 0 ? null : (
          <span class="faint">
            {count} {count === 1 ? "child" : "children"}
          </span>
        )}
        {first?.startsWith(prefix) === true ? (
          <a class="push" href={addressOf("/", { idPrefix: prefix })} title="To filter them, and to act on many">
            In the list
          </a>
        ) : null}
      </div>
      <div class="card-body">
        {schedule === null ? null : (
          <p>
            Started by schedule <a href="/schedules">{schedule.id}</a>, for <Instant at={schedule.at} />
          </p>
        )}
        {fork === null ? null : (
          <p>
            Forked from <a href={`/runs/${encodeURIComponent(fork.id)}`}>{fork.id}</a>
            {fork.step === null ? " from the start" : ` at ${fork.step}`}
          </p>
        )}
        <Lineage run={run} ancestors={ancestors} />
        {count === 0 ? null : <Children run={run} count={count} />}
      </div>
    </section>
  );
}

function Lineage({ run, ancestors }: Omit<FamilyProps, "children">) {
  return (
    <ol class="lineage">
      {ancestors.map(({ id, workflow, run: known }) => (
        <li class="kin" data-key={id}>
          {known === null ? <span class="faint">unknown</span> : <Status status={known.status} />}
          <a href={`/runs/${encodeURIComponent(id)}`}>{id}</a>
          <span class="faint">{workflow}</span>
        </li>
      ))}
      <li class="kin" data-key="self">
        <Status status={run.status} />
        <strong>{run.id}</strong>
        <span class="faint">{run.workflow}</span>
      </li>
    </ol>
  );
}

/** In blocks, each of which is fetched as it comes into view. */
function Children({ run, count }: { readonly run: RunSnapshot; readonly count: number }) {
  return (
    <div class="children">
      {Array.from({ length: Math.ceil(count / childrenPerBlock) }, (_, index) => {
        const from = index * childrenPerBlock;
        const src = `/runs/${encodeURIComponent(run.id)}/children?from=${from}`;
        const rows = Math.min(childrenPerBlock, count - from);
        return <Block id={`children-${index}`} src={src} rows={rows} rowHeight={rowHeight} stamp={String(run.seq)} />;
      })}
    </div>
  );
}

/** A child, with what it is now where the run's own journal does not tell. */
export type Child = { readonly bar: Bar; readonly run: RunSnapshot | null };

type ChildrenProps = { readonly run: string; readonly rows: readonly Child[] };

/** The rows of one block: a fragment of the page. */
export function ChildRows({ run, rows }: ChildrenProps) {
  return (
    <>
      {rows.map(({ bar, run: child }) => (
        <div class="kin child" data-row data-key={bar.key}>
          {child === null ? (
            <span class={`status ${barTone(bar)}`}>{bar.child === null ? "not started" : barStatus(bar)}</span>
          ) : (
            <Status status={child.status} />
          )}
          {bar.child === null ? (
            <span class="faint">{bar.error?.message ?? "—"}</span>
          ) : (
            <a href={`/runs/${encodeURIComponent(bar.child.id)}`}>{bar.child.id}</a>
          )}
          <a class="faint call" href={barAddress(run, bar.key)} data-step={bar.key}>
            {bar.name}
          </a>
        </div>
      ))}
    </>
  );
}
