/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: the page of runs: the list, the counts by status, what each waits for or why it failed. */
import { originOf } from "../../core/listing/cause.ts";
import { isBuiltIn } from "../../core/name.ts";
import { inLine } from "../../core/sentence/phrase.ts";
import { maxReason, piecesAt } from "../../core/run/reason.ts";
import type { Piece } from "../../core/run/reason.ts";
import { isEnded, runStatuses } from "../../core/run/run.ts";
import type { RunStatus, RunSummary } from "../../core/run/run.ts";
import type { Counts } from "../../core/service/directory.ts";
import type { WorkflowInfo } from "../../core/service/service.ts";
import { readFilter } from "../query.ts";
import type { Call, Route } from "../route.ts";
import { countText } from "./axis.ts";
import { BulkDialogs, BulkMenu } from "./bulk.tsx";
import { Causes, ChosenCause } from "./causes.tsx";
import { queryOf, readParameters, tidy, toggle } from "./filter.ts";
import type { FilterParameters } from "./filter.ts";
import { FilterForm } from "./filters.tsx";
import { Icon } from "./icon.tsx";
import { Instant, Sentence, Span } from "./instant.tsx";
import { Empty, Pager } from "./list.tsx";
import { answer, Page } from "./page.tsx";
import { utcText } from "./span.ts";
import { Status } from "./status.tsx";

const pageLimit = 50;

export const runsPages: readonly Route[] = [{ method: "GET", path: "/", role: "read", page: true, handle: show }];

async function show({ service, request, caller }: Call): Promise<Response> {
  const tidied = tidy(new URL(request.url));
  if (tidied !== null) return new Response(null, { status: 303, headers: { location: tidied } });
  const parameters = readParameters(request);
  const filter = readFilter(parameters);
  const { status: statuses = [], ...others } = filter;
  const cursor = parameters.get("cursor");
  const mayHaveFailed = cursor === undefined && (statuses.length === 0 || statuses.includes("failed"));
  const [{ runs, cursor: next }, counts, causes, workflows] = await Promise.all([
    service.runs.list({ ...filter, limit: pageLimit, ...(cursor === undefined ? {} : { cursor }) }),
    service.directory.count(others, ["status"]),
    mayHaveFailed || filter.cause !== undefined ? service.directory.causes(filter) : [],
    service.workflows.list(),
  ]);
  const chosen = filter.cause === undefined ? null : (causes[0] ?? null);
  const page = (
    <Page request={request} title="Runs" section="runs" caller={caller} live={feedOf(parameters)}>
      <div class="head">
        <h1>Runs</h1>
        <div class="push">
          <BulkMenu filter={filter} caller={caller} />
        </div>
      </div>
      <Chips parameters={parameters} statuses={statuses} counts={counts} />
      <FilterForm parameters={parameters} workflows={workflows.map(({ name }) => name)} />
      {filter.cause === undefined ? (
        <Causes causes={causes} parameters={parameters} isOpen={statuses.join() === "failed"} />
      ) : (
        <ChosenCause cause={chosen} parameters={parameters} />
      )}
      <Table runs={runs} parameters={parameters} workflows={workflows} />
      <Pager
        label="Pages of runs"
        first={cursor === undefined ? null : `/${queryOf(parameters)}`}
        next={next === null ? null : `/${queryOf(parameters, { cursor: next })}`}
      />
      <BulkDialogs filter={filter} cause={chosen} />
    </Page>
  );
  return await answer(page);
}

/** Changes of any status: they move the counts, whatever the list shows. */
function feedOf(parameters: FilterParameters): string {
  return `/v1/directory/events${queryOf(parameters, { status: null })}`;
}

type ChipsProps = {
  readonly parameters: FilterParameters;
  readonly statuses: readonly RunStatus[];
  readonly counts: Counts;
};

function Chips({ parameters, statuses, counts }: ChipsProps) {
  const countOf = new Map(counts.groups.map(({ key, count }) => [key["status"], count]));
  return (
    <nav class="chips" aria-label="Status">
      <a
        class="chip"
        href={`/${queryOf(parameters, { status: null })}`}
        aria-current={statuses.length === 0 ? "true" : undefined}
      >
        <span>all</span>
        <span class="chip-count">{countText(counts.total)}</span>
      </a>
      {runStatuses.map((status) => (
        <a
          class={`chip is-${status}`}
          data-key={`chip-${status}`}
          href={`/${queryOf(parameters, { status: toggle(statuses, status) })}`}
          aria-current={statuses.includes(status) ? "true" : undefined}
          data-none={countOf.has(status) ? undefined : ""}
        >
          <Icon sign={status} />
          <span>{status}</span>
          <span class="chip-count">{countText(countOf.get(status) ?? 0)}</span>
        </a>
      ))}
    </nav>
  );
}

type TableProps = {
  readonly runs: readonly RunSummary[];
  readonly parameters: FilterParameters;
  readonly workflows: readonly WorkflowInfo[];
};

function Table({ runs, parameters, workflows }: TableProps) {
  const versions = new Map(workflows.map((info) => [info.name, info.versions]));
  if (runs.length === 0) return <NoRuns isFiltered={[...parameters.keys()].some((name) => name !== "cursor")} />;
  return (
    <div class="card runs-card">
      <button type="button" class="button primary fresh" data-show-fresh hidden></button>
      <table class="table runs">
        <caption class="sr">Runs, newest first</caption>
        <thead>
          <tr>
            <th scope="col">Status</th>
            <th scope="col">Run</th>
            <th scope="col">What it is doing</th>
            <th scope="col" class="number">
              Steps
            </th>
            <th scope="col" class="number">
              Created
            </th>
            <th scope="col" class="number">
              Took
            </th>
          </tr>
        </thead>
        <tbody data-arrivals>
          {runs.map((run) => (
            <Row run={run} isUndeployed={isUndeployed(run, versions)} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A run that rests is not told of a deployment, and does not report that its code is gone. */
function isUndeployed(
  { status, workflow, version }: RunSummary,
  versions: ReadonlyMap<string, readonly string[]>,
): boolean {
  if (isEnded(status) || isBuiltIn(workflow)) return false;
  return versions.get(workflow)?.includes(version) !== true;
}

type RowProps = { readonly run: RunSummary; readonly isUndeployed: boolean };

function Row({ run, isUndeployed }: RowProps) {
  const { id, workflow, version, status, createdAt, steps } = run;
  return (
    <tr data-row data-key={`run-${id}`}>
      <td class="cell-status">
        <Status status={status} />
      </td>
      <td class="cell-run">
        <a href={`/runs/${encodeURIComponent(id)}`} class="run-id mono">
          {id}
        </a>
        <span class="workflow" title={`version ${version}`}>
          {workflow}
        </span>
      </td>
      <td class="cell-what">
        {isUndeployed ? <span class="tag is-waiting toned">version {run.version} is not deployed</span> : null}
        <What run={run} />
      </td>
      <td class="cell-steps number">
        {steps.completed}
        <span class="sr"> completed</span>
        {steps.failed > 0 ? <span class="failed-steps"> {steps.failed} failed</span> : null}
      </td>
      <td class="cell-age number">
        <Instant at={createdAt} form="ago" />
      </td>
      <td class="cell-took number">
        <Took run={run} />
      </td>
    </tr>
  );
}

/** Why it does not go on, what it failed of, or nothing; then its labels. */
function What({ run }: { readonly run: RunSummary }) {
  const { status, error, labels } = run;
  const origin = status === "failed" && error !== null ? originOf(error) : null;
  const whole = piecesAt(run, Date.now());
  const cause = inLine(origin?.error.message ?? "", maxReason);
  const pieces = cause === "" ? whole : [cause];
  return (
    <>
      {error === null || error.code === undefined || status !== "failed" ? null : <code class="tag">{error.code}</code>}
      {pieces.length === 0 ? null : (
        <span class="said" title={whole.map(untimed).join("")}>
          <Sentence pieces={pieces} />
        </span>
      )}
      {Object.entries(labels)
        .slice(0, 3)
        .map(([key, value]) => (
          <a class="tag" href={`/${queryOf(new Map(), { [`label.${key}`]: value })}`}>
            {key}={value}
          </a>
        ))}
    </>
  );
}

/** What does not count down says when instead. */
function untimed(piece: Piece): string {
  if (typeof piece === "string") return piece;
  if (piece.form === "left") return "…";
  return piece.form === "in" ? `at ${utcText(piece.at)}` : utcText(piece.at);
}

function Took({ run: { status, createdAt, startedAt, finishedAt } }: { readonly run: RunSummary }) {
  if (finishedAt !== null) return <Span ms={finishedAt - createdAt} />;
  if (startedAt === null || isEnded(status)) return <span class="faint">–</span>;
  return <Instant at={createdAt} form="since" />;
}

function NoRuns({ isFiltered }: { readonly isFiltered: boolean }) {
  if (isFiltered) {
    return (
      <div class="card">
        <Empty title="No run fits this filter">
          <p>
            <a class="button plain" href="/">
              Show all runs
            </a>
          </p>
        </Empty>
      </div>
    );
  }
  return (
    <div class="card">
      <Empty title="No runs yet" sign="bolt">
        <p>Start one from a workflow, and it appears here at once.</p>
        <p>
          <a class="button primary" href="/workflows">
            To the workflows
          </a>
        </p>
      </Empty>
    </div>
  );
}
