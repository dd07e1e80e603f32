/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: the children that a run waits for, and what they wait for in their turn, down the line. */
import { piecesAt } from "../../core/run/reason.ts";
import type { RunSnapshot, Waiting } from "../../core/run/run.ts";
import type { Service } from "../../core/service/service.ts";
import { Icon } from "./icon.tsx";
import { Sentence } from "./instant.tsx";
import { Status } from "./status.tsx";

const maxShown = 3;
/** So many generations are looked at: each is a call, one after the other. */
const maxDepth = 8;
/** So long the page waits for them in all: a run that hangs may be what its ancestors wait for. */
const patienceMs = 2000;

/** A child, and the last in its line of runs that wait for nothing but a child of theirs; null where it cannot be read. */
export type Descent = { readonly id: string; readonly last: RunSnapshot | null };

/** Of the first children that the run waits for. */
export async function descentsOf({ runs }: Service, { waitingFor }: RunSnapshot): Promise<readonly Descent[]> {
  const children = waitingFor.filter(({ kind }) => kind === "run").slice(0, maxShown);
  if (children.length === 0) return [];
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), patienceMs);
  // Whatever keeps one from being read is told by its own page, and is no reason to show nothing of this run.
  const read: Read = (id) => Promise.race([runs.read(id).catch(() => null), late]);
  const descents = await Promise.all(children.map(async ({ name }) => ({ id: name, last: await lastOf(read, name) })));
  clearTimeout(timer);
  return descents;
}

type Read = (id: string) => Promise<RunSnapshot | null>;

async function lastOf(read: Read, id: string): Promise<RunSnapshot | null> {
  let last = await read(id);
  for (let depth = 1; last !== null && depth < maxDepth; depth++) {
    const next = onlyChild(last);
    const child = next === null ? null : await read(next);
    if (child === null) break;
    last = child;
  }
  return last;
}

/** What is waited for besides a child may come first, and says more of why the run does not go on. */
function onlyChild({ status, waitingFor }: RunSnapshot): string | null {
  const waits = waitingFor.filter(({ listener }) => listener !== true);
  const [first] = waits;
  return status === "waiting" && waits.every(({ kind }) => kind === "run") ? (first?.name ?? null) : null;
}

type ChildrenProps = {
  readonly run: RunSnapshot;
  readonly waits: readonly Waiting[];
  readonly descents: readonly Descent[];
};

export function AwaitedChildren({ run, waits, descents }: ChildrenProps) {
  return (
    <article class="card wait" data-key="wait-children" aria-labelledby="wait-children-title">
      <h3 id="wait-children-title">
        <Icon sign="tree" />
        <span>{waits.length === 1 ? "A child run" : `${waits.length} child runs`}</span>
      </h3>
      <ul class="descents">
        {descents.map((descent) => (
          <li data-key={descent.id}>
            <Line descent={descent} />
          </li>
        ))}
      </ul>
      {waits.length > descents.length ? (
        <p>
          <a href={`/runs/${encodeURIComponent(run.id)}#family`}>All of them</a>
        </p>
      ) : null}
    </article>
  );
}

function Line({ descent: { id, last } }: { readonly descent: Descent }) {
  const child = <a href={`/runs/${encodeURIComponent(id)}`}>{id}</a>;
  if (last === null) return child;
  return (
    <>
      {child}
      <p class="row-of">
        {last.id === id ? null : (
          <span>
            <span class="faint">down the line</span> <a href={`/runs/${encodeURIComponent(last.id)}`}>{last.id}</a>
          </span>
        )}
        <Status status={last.status} />
        <span>
          <Sentence pieces={piecesAt(last, Date.now())} />
        </span>
      </p>
    </>
  );
}
