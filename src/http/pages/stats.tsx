/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: the page of statistics over time: of all workflows, or of one. */
import type { Stats, WorkflowStats } from "../../core/stats/stats.ts";
import { readParameter, readQuery } from "../query.ts";
import { asName } from "../reading.ts";
import type { Call, Route } from "../route.ts";
import { countText } from "./axis.ts";
import { DurationChart, OutcomeChart } from "./chart.tsx";
import { Ratio, Sparkline, total } from "./spark.tsx";
import { Instant } from "./instant.tsx";
import { Empty } from "./list.tsx";
import { answer, Page } from "./page.tsx";
import { spanText } from "./span.ts";
import { failing, FailingSteps, QuantileCells, Tiles } from "./tally.tsx";
import { readWindow, refreshSeconds, runsAddress, WindowChooser } from "./window.tsx";
import type { Window } from "./window.tsx";

const shownSteps = 15;

export const statsPages: readonly Route[] = [{ method: "GET", path: "/stats", role: "read", page: true, handle: show }];

async function show({ service, request, caller }: Call): Promise<Response> {
  const query = readQuery(request, ["window", "workflow"]);
  const name = readParameter(query, "workflow", asName);
  const workflow = name === undefined ? {} : { workflow: name };
  const window = readWindow(query, "24h");
  const [stats, listed] = await Promise.all([
    service.stats.read({ ...workflow, from: window.from, until: window.until }),
    service.workflows.list(),
  ]);
  return await answer(
    <Page request={request} title={name === undefined ? "Stats" : `Stats of ${name}`} section="stats" caller={caller}>
      <div class="head">
        <h1>Stats</h1>
        <form class="row-of" method="get" action="/stats">
          <input type="hidden" name="window" value={window.name} />
          <label class="sr" for="workflow">
            Workflow
          </label>
          <select id="workflow" name="workflow" class="chooser" data-filter data-submits>
            <option value="" selected={name === undefined}>
              all workflows
            </option>
            {namesOf(
              listed.map((each) => each.name),
              name,
            ).map((each) => (
              <option value={each} selected={each === name}>
                {each}
              </option>
            ))}
          </select>
          <button type="submit" class="button plain" data-script-less>
            Show
          </button>
        </form>
        <div class="push">
          <WindowChooser window={window} path="/stats" kept={{ workflow: name }} />
        </div>
      </div>
      <div class="stack" data-refresh={refreshSeconds(window)}>
        <Overview stats={stats} window={window} name={name} />
        {name === undefined ? <WorkflowsCard stats={stats} window={window} /> : null}
        <StepsCard stats={stats} window={window} withWorkflow={name === undefined} />
        {name === undefined ? <LanesCard stats={stats} /> : null}
      </div>
    </Page>,
  );
}

/** One that has left the code can still be looked at. */
function namesOf(listed: readonly string[], name: string | undefined): readonly string[] {
  return name === undefined || listed.includes(name) ? listed : [...listed, name];
}

type OverviewProps = { readonly stats: Stats; readonly window: Window; readonly name: string | undefined };

/** Figures and pictures; the workflow's own page has them too. */
export function Overview({ stats, window, name }: OverviewProps) {
  const { slices, sliceMs } = stats;
  const href = (from: number, until: number): string => runsAddress(from, until, name);
  return (
    <>
      <Tiles figures={stats.total} />
      {total(stats.total) === 0 ? (
        <section class="card">
          <Empty title={`No run was created in the ${window.text}`}>
            <p>Choose a longer window, or start one.</p>
          </Empty>
        </section>
      ) : (
        <div class="pair">
          <section class="card" aria-labelledby="over-time">
            <div class="card-head">
              <h2 id="over-time">Runs over time</h2>
              <span class="faint">by when they were created, a bar is {spanText(sliceMs)}</span>
            </div>
            <div class="card-body">
              <OutcomeChart slices={slices} sliceMs={sliceMs} href={href} />
            </div>
          </section>
          <section class="card" aria-labelledby="durations">
            <div class="card-head">
              <h2 id="durations">Duration</h2>
              <span class="faint">from creation to end, of completed and failed runs</span>
            </div>
            <div class="card-body">
              <DurationChart slices={slices} sliceMs={sliceMs} href={href} />
            </div>
          </section>
        </div>
      )}
    </>
  );
}

function WorkflowsCard({ stats, window }: { readonly stats: Stats; readonly window: Window }) {
  const rows = stats.workflows.filter((each) => total(each) > 0).toSorted((one, other) => total(other) - total(one));
  if (rows.length === 0) return null;
  return (
    <section class="card" aria-labelledby="by-workflow">
      <div class="card-head">
        <h2 id="by-workflow">By workflow</h2>
      </div>
      <table class="table cards">
        <thead>
          <tr>
            <th scope="col">Workflow</th>
            <th scope="col">Success rate</th>
            {["Runs", "Failed", "Open", "p50", "p95"].map((title) => (
              <th scope="col" class="number">
                {title}
              </th>
            ))}
            <th scope="col">Over time</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <WorkflowRow row={row} window={window} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

function WorkflowRow({ row, window }: { readonly row: WorkflowStats; readonly window: Window }) {
  const { workflow, durations } = row;
  const runs = (status?: string): string => runsAddress(window.from, window.until, workflow, status);
  return (
    <tr data-row data-key={workflow}>
      <th scope="row">
        <a href={`/workflows/${encodeURIComponent(workflow)}?window=${window.name}`}>{workflow}</a>
      </th>
      <td data-label="Success rate">
        <Ratio share={row.successRate} tone="completed" />
      </td>
      <td class="number" data-label="Runs">
        <a href={runs()}>{countText(total(row))}</a>
      </td>
      <td class="number" data-label="Failed">
        {row.failed === 0 ? "0" : <a href={runs("failed")}>{countText(row.failed)}</a>}
      </td>
      <td class="number" data-label="Open">
        {countText(row.open)}
      </td>
      <QuantileCells durations={durations} />
      <td class="is-wide" data-label="Over time">
        <Sparkline slices={row.slices} label={`${total(row)} runs over time, ${row.failed} of them failed`} />
      </td>
    </tr>
  );
}

type StepsCardProps = { readonly stats: Stats; readonly window: Window; readonly withWorkflow: boolean };

export function StepsCard({ stats, window, withWorkflow }: StepsCardProps) {
  const steps = failing(stats.workflows, shownSteps);
  return (
    <section class="card" aria-labelledby="failing">
      <div class="card-head">
        <h2 id="failing">Steps that fail most</h2>
      </div>
      {steps.length === 0 ? (
        <p class="card-body faint">No step has failed in the {window.text}.</p>
      ) : (
        <FailingSteps steps={steps} withWorkflow={withWorkflow} />
      )}
    </section>
  );
}

function LanesCard({ stats }: { readonly stats: Stats }) {
  const { lanes, moreLanes } = stats;
  if (lanes.length === 0) return null;
  const fullest = lanes.toSorted((one, other) => other.waiting - one.waiting || other.used - one.used).slice(0, 20);
  return (
    <section class="card" aria-labelledby="depth">
      <div class="card-head">
        <h2 id="depth">Lanes</h2>
        <span class="faint">now, those with the most waiting first</span>
        <a class="push" href="/lanes">
          All lanes
        </a>
      </div>
      <table class="table cards">
        <thead>
          <tr>
            <th scope="col">Lane</th>
            <th scope="col">In use</th>
            <th scope="col" class="number">
              Waiting
            </th>
            <th scope="col">Next in line since</th>
          </tr>
        </thead>
        <tbody>
          {fullest.map((lane) => (
            <LaneRow lane={lane} />
          ))}
        </tbody>
      </table>
      {moreLanes ? <p class="card-body faint">There are more lanes than are looked at here.</p> : null}
    </section>
  );
}

function LaneRow({ lane: { name, limit, used, waiting, nextSinceAt } }: { readonly lane: Stats["lanes"][number] }) {
  return (
    <tr data-key={name}>
      <th scope="row">
        <a href={`/lanes?lane=${encodeURIComponent(name)}`}>{name}</a>
      </th>
      <td data-label="In use">
        <Ratio
          share={limit === null || limit === 0 ? null : used / limit}
          tone="lane"
          label={limit === null ? `${used}` : `${used} of ${limit}`}
        />
      </td>
      <td class="number" data-label="Waiting">
        {waiting}
      </td>
      <td data-label="Next since">{nextSinceAt === null ? "–" : <Instant at={nextSinceAt} form="ago" />}</td>
    </tr>
  );
}
