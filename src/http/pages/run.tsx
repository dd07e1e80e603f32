/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/**
 * Owns: the page of one run: its parts and their order.
 * Does not own: the parts themselves, or the blocks that are loaded later (fragment).
 */
import type { Entry, EntryOf } from "../../core/history/entry.ts";
import { isEnded } from "../../core/run/run.ts";
import type { RunSnapshot } from "../../core/run/run.ts";
import type { Service, WorkflowInfo } from "../../core/service/service.ts";
import type { Story, Timeline } from "../../core/timeline/timeline.ts";
import type { Caller } from "../auth/auth.ts";
import { readQuery } from "../query.ts";
import type { Call, Route } from "../route.ts";
import { ActionDialogs, Actions } from "./actions.tsx";
import { CopyButton } from "./copy.tsx";
import { descentsOf } from "./descent.tsx";
import type { Descent } from "./descent.tsx";
import { Facts } from "./facts.tsx";
import { Family, hasFamily } from "./family.tsx";
import type { Ancestor, Offspring } from "./family.tsx";
import { Fault, textOf } from "./fault.tsx";
import { childrenBlock, entryBlock, historyBlock, readGroup, timelineBlock } from "./fragment.tsx";
import { History } from "./history.tsx";
import type { Group } from "./history.tsx";
import { Inbox, readInbox } from "./inbox.tsx";
import { lacksCode, Summary } from "./summary.tsx";
import { orNull } from "./absence.ts";
import { answer, Page } from "./page.tsx";
import { Status } from "./status.tsx";
import { NoStory, StoryPanel } from "./story.tsx";
import { barsPerBlock, folded, TimelineView } from "./timeline.tsx";
import { isUnreadable, readRelative, unreadablePage } from "./unreadable.tsx";
import { StoredValue } from "./value.tsx";
import { Waits } from "./waits.tsx";
import { addressOf } from "./window.tsx";

export const runPages: readonly Route[] = [
  { method: "GET", path: "/runs/:id", role: "read", page: true, handle: runPage },
  { method: "GET", path: "/runs/:id/timeline", role: "read", page: true, handle: timelineBlock },
  { method: "GET", path: "/runs/:id/children", role: "read", page: true, handle: childrenBlock },
  { method: "GET", path: "/runs/:id/history", role: "read", page: true, handle: historyBlock },
  { method: "GET", path: "/runs/:id/history/:seq", role: "read", page: true, handle: entryBlock },
];

/** All data of the page, read concurrently. */
type View = {
  readonly run: RunSnapshot;
  readonly timeline: Timeline;
  readonly hooks: Timeline["bars"];
  /** There may be several, which end together. */
  readonly pauses: Timeline["bars"];
  readonly children: Offspring;
  readonly ancestors: readonly Ancestor[];
  readonly first: Entry | null;
  readonly story: Story | null;
  /** Of a run that waits for a signal, or for its code; null for others, and where the deployment has none of this name. */
  readonly workflow: WorkflowInfo | null;
  readonly inbox: Awaited<ReturnType<typeof readInbox>>;
  readonly descents: readonly Descent[];
};

async function runPage(call: Call): Promise<Response> {
  try {
    return await readablePage(call);
  } catch (error) {
    if (isUnreadable(error)) return await unreadablePage(call, error);
    throw error;
  }
}

async function readablePage({ service, request, param, caller }: Call): Promise<Response> {
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
      live={isEnded(run.status) ? undefined : live}
    >
      <RunView view={view} caller={caller} step={step} only={only} />
    </Page>,
  );
}

async function readView(service: Service, id: string, step: string | null): Promise<View> {
  const { runs } = service;
  const run = await runs.read(id);
  const waits = (kind: "webhook" | "signal") => run.waitingFor.some((wait) => wait.kind === kind);
  const [timeline, hooks, pauses, children, ancestors, history, story, workflow, inbox, descents] = await Promise.all([
    runs.timeline(id, { from: 0, limit: barsPerBlock, grouping: folded }),
    waits("webhook") ? runs.timeline(id, { from: 0, limit: 1000, only: "webhook" }) : null,
    run.status === "paused" ? runs.timeline(id, { from: 0, limit: 1000, only: "pause" }) : null,
    runs.timeline(id, { from: 0, limit: 1, only: "child" }),
    ancestorsOf(service, run),
    runs.history(id, 0, 1),
    step === null ? null : orNull(runs.story(id, step), "step_not_found"),
    waits("signal") || lacksCode(run) ? orNull(service.workflows.find(run.workflow), "workflow_not_found") : null,
    readInbox(service, run),
    descentsOf(service, run),
  ]);
  return {
    run,
    timeline,
    hooks: openBars(hooks),
    pauses: openBars(pauses),
    children: { count: children.total, first: children.bars[0]?.child?.id ?? null },
    ancestors,
    first: history.entries[0] ?? null,
    story,
    workflow,
    inbox,
    descents,
  };
}

/** A family this old is shown from here on only. */
const maxAncestors = 8;

async function ancestorsOf(service: Service, { parent }: RunSnapshot): Promise<Ancestor[]> {
  const line: Ancestor[] = [];
  for (let next = parent; next !== null && line.length < maxAncestors;) {
    const run: RunSnapshot | null = await readRelative(service, next.id);
    line.unshift({ ...next, run });
    next = run?.parent ?? null;
  }
  return line;
}

function openBars(timeline: Timeline | null): Timeline["bars"] {
  return timeline?.bars.filter(({ status }) => status === "open") ?? [];
}

type RunViewProps = {
  readonly view: View;
  readonly caller: Caller | null;
  readonly step: string | null;
  readonly only: Group | null;
};

function RunView({ view, caller, step, only }: RunViewProps) {
  const { run, timeline, hooks, pauses, workflow, inbox, descents, story, first, ancestors, children } = view;
  // Deadlines move by all of it; who paused it last is named.
  const pausedAt = pauses[0]?.startedAt ?? null;
  return (
    <div class="stack run-page">
      <Head run={run} caller={caller} />
      <Summary run={run} pausedAt={pauses.at(-1)?.startedAt ?? null} workflow={workflow} />
      <Parts hasFamily={hasFamily(run, ancestors.length + children.count)} />
      <Waits {...{ run, caller, pausedAt, hooks, descents }} signals={workflow?.signals ?? null}>
        <Inbox received={inbox} />
      </Waits>
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
        <StoryPanel run={run.id} story={story} caller={caller} now={timeline.endedAt} pausedAt={pausedAt} />
      )}
    </div>
  );
}

/** Links to the sections, since a timeline of ten thousand bars is long. */
function Parts({ hasFamily: isFamily }: { readonly hasFamily: boolean }) {
  const parts = [
    ["timeline", "Timeline"],
    ...(isFamily ? [["family", "Family"]] : []),
    ["facts", "About"],
    ["history", "History"],
  ];
  return (
    <nav class="parts" aria-label="Parts of this page">
      {parts.map(([id = "", title]) => (
        <a href={`#${id}`}>{title}</a>
      ))}
    </nav>
  );
}

function createdOf(entry: Entry | null): EntryOf<"run.created"> | null {
  return entry?.kind === "run.created" ? entry : null;
}

/** Of many labels the first; what the run is doing must not be far below. */
const shownLabels = 10;

function drawLabels(labels: readonly (readonly [key: string, value: string])[]) {
  return labels.map(([key, value]) => (
    <a class="tag" href={addressOf("/", { [`label.${key}`]: value })} data-key={`label-${key}`}>
      {key}: {value}
    </a>
  ));
}

function Head({ run, caller }: { readonly run: RunSnapshot; readonly caller: Caller | null }) {
  const { id, workflow, version, status } = run;
  const labels = Object.entries(run.labels);
  const [first, others] = [labels.slice(0, shownLabels), labels.slice(shownLabels)];
  return (
    <div class="head run-head">
      <div class="run-title">
        <p class="row-of">
          <a href={`/workflows/${encodeURIComponent(workflow)}`}>{workflow}</a>{" "}
          <span class="tag">version {version}</span>
        </p>
        <div class="title-line">
          <h1 class="mono">{id}</h1>
          <CopyButton text={id} what="the run’s id" />
        </div>
        <p class="row-of">
          <Status status={status} />
          {drawLabels(first)}
        </p>
        {others.length === 0 ? null : (
          <details class="fold">
            <summary>{others.length} more labels</summary>
            <p class="row-of">{drawLabels(others)}</p>
          </details>
        )}
      </div>
      <Actions run={run} caller={caller} />
    </div>
  );
}

/** Characters of an error's text that can be copied from the page. */
const maxCopied = 40_000;

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
          {error === null ? null : (
            <CopyButton text={textOf(error).slice(0, maxCopied)} what="the error" place="push" />
          )}
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
