/** Groups: many calls of one name, as a map or a loop makes them, are one row of a timeline. */
import { nameOfCall } from "../name.ts";
import type { Calls, Grouping, RowPlace } from "./timeline.ts";
import type { Draft } from "./draft.ts";

/** A bar in the making, with its index among all bars. */
export type Placed = { readonly draft: Draft; readonly index: number };

/** The calls of a group: at least two. */
type Many = readonly [Placed, ...Placed[]];

export type Row = ({ readonly kind: "call" } & Placed) | { readonly kind: "calls"; readonly of: Many };

/** Up to how many calls of one name are separate rows. */
const maxApart = 20;
/** How many failed calls of a group are rows below it. */
const maxFailed = 20;

/** The key of the call's group: `run:resize`. */
function groupOf({ kind, name }: Draft): string {
  return `${kind}:${nameOfCall(name)}`;
}

export function rowsOf(placed: readonly Placed[], grouping?: Grouping): readonly Row[] {
  switch (grouping?.kind) {
    case undefined:
      return placed.map(row);
    case "within":
      return placed.filter(({ draft }) => groupOf(draft) === grouping.key).map(row);
    case "folded":
      return folded(placed);
    default:
      return grouping satisfies never;
  }
}

function row(placed: Placed): Row {
  return { kind: "call", ...placed };
}

/** A group is in the place of its first call, followed by its failed calls. */
function folded(placed: readonly Placed[]): readonly Row[] {
  const groups = Map.groupBy(placed, ({ draft }) => groupOf(draft));
  return placed.flatMap((each): Row[] => {
    const group = groups.get(groupOf(each.draft)) ?? [];
    if (group.length <= maxApart) return [row(each)];
    if (group[0] !== each) return [];
    const [first = each, ...others] = group;
    const failed = [first, ...others].filter(({ draft }) => isFailed(draft)).slice(0, maxFailed);
    return [{ kind: "calls", of: [first, ...others] }, ...failed.map(row)];
  });
}

/** The position of the bar in the folded timeline: a row of its own, or one call of a group. */
export function placeOf(drafts: readonly Draft[], draft: Draft): RowPlace {
  const rows = folded(drafts.map((each, index) => ({ draft: each, index })));
  const own = rows.findIndex((each) => each.kind === "call" && each.draft === draft);
  if (own !== -1) return { row: own, within: null };
  const key = groupOf(draft);
  for (const [index, each] of rows.entries()) {
    if (each.kind === "call") continue;
    const call = each.of.findIndex((member) => member.draft === draft);
    if (call !== -1) return { row: index, within: { key, call } };
  }
  return { row: 0, within: null };
}

function isFailed({ status }: Draft): boolean {
  return status === "failed" || status === "timed_out";
}

/** The bar of a group; open as long as one of its calls is. */
export function asOne(of: Many): Draft & { readonly calls: Calls } {
  const drafts = of.map(({ draft }) => draft);
  const [{ draft: first }] = of;
  const count = (isCounted: (draft: Draft) => boolean): number => drafts.filter(isCounted).length;
  const calls: Calls = {
    key: groupOf(first),
    total: of.length,
    completed: count(({ status }) => status === "completed"),
    failed: count(isFailed),
    open: count(({ status }) => status === "open"),
  };
  const isOpen = calls.open > 0;
  return {
    ...first,
    ...{ key: `calls:${calls.key}`, name: nameOfCall(first.name), calls },
    status: calls.failed > 0 ? "failed" : isOpen ? "open" : "completed",
    endedAt: isOpen ? null : drafts.reduce((latest, { endedAt }) => Math.max(latest, endedAt ?? 0), 0),
    lastSeq: drafts.reduce((newest, { lastSeq }) => Math.max(newest, lastSeq), 0),
    ...{ until: null, attempts: [], attemptCount: 0, attemptLimit: null, child: null, error: null, rejected: [] },
  };
}
