/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: the fragments that the blocks of a run's page are filled with. */
import type { Entry } from "../../core/history/entry.ts";
import type { Service } from "../../core/service/service.ts";
import { RequestError } from "../problem.ts";
import { readCount, readParameter, readQuery } from "../query.ts";
import type { Query } from "../query.ts";
import { asOneOf } from "../reading.ts";
import type { Call } from "../route.ts";
import { ChildRows, childrenPerBlock } from "./family.tsx";
import type { Child } from "./family.tsx";
import { entriesPerBlock, EntryView, groupNames, HistoryRows, isOfGroup } from "./history.tsx";
import type { Group } from "./history.tsx";
import { answer } from "./page.tsx";
import { barsPerBlock, folded, TimelineRows } from "./timeline.tsx";
import { readRelative } from "./unreadable.tsx";

export async function timelineBlock({ service, request, param }: Call): Promise<Response> {
  const query = readQuery(request, ["from", "of"]);
  const [from, key] = [readCount(query, "from") ?? 0, query.get("of")];
  const grouping = key === undefined ? folded : ({ kind: "within", key } as const);
  const timeline = await service.runs.timeline(param("id"), { from, limit: barsPerBlock, grouping });
  return await answer(<TimelineRows run={param("id")} timeline={timeline} open={null} />, { fragment: true });
}

export async function childrenBlock({ service, request, param }: Call): Promise<Response> {
  const from = readCount(readQuery(request, ["from"]), "from") ?? 0;
  const { bars } = await service.runs.timeline(param("id"), { from, limit: childrenPerBlock, only: "child" });
  const rows = await Promise.all(
    bars.map(async (bar): Promise<Child> => {
      const run = bar.child === null ? null : await readRelative(service, bar.child.id);
      return { bar, run };
    }),
  );
  return await answer(<ChildRows run={param("id")} rows={rows} />, { fragment: true });
}

/** A narrowed block is looked for among so many entries; what follows is the next block's. */
const maxSearched = 5000;

export async function historyBlock({ service, request, param }: Call): Promise<Response> {
  const query = readQuery(request, ["after", "entries"]);
  const [after, only] = [readCount(query, "after") ?? 0, readGroup(query)];
  const id = param("id");
  const page = only === null ? await wholeBlock(service, id, after) : await narrowBlock(service, id, after, only);
  return await answer(<HistoryRows run={id} only={only} {...page} />, { fragment: true });
}

type Page = { readonly entries: readonly Entry[]; readonly next: number | null; readonly last: number };

/** A page of the journal may be shorter than what was asked for, where entries are large. */
async function wholeBlock({ runs }: Service, id: string, after: number): Promise<Page> {
  const entries: Entry[] = [];
  const until = after + entriesPerBlock;
  for (let next: number | null = after; next !== null && next < until;) {
    const page: Awaited<ReturnType<typeof runs.history>> = await runs.history(id, next, until - next);
    entries.push(...page.entries.filter(({ seq }) => seq <= until));
    next = page.next;
  }
  return { entries, next: null, last: 0 };
}

async function narrowBlock({ runs }: Service, id: string, after: number, only: Group): Promise<Page> {
  const entries: Entry[] = [];
  let next: number | null = after;
  for (let searched = 0; next !== null && searched < maxSearched && entries.length < entriesPerBlock;) {
    const page: Awaited<ReturnType<typeof runs.history>> = await runs.history(id, next, 1000);
    searched += page.entries.length;
    const found = page.entries.filter((entry) => isOfGroup(only, entry)).slice(0, entriesPerBlock - entries.length);
    entries.push(...found);
    next = entries.length === entriesPerBlock ? (found.at(-1)?.seq ?? page.next) : page.next;
  }
  return { entries, next, last: next ?? 0 };
}

export async function entryBlock({ service, request, param }: Call): Promise<Response> {
  readQuery(request);
  const seq = Number(param("seq"));
  if (!/^[1-9]\d{0,14}$/.test(param("seq"))) throw new RequestError("route_not_found", "An entry is known by its seq.");
  const { entries } = await service.runs.history(param("id"), seq - 1, 1);
  const [entry] = entries;
  if (entry?.seq !== seq) throw new RequestError("route_not_found", "The run has no such entry.");
  return await answer(<EntryView entry={entry} />, { fragment: true });
}

/** What the history is narrowed to; null for all of it. @throws RequestError parameter_invalid */
export function readGroup(query: Query): Group | null {
  return readParameter(query, "entries", asOneOf(groupNames)) ?? null;
}
