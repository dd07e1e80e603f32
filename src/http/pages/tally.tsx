/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: figures about runs: tiles with one each, how many there are of each status, and which steps fail most. */
import type { JSX } from "hono/jsx/jsx-runtime";
import { runStatuses } from "../../core/run/run.ts";
import type { RunStatus } from "../../core/run/run.ts";
import type { Durations, StepStats, WorkflowStats } from "../../core/stats/stats.ts";
import { Ratio, total } from "./spark.tsx";
import { Icon } from "./icon.tsx";
import { countText, shareText } from "./axis.ts";
import { spanText } from "./span.ts";
import { addressOf } from "./window.tsx";

type TileProps = {
  readonly title: string;
  readonly figure: string;
  readonly tone?: string | undefined;
  readonly note?: JSX.Element | string;
};

function Tile({ title, figure, tone, note }: TileProps) {
  return (
    <div class="tile">
      <dt>{title}</dt>
      <dd class={`tile-figure ${tone === undefined ? "" : `is-${tone}`}`}>{figure}</dd>
      {note === undefined ? null : <dd class="tile-note">{note}</dd>}
    </div>
  );
}

/** How long runs took, as two cells of a row. */
export function QuantileCells({ durations }: { readonly durations: Durations | null }) {
  return (
    <>
      {(["p50", "p95"] as const).map((name) => (
        <td class="number" data-label={name}>
          {durations === null ? "–" : spanText(durations[name])}
        </td>
      ))}
    </>
  );
}

type Figures = Pick<WorkflowStats, "completed" | "failed" | "cancelled" | "open" | "successRate" | "durations">;

export function Tiles({ figures }: { readonly figures: Figures }) {
  const { completed, failed, open, successRate, durations } = figures;
  return (
    <dl class="tiles">
      <Tile title="Runs" figure={countText(total(figures))} note={`${countText(open)} not ended yet`} />
      <Tile
        title="Success rate"
        figure={shareText(successRate)}
        note={
          successRate === null ? (
            "no run has ended"
          ) : (
            <Ratio
              share={successRate}
              tone="completed"
              label={`${countText(completed)} of ${countText(completed + failed)}`}
            />
          )
        }
      />
      <Tile
        title="Failed"
        figure={countText(failed)}
        tone={failed > 0 ? "failed" : undefined}
        note={failed === 0 ? "none" : `${shareText(failed / total(figures))} of all`}
      />
      <Tile
        title="Duration, p50"
        figure={durations === null ? "–" : spanText(durations.p50)}
        note={durations === null ? "no run has ended" : "half were faster"}
      />
      <Tile
        title="Duration, p95"
        figure={durations === null ? "–" : spanText(durations.p95)}
        note={durations === null ? "no run has ended" : `longest ${spanText(durations.max)}`}
      />
    </dl>
  );
}

type CountsProps = { readonly workflow: string; readonly counts: Readonly<Record<RunStatus, number>> };

/** How many runs there are of each status that has any, each a way to them. */
export function Counts({ workflow, counts }: CountsProps) {
  const there = runStatuses.filter((status) => counts[status] > 0);
  if (there.length === 0) return <span class="faint">no runs</span>;
  return (
    <span class="counts">
      {there.map((status) => (
        <a
          class={`count is-${status}`}
          href={addressOf("/", { workflow, status })}
          title={`${countText(counts[status])} ${status}`}
        >
          <Icon sign={status} />
          {countText(counts[status])}
          <span class="sr"> {status}</span>
        </a>
      ))}
    </span>
  );
}

export type NamedStep = StepStats & { readonly workflow: string };

type StepsProps = { readonly steps: readonly NamedStep[]; readonly withWorkflow: boolean };

export function FailingSteps({ steps, withWorkflow }: StepsProps) {
  return (
    <table class="table cards">
      <caption class="sr">Steps, those that fail most first</caption>
      <thead>
        <tr>
          <th scope="col">Step</th>
          {withWorkflow ? <th scope="col">Workflow</th> : null}
          <th scope="col">Failure rate</th>
          <th scope="col" class="number">
            Failed
          </th>
          <th scope="col" class="number">
            Completed
          </th>
          <th scope="col" class="number">
            Failed attempts
          </th>
          <th scope="col" class="number">
            Mean
          </th>
        </tr>
      </thead>
      <tbody>
        {steps.map((step) => (
          <StepRow step={step} withWorkflow={withWorkflow} />
        ))}
      </tbody>
    </table>
  );
}

function StepRow({ step, withWorkflow }: { readonly step: NamedStep; readonly withWorkflow: boolean }) {
  return (
    <tr data-key={`${step.workflow} ${step.step}`}>
      <th scope="row">
        <code>{step.step}</code>
      </th>
      {withWorkflow ? (
        <td data-label="Workflow">
          <a href={`/workflows/${encodeURIComponent(step.workflow)}`}>{step.workflow}</a>
        </td>
      ) : null}
      <td data-label="Failure rate">
        <Ratio share={step.failureRate} tone="failed" />
      </td>
      <td class="number" data-label="Failed">
        {countText(step.failed)}
      </td>
      <td class="number" data-label="Completed">
        {countText(step.completed)}
      </td>
      <td class="number" data-label="Failed attempts">
        {countText(step.failedAttempts)}
      </td>
      <td class="number" data-label="Mean">
        {step.meanMs === null ? "–" : spanText(step.meanMs)}
      </td>
    </tr>
  );
}

/** Those with any failure, the worst first: by calls that failed for good, then by attempts that did. */
export function failing(workflows: readonly WorkflowStats[], count: number): NamedStep[] {
  return workflows
    .flatMap(({ workflow, steps }) => steps.map((step) => ({ ...step, workflow })))
    .filter(({ failed, failedAttempts }) => failed + failedAttempts > 0)
    .toSorted((one, other) => other.failed - one.failed || other.failedAttempts - one.failedAttempts)
    .slice(0, count);
}
