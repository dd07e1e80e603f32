/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: the page that lists the workflows, with their statistics. */
import { isBuiltIn } from "../../core/name.ts";
import { isEnded, runStatuses } from "../../core/run/run.ts";
import type { Counts as GroupCounts } from "../../core/service/directory.ts";
import type { WorkflowInfo } from "../../core/service/service.ts";
import type { Stats, WorkflowStats } from "../../core/stats/stats.ts";
import { readQuery } from "../query.ts";
import type { Call, Route } from "../route.ts";
import { countText } from "./axis.ts";
import { Icon } from "./icon.tsx";
import { Ratio, Sparkline, total } from "./spark.tsx";
import { Empty } from "./list.tsx";
import { answer, Page } from "./page.tsx";
import { Counts, QuantileCells } from "./tally.tsx";
import { readWindow, refreshSeconds, WindowChooser } from "./window.tsx";
import type { Window } from "./window.tsx";

export const workflowsPages: readonly Route[] = [
  { method: "GET", path: "/workflows", role: "read", page: true, handle: show },
];

async function show({ service, request, caller }: Call): Promise<Response> {
  const window = readWindow(readQuery(request, ["window"]), "24h");
  const open = runStatuses.filter((status) => !isEnded(status));
  const [workflows, stats, counts] = await Promise.all([
    service.workflows.list(),
    service.stats.read({ from: window.from, until: window.until }),
    service.directory.count({ status: open }, ["workflow"]),
  ]);
  return await answer(
    <Page request={request} title="Workflows" section="workflows" caller={caller}>
      <div class="head">
        <h1>Workflows</h1>
        <span class="faint">{workflows.length}</span>
        <div class="push">
          <WindowChooser window={window} path="/workflows" />
        </div>
      </div>
      <Orphans workflows={workflows} counts={counts} />
      {workflows.length === 0 ? <None /> : <Table workflows={workflows} stats={stats} window={window} />}
    </Page>,
  );
}

type OrphansProps = { readonly workflows: readonly WorkflowInfo[]; readonly counts: GroupCounts };

/** Runs whose workflow was taken out of the code wait for it, and no row below shows them. */
function Orphans({ workflows, counts }: OrphansProps) {
  const known = new Set(workflows.map(({ name }) => name));
  const orphans = counts.groups.flatMap(({ key: { workflow = null }, count }) =>
    workflow === null || known.has(workflow) || isBuiltIn(workflow) ? [] : [{ workflow, count }],
  );
  if (orphans.length === 0) return null;
  return (
    <p class="notice is-waiting orphans">
      <Icon sign="warning" />
      <span>
        Runs wait for workflows that this deployment does not have:{" "}
        {orphans.map(({ workflow, count }, index) => (
          <>
            {index === 0 ? "" : ", "}
            <a href={`/workflows/${encodeURIComponent(workflow)}`}>{workflow}</a> ({countText(count)})
          </>
        ))}
      </span>
    </p>
  );
}

function None() {
  return (
    <section class="card">
      <Empty title="This deployment has no workflows">
        <p>
          Give some to <code>createWorker</code> and deploy.
        </p>
      </Empty>
    </section>
  );
}

type TableProps = { readonly workflows: readonly WorkflowInfo[]; readonly stats: Stats; readonly window: Window };

function Table({ workflows, stats, window }: TableProps) {
  const byName = new Map(stats.workflows.map((each) => [each.workflow, each]));
  return (
    <section class="card" data-refresh={refreshSeconds(window)} aria-label="Workflows">
      <table class="table cards">
        <thead>
          <tr>
            <th scope="col">Workflow</th>
            <th scope="col">Runs now</th>
            <th scope="col">Success rate</th>
            <th scope="col" class="number">
              p50
            </th>
            <th scope="col" class="number">
              p95
            </th>
            <th scope="col">The {window.text}</th>
          </tr>
        </thead>
        <tbody>
          {workflows.map((info) => (
            <Row info={info} stats={byName.get(info.name)} window={window} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

type RowProps = { readonly info: WorkflowInfo; readonly stats: WorkflowStats | undefined; readonly window: Window };

function Row({ info, stats, window }: RowProps) {
  const { name, versions, version, schedules, counts } = info;
  const durations = stats?.durations ?? null;
  const runs = stats === undefined ? 0 : total(stats);
  return (
    <tr data-row data-key={name} class={runs === 0 ? "is-idle" : undefined}>
      <th scope="row">
        <a href={`/workflows/${encodeURIComponent(name)}?window=${window.name}`}>{name}</a>
        <span class="row-notes">
          <span class="tag">version {version}</span>
          {versions.length > 1 ? <span class="tag">{versions.length} versions</span> : null}
          {schedules.length === 0 ? null : (
            <span class="tag">{schedules.length === 1 ? "1 schedule" : `${schedules.length} schedules`}</span>
          )}
        </span>
      </th>
      <td class="is-wide" data-label="Runs now">
        <Counts workflow={name} counts={counts} />
      </td>
      <td data-label="Success rate">
        <Ratio share={stats?.successRate ?? null} tone="completed" />
      </td>
      <QuantileCells durations={durations} />
      <td class="is-wide" data-label="Runs over time">
        {stats === undefined || runs === 0 ? (
          <span class="faint">none</span>
        ) : (
          <span class="spark-row">
            <Sparkline
              slices={stats.slices}
              label={`${runs} runs in the ${window.text}, ${stats.failed} of them failed`}
            />
            <span class="faint">{countText(runs)}</span>
          </span>
        )}
      </td>
    </tr>
  );
}
