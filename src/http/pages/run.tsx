/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/**
 * Owns: the page of one run, top to bottom, and the fragments that its blocks are filled with.
 * Does not own: what any part of it looks like.
 */
import type { Entry, EntryOf } from "../../core/entry.ts";
import { HoldfastError } from "../../core/error.ts";
import { isEnded } from "../../core/run.ts";
import type { RunSnapshot } from "../../core/run.ts";
import type { Service } from "../../core/service.ts";
import type { Story, Timeline } from "../../core/timeline.ts";
import type { Caller } from "../auth.ts";
import { RequestError } from "../problem.ts";
import { readCount, readQuery } from "../query.ts";
import type { Query } from "../query.ts";
import type { Call, Route } from "../route.ts";
import { ActionDialogs, Actions } from "./actions.tsx";
import { Facts } from "./facts.tsx";
import { ChildRows, childrenPerBlock, Family } from "./family.tsx";
import type { Ancestor, Child } from "./family.tsx";
import { Fault } from "./fault.tsx";
import { entriesPerBlock, EntryView, groupNames, History, HistoryRows, isOfGroup } from "./history.tsx";
import type { Group } from "./history.tsx";
import { Icon } from "./icon.tsx";
import { Now } from "./now.tsx";
import { answer, Page } from "./page.tsx";
import { Status } from "./status.tsx";
import { NoStory, StoryPanel } from "./story.tsx";
import { barsPerBlock, TimelineRows, TimelineView } from "./timeline.tsx";
import { StoredValue } from "./value.tsx";
import { Waits } from "./waits.tsx";

export function runPages(service: Service): Route[] {
  const page = (path: string, handle: (service: Service, call: Call) => Promise<Response>): Route => {
    return { method: "GET", path, role: "read", page: true, handle: (call) => handle(service, call) };
  };
  return [
    page("/runs/:id", runPage),
    page("/runs/:id/timeline", timelineBlock),
    page("/runs/:id/children", childrenBlock),
    page("/runs/:id/history", historyBlock),
    page("/runs/:id/history/:seq", entryBlock),
  ];
}

/** All that the page shows, asked for side by side. */
type View = {
  readonly run: RunSnapshot;
  readonly timeline: Timeline;
  readonly hooks: Timeline["bars"];
  readonly children: number;
  readonly ancestors: readonly Ancestor[];
  readonly first: Entry | null;
  readonly story: Story | null;
  readonly signals: Readonly<Record<string, object | null>> | null;
};

async function runPage(service: Service, { request, param, caller }: Call): Promise<Response> {
  const query = readQuery(request, ["step", "entries"]);
  const [step, only] = [query.get("step") ?? null, readGroup(query)];
  const view = await readView(service, param("id"), step);
  const { run } = view;
  const live = `/v1/runs/${encodeURIComponent(run.id)}/events?after=${run.seq}`;
  return await answer(
    <Page
      request={request}
      caller={caller}
      title={`${run.workflow} ${run.id}`}
      section="runs"
      {...(isEnded(run.status) ? {} : { live })}
    >
      <RunView view={view} caller={caller} step={step} only={only} />
    </Page>,
  );
}

async function readView(service: Service, id: string, step: string | null): Promise<View> {
  const { runs } = service;
  const run = await runs.read(id);
  const waits = (kind: "webhook" | "signal") => run.waitingFor.some((wait) => wait.kind === kind);
  const [timeline, hooks, children, ancestors, history, story, signals] = await Promise.all([
    runs.timeline(id, 0, barsPerBlock),
    waits("webhook") ? runs.timeline(id, 0, 1000, "webhook") : null,
    runs.timeline(id, 0, 0, "child"),
    ancestorsOf(service, run),
    runs.history(id, 0, 1),
    step === null ? null : orNull(runs.story(id, step), "step_not_found"),
    waits("signal") ? orNull(service.workflows.find(run.workflow), "workflow_not_found") : null,
  ]);
  return {
    run,
    timeline,
    hooks: hooks?.bars.filter(({ status }) => status === "open") ?? [],
    children: children.total,
    ancestors,
    first: history.entries[0] ?? null,
    story,
    signals: signals?.signals ?? null,
  };
}

/** A family this old is shown from here on only. */
const maxAncestors = 8;

async function ancestorsOf({ runs }: Service, { parent }: RunSnapshot): Promise<Ancestor[]> {
  const line: Ancestor[] = [];
  for (let next = parent; next !== null && line.length < maxAncestors;) {
    const run: RunSnapshot | null = await orNull(runs.read(next.id), "run_not_found");
    line.unshift({ ...next, run });
    next = run?.parent ?? null;
  }
  return line;
}

/** Null where it is refused with this code. */
async function orNull<Value>(asked: Promise<Value>, code: HoldfastError["code"]): Promise<Value | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof HoldfastError && error.code === code) return null;
    throw error;
  }
}

type RunViewProps = {
  readonly view: View;
  readonly caller: Caller | null;
  readonly step: string | null;
  readonly only: Group | null;
};

function RunView({ view, caller, step, only }: RunViewProps) {
  const { run, timeline, hooks, signals, story, first, ancestors, children } = view;
  return (
    <div class="stack run-page">
      <Head run={run} caller={caller} />
      <Now run={run} />
      <Waits run={run} caller={caller} hooks={hooks} signals={signals} />
      <Values run={run} />
      <TimelineView run={run.id} timeline={timeline} stamp={String(run.seq)} open={story?.bar.key ?? null} />
      <Family run={run} ancestors={ancestors} children={children} />
      <Facts run={run} created={createdOf(first)} />
      <History run={run.id} first={first?.seq ?? 1} last={run.seq} only={only} />
      <ActionDialogs run={run} />
      <datalist id="fork-steps">
        {timeline.bars.map(({ kind, name }) =>
          kind === "run" || kind === "child" ? <option value={name}></option> : null,
        )}
      </datalist>
      {step === null ? null : story === null ? (
        <NoStory run={run.id} step={step} />
      ) : (
        <StoryPanel run={run.id} story={story} caller={caller} now={timeline.endedAt} />
      )}
    </div>
  );
}

function createdOf(entry: Entry | null): EntryOf<"run.created"> | null {
  return entry?.kind === "run.created" ? entry : null;
}

function Head({ run, caller }: { readonly run: RunSnapshot; readonly caller: Caller | null }) {
  const { id, workflow, version, status, labels } = run;
  return (
    <div class="head run-head">
      <div class="run-title">
        <p class="row-of">
          <a href={`/workflows/${encodeURIComponent(workflow)}`}>{workflow}</a>{" "}
          <span class="tag">version {version}</span>
        </p>
        <div class="title-line">
          <h1 class="mono">{id}</h1>
          <button type="button" class="quiet" data-copy={id} aria-label="Copy the run’s id" title="Copy the id">
            <Icon sign="copy" />
          </button>
        </div>
        <p class="row-of">
          <Status status={status} />
          {Object.entries(labels).map(([key, value]) => (
            <a
              class="tag"
              href={`/?label.${encodeURIComponent(key)}=${encodeURIComponent(value)}`}
              data-key={`label-${key}`}
            >
              {key}: {value}
            </a>
          ))}
        </p>
      </div>
      <Actions run={run} caller={caller} />
    </div>
  );
}

function Values({ run }: { readonly run: RunSnapshot }) {
  const { input, output, error } = run;
  return (
    <div class="side-by-side">
      <section class="card" aria-labelledby="input-title">
        <div class="card-head">
          <h2 id="input-title">Input</h2>
        </div>
        <div class="card-body">
          <StoredValue value={input} id="input" />
        </div>
      </section>
      <section class="card" aria-labelledby="output-title">
        <div class="card-head">
          <h2 id="output-title">{error === null ? "Output" : "Error"}</h2>
        </div>
        <div class="card-body">
          {error !== null ? (
            <Fault error={error} />
          ) : output === null ? (
            <p class="faint">None yet.</p>
          ) : (
            <StoredValue value={output} id="output" />
          )}
        </div>
      </section>
    </div>
  );
}

async function timelineBlock(service: Service, { request, param }: Call): Promise<Response> {
  const from = readCount(readQuery(request, ["from"]), "from") ?? 0;
  const timeline = await service.runs.timeline(param("id"), from, barsPerBlock);
  return await answer(<TimelineRows run={param("id")} timeline={timeline} open={null} />, { fragment: true });
}

async function childrenBlock(service: Service, { request, param }: Call): Promise<Response> {
  const from = readCount(readQuery(request, ["from"]), "from") ?? 0;
  const { bars } = await service.runs.timeline(param("id"), from, childrenPerBlock, "child");
  const rows = await Promise.all(
    bars.map(async (bar): Promise<Child> => {
      const run = bar.child === null ? null : await orNull(service.runs.read(bar.child.id), "run_not_found");
      return { bar, run };
    }),
  );
  return await answer(<ChildRows run={param("id")} rows={rows} />, { fragment: true });
}

/** A narrowed block is looked for among so many entries; what follows is the next block's. */
const maxSearched = 5000;

async function historyBlock(service: Service, { request, param }: Call): Promise<Response> {
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

async function entryBlock(service: Service, { request, param }: Call): Promise<Response> {
  readQuery(request);
  const seq = Number(param("seq"));
  if (!/^[1-9]\d{0,14}$/.test(param("seq"))) throw new RequestError("route_not_found", "An entry is known by its seq.");
  const { entries } = await service.runs.history(param("id"), seq - 1, 1);
  const [entry] = entries;
  if (entry?.seq !== seq) throw new RequestError("route_not_found", "The run has no such entry.");
  return await answer(<EntryView entry={entry} />, { fragment: true });
}

function readGroup(query: Query): Group | null {
  const text = query.get("entries");
  if (text === undefined) return null;
  const group = groupNames.find((known) => known === text);
  if (group !== undefined) return group;
  throw new RequestError("parameter_invalid", `The parameter entries must be one of ${groupNames.join(", ")}.`);
}
