/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: the page of one workflow: starting a run, its statistics, its input and its terms. */
import { fieldOf } from "../../core/form/form.ts";
import type { Field } from "../../core/form/field.ts";
import { isBuiltIn } from "../../core/name.ts";
import type { RunSummary } from "../../core/run/run.ts";
import type { WorkflowInfo } from "../../core/service/service.ts";
import type { Stats } from "../../core/stats/stats.ts";
import type { ScheduleInfo } from "../../core/service/schedules.ts";
import type { Caller } from "../auth/auth.ts";
import { readQuery } from "../query.ts";
import type { Call, Route } from "../route.ts";
import { ActionButton, ActionDialog } from "./dialog.tsx";
import { FormField } from "./field.tsx";
import { ValueForm } from "./form.tsx";
import { Instant, Span } from "./instant.tsx";
import { Empty } from "./list.tsx";
import { orNull } from "./absence.ts";
import { answer, Page } from "./page.tsx";
import { Cron } from "./schedules.tsx";
import { SchemaView } from "./schema.tsx";
import { Overview, StepsCard } from "./stats.tsx";
import { Status } from "./status.tsx";
import { Counts } from "./tally.tsx";
import { Terms } from "./terms.tsx";
import { addressOf, readWindow, refreshSeconds, WindowChooser } from "./window.tsx";
import type { Window } from "./window.tsx";

const recentRuns = 10;

export const workflowPages: readonly Route[] = [
  { method: "GET", path: "/workflows/:name", role: "read", page: true, handle: show },
];

async function show({ service, request, caller, param }: Call): Promise<Response> {
  const window = readWindow(readQuery(request, ["window"]), "24h");
  const name = param("name");
  const [info, stats, { runs }] = await Promise.all([
    orNull(service.workflows.find(name), "workflow_not_found"),
    service.stats.read({ workflow: name, from: window.from, until: window.until }),
    service.runs.list({ workflow: name, limit: recentRuns }),
  ]);
  if (info === null) {
    const page = <Unlisted request={request} caller={caller} name={name} runs={runs} />;
    return await answer(page, { status: 404 });
  }
  return await answer(
    <Page request={request} title={name} section="workflows" caller={caller}>
      <Head info={info} caller={caller} />
      <StartDialog info={info} />
      <div class="stack" data-refresh={refreshSeconds(window)}>
        <div class="row-of">
          <h2>How it does</h2>
          <div class="push">
            <WindowChooser window={window} path={`/workflows/${encodeURIComponent(name)}`} />
          </div>
        </div>
        <Figures stats={stats} window={window} name={name} />
        <div class="pair">
          <RunsCard name={name} runs={runs} />
          <SchedulesCard name={name} schedules={info.schedules} />
        </div>
        <Definition info={info} />
      </div>
    </Page>,
  );
}

type UnlistedProps = Pick<Call, "request" | "caller"> & { readonly name: string; readonly runs: readonly RunSummary[] };

/** A workflow that was taken out of the code, or one of Holdfast's own, has no definition here, and runs nevertheless. */
function Unlisted({ request, caller, name, runs }: UnlistedProps) {
  return (
    <Page request={request} title={name} section="workflows" caller={caller}>
      <div class="head">
        <h1>{name}</h1>
      </div>
      <div class="stack">
        <section class="card">
          {isBuiltIn(name) ? (
            <Empty title="This workflow is one of Holdfast’s own" sign="step">
              <p>Its runs do what was asked of Holdfast itself, such as acting on many runs.</p>
            </Empty>
          ) : (
            <Empty title="This deployment has no workflow of this name" sign="warning">
              <p>Runs that have not ended wait for a deployment that has it.</p>
            </Empty>
          )}
        </section>
        <RunsCard name={name} runs={runs} />
      </div>
    </Page>
  );
}

function Head({ info, caller }: { readonly info: WorkflowInfo; readonly caller: Caller | null }) {
  const { name, version, versions, counts } = info;
  return (
    <div class="head">
      <h1>{name}</h1>
      <span class="tag">version {version}</span>
      {versions
        .filter((each) => each !== version)
        .map((each) => (
          <span class="tag" title="Runs that began with it go on with it">
            {each}
          </span>
        ))}
      <Counts workflow={name} counts={counts} />
      <div class="push row-of">
        <a class="button plain" href={addressOf("/", { workflow: name })}>
          All runs
        </a>
        <ActionButton dialog="start" caller={caller} role="operate" look="primary" sign="plus">
          Start a run
        </ActionButton>
      </div>
    </div>
  );
}

/** Labels are text under names of the user's choice. */
const labels: Field = {
  kind: "object",
  members: [],
  others: { kind: "text", format: "plain", nullable: false },
  nullable: false,
};

function StartDialog({ info }: { readonly info: WorkflowInfo }) {
  const { name, input } = info;
  return (
    <ActionDialog
      id="start"
      title={`Start ${name}`}
      action={`/v1/workflows/${encodeURIComponent(name)}/runs`}
      submit="Start"
      done="Started."
      then="/runs/{id}"
      why="optional"
      wide
    >
      <ValueForm id="start-input" label="Input" field={fieldOf(input)} name="input" />
      <details class="more">
        <summary>Id, delay, labels</summary>
        <div class="fields">
          <FormField label="Id" hint="made for you unless given">
            <input
              id="start-id"
              name="id"
              maxlength={128}
              pattern="[A-Za-z0-9][A-Za-z0-9._:\-]*"
              title="Letters, digits and . _ : -, beginning with a letter or a digit"
              autocomplete="off"
              spellcheck={false}
            />
          </FormField>
          <FormField label="Delay" hint="such as 10 minutes">
            <input id="start-delay" name="delay" maxlength={64} autocomplete="off" spellcheck={false} />
          </FormField>
          <FormField label="or not before" hint="your time">
            <input id="start-at" name="startAt" type="datetime-local" />
          </FormField>
        </div>
        <ValueForm id="start-labels" label="Labels" field={labels} name="labels" plain />
      </details>
    </ActionDialog>
  );
}

type FiguresProps = { readonly stats: Stats; readonly window: Window; readonly name: string };

function Figures({ stats, window, name }: FiguresProps) {
  return (
    <>
      <Overview stats={stats} window={window} name={name} />
      <StepsCard stats={stats} window={window} withWorkflow={false} />
    </>
  );
}

function RunsCard({ name, runs }: { readonly name: string; readonly runs: readonly RunSummary[] }) {
  return (
    <section class="card" aria-labelledby="recent">
      <div class="card-head">
        <h2 id="recent">Recent runs</h2>
        <a class="push" href={addressOf("/", { workflow: name })}>
          All
        </a>
      </div>
      {runs.length === 0 ? (
        <p class="card-body faint">None yet. Start one.</p>
      ) : (
        <ul class="lines">
          {runs.map((run) => (
            <li data-row data-key={run.id}>
              <Status status={run.status} />
              <a class="mono lines-id" href={`/runs/${encodeURIComponent(run.id)}`}>
                {run.id}
              </a>
              <span class="faint lines-end">
                {run.finishedAt === null ? null : (
                  <>
                    <Span ms={run.finishedAt - run.createdAt} />
                    {" · "}
                  </>
                )}
                <Instant at={run.createdAt} form="ago" />
              </span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function SchedulesCard({ name, schedules }: { readonly name: string; readonly schedules: readonly ScheduleInfo[] }) {
  return (
    <section class="card" aria-labelledby="its-schedules">
      <div class="card-head">
        <h2 id="its-schedules">Schedules</h2>
        <a class="push" href={addressOf("/schedules", { workflow: name })}>
          {schedules.length === 0 ? "Add one" : "All of it"}
        </a>
      </div>
      {schedules.length === 0 ? (
        <p class="card-body faint">Nothing starts it by the clock.</p>
      ) : (
        <ul class="lines">
          {schedules.map((schedule) => (
            <li data-key={schedule.id}>
              <a class="lines-id" href={addressOf("/schedules", { workflow: name })}>
                {schedule.id}
              </a>
              <Cron cron={schedule.cron} timezone={schedule.timezone} />
              <span class="faint lines-end">
                {schedule.paused !== null ? (
                  <span class="is-paused toned">paused</span>
                ) : schedule.next[0] === undefined ? null : (
                  <Instant at={schedule.next[0]} form="ago" />
                )}
              </span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Definition({ info }: { readonly info: WorkflowInfo }) {
  const signals = Object.entries(info.signals);
  return (
    <section class="card" aria-labelledby="definition">
      <div class="card-head">
        <h2 id="definition">Definition</h2>
      </div>
      <div class="card-body">
        <Terms terms={info.terms} workflow={info.name} />
      </div>
      <div class="card-body definition pair">
        <div>
          <h3>Input</h3>
          <SchemaView schema={info.input} id="schema-input" />
        </div>
        <div>
          <h3>Signals</h3>
          {signals.length === 0 ? (
            <p class="faint">None with a schema: a run takes any payload under any name.</p>
          ) : (
            signals.map(([signal, schema], index) => (
              <div class="schema-signal">
                <h4>
                  <code>{signal}</code>
                </h4>
                <SchemaView schema={schema} id={`schema-signal-${index}`} />
              </div>
            ))
          )}
        </div>
      </div>
    </section>
  );
}
