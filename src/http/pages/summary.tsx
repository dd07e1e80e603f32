/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: the summary at the top of a run's page: what it is doing now, and why. */
import { maxCauseDepth } from "../../core/error.ts";
import { originOf } from "../../core/listing/cause.ts";
import type { Origin } from "../../core/listing/cause.ts";
import { inLine } from "../../core/sentence/phrase.ts";
import { maxReason, piecesAt } from "../../core/run/reason.ts";
import type { Piece } from "../../core/run/reason.ts";
import type { RunSnapshot } from "../../core/run/run.ts";
import type { WorkflowInfo } from "../../core/service/service.ts";
import { toJson } from "../../core/value/json.ts";
import { decode } from "../../core/value/value.ts";
import { barAddress } from "./bar.ts";
import { Icon } from "./icon.tsx";
import { Instant, Sentence, Span } from "./instant.tsx";
import { Value } from "./value.tsx";

const maxActive = 6;

type SummaryProps = {
  readonly run: RunSnapshot;
  /** When it was paused last; null where it is not paused. */
  readonly pausedAt: number | null;
  /** Of a run that lacks its code: the workflow as this deployment has it; null where it has none. */
  readonly workflow: WorkflowInfo | null;
};

export function Summary({ run, pausedAt, workflow }: SummaryProps) {
  const { status, error } = run;
  // The run's own reason names all runs between, and may be cut before it comes to the point.
  const origin = status === "failed" && error !== null ? originOf(error) : null;
  return (
    <section class={`card now is-${run.status}`} aria-label="What it is doing now">
      <div class="now-line">
        <Icon sign={run.status} />
        <p id="now-sentence" class="sentence" aria-live="polite">
          <Doing run={run} origin={origin} pausedAt={pausedAt} />
        </p>
      </div>
      {origin === null ? null : <Place origin={origin} />}
      {lacksCode(run) ? <Missing run={run} workflow={workflow} /> : null}
      <Active run={run} />
      <Progress run={run} />
    </section>
  );
}

/** Where it happened, unless the chain of causes was cut before it came to that. */
function Place({ origin: { error, run, depth } }: { readonly origin: Origin }) {
  const isCut = depth === maxCauseDepth && error.code === "child_failed" && error.child !== undefined;
  const how = depth === 1 ? "." : `, ${depth} generations down.`;
  return (
    <p class="now-more">
      It happened in {isCut ? "a child of " : ""}run <a href={`/runs/${encodeURIComponent(run)}`}>{run}</a>
      {isCut ? `, or further down: the causes of no more than ${depth} generations are kept.` : how}
    </p>
  );
}

/** Only of such a run the sentence has no part that depends on the clock. */
export function lacksCode({ status, lead }: RunSnapshot): boolean {
  return (status === "waiting" || status === "queued") && lead === undefined;
}

/** What can be done for a run whose version this deployment does not have. */
function Missing({ run, workflow }: Omit<SummaryProps, "pausedAt">) {
  return (
    <p class="now-more">
      It goes on by itself once a deployment has version {run.version}{" "}
      {workflow === null ? "of the workflow again." : `again, beside version ${workflow.version}.`} What comes until
      then is kept.
      {workflow === null ? null : ` A fork runs with version ${workflow.version}.`}
    </p>
  );
}

function Doing({ run, origin, pausedAt }: EndProps & Pick<SummaryProps, "pausedAt">) {
  const { status, createdAt, finishedAt } = run;
  switch (status) {
    case "completed":
      return (
        <>
          Completed in <Span ms={(finishedAt ?? createdAt) - createdAt} />,{" "}
          <Instant at={finishedAt ?? createdAt} form="ago" />.
        </>
      );
    case "failed":
    case "cancelled":
      return (
        <>
          <End run={run} origin={origin} /> <Ago at={finishedAt ?? createdAt} />
        </>
      );
    case "running":
    case "queued":
    case "waiting":
    case "paused":
      return (
        <>
          <Sentence pieces={capital(piecesAt(run, Date.now()), status)} />{" "}
          {pausedAt === null ? null : <Ago at={pausedAt} />}
        </>
      );
    default:
      return status satisfies never;
  }
}

function Ago({ at }: { readonly at: number }) {
  return (
    <span class="faint" aria-live="off">
      <Instant at={at} form="ago" />
    </span>
  );
}

const ends: Readonly<Record<string, string>> = {
  terminated: "Terminated",
  bailed: "Gave up",
  start_expired: "Never began",
};

type EndProps = { readonly run: RunSnapshot; readonly origin: Origin | null };

/** How the run ended and why, with the step that it failed of where its error tells. */
function End({ run, origin }: EndProps) {
  const { status, error } = run;
  const reason = run.reason ?? `the run has ${status}`;
  // If somebody cancelled or terminated the run, the reason says so.
  const isWhole = status === "cancelled" && reason !== inLine(error?.message ?? "", maxReason);
  if (isWhole) return <>{upper(reason)}</>;
  return (
    <>
      <Where run={run} />
      {inLine(origin?.error.message ?? "", maxReason) || reason}
    </>
  );
}

function Where({ run: { id, error, status } }: { readonly run: RunSnapshot }) {
  const step = error?.step;
  if (status === "cancelled") return <>{ends[error?.code ?? ""] ?? "Cancelled"}: </>;
  // What a limit refused was never called, and has no bar.
  if (step === undefined || error?.code === "limit_exceeded") return <>Failed: </>;
  return (
    <>
      Failed in{" "}
      <a href={barAddress(id, step)} data-step={step}>
        {step}
      </a>
      :{" "}
    </>
  );
}

/** The text with a capital at the beginning. */
function capital(pieces: readonly Piece[], status: RunSnapshot["status"]): readonly Piece[] {
  const [first = status === "running" ? "the handler is at work" : status, ...rest] = pieces;
  return [typeof first === "string" ? upper(first) : first, ...rest];
}

function upper(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}

function Active({ run }: { readonly run: RunSnapshot }) {
  const { active, steps } = run;
  if (active.length === 0) return null;
  const more = Math.max(0, steps.running - maxActive);
  return (
    <ul class="active" aria-label="Attempts in flight">
      {active.slice(0, maxActive).map(({ step, attempt, since, until }) => (
        <li data-key={step}>
          <a href={barAddress(run.id, step)} data-step={step}>
            {step}
          </a>
          <span class="faint">
            attempt {attempt}, for <Instant at={since} form="since" />
            {until === undefined ? null : (
              <>
                , times out <Instant at={until} form="in" />
              </>
            )}
          </span>
        </li>
      ))}
      {more === 0 ? null : <li class="faint">and {more} more</li>}
    </ul>
  );
}

function Progress({ run }: { readonly run: RunSnapshot }) {
  if (run.progress === null) return null;
  const json = toJson(decode(run.progress));
  const share = shareOf(json);
  return (
    <div class="progress">
      <p class="label" id="progress-label">
        Progress
      </p>
      {share === null ? null : <progress value={share} max={1} aria-labelledby="progress-label"></progress>}
      {typeof json === "number" && share !== null ? (
        <span>{Math.round(share * 100)} %</span>
      ) : (
        <Value json={json} id="progress-value" />
      )}
    </div>
  );
}

/** A number from 0 to 1, or how many are done of how many. */
function shareOf(json: unknown): number | null {
  if (typeof json === "number") return json >= 0 && json <= 1 ? json : null;
  if (typeof json !== "object" || json === null) return null;
  const { done, of, total } = json as { readonly done?: unknown; readonly of?: unknown; readonly total?: unknown };
  const whole = typeof of === "number" ? of : total;
  if (typeof done !== "number" || typeof whole !== "number" || whole <= 0) return null;
  return Math.min(1, Math.max(0, done / whole));
}
