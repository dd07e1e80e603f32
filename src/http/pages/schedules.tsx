/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: the page of schedules: when each fires next, what keeps it from it, and what can be done about it. */
import { cronInWords } from "../../core/schedule/cronwords.ts";
import { runIdPrefix } from "../../core/schedule/schedule.ts";
import type { BackfillInfo, ScheduleInfo } from "../../core/service/schedules.ts";
import type { Caller } from "../auth/auth.ts";
import { readCount, readParameter, readQuery } from "../query.ts";
import { asName } from "../reading.ts";
import type { Call, Route } from "../route.ts";
import { ActionButton } from "./dialog.tsx";
import { Icon } from "./icon.tsx";
import { Instant, Zone } from "./instant.tsx";
import { Empty } from "./list.tsx";
import { answer, Page } from "./page.tsx";
import { changeable, ScheduleDialogs } from "./scheduling.tsx";
import { spanText } from "./span.ts";
import { readNeed, thoseIn, Triage } from "./triage.tsx";
import { StoredValue } from "./value.tsx";
import { addressOf } from "./window.tsx";

const shown = 50;
const refreshSeconds = "15";

export const schedulesPages: readonly Route[] = [
  { method: "GET", path: "/schedules", role: "read", page: true, handle: show },
];

async function show({ service, request, caller }: Call): Promise<Response> {
  const query = readQuery(request, ["workflow", "page", "only"]);
  const workflow = readParameter(query, "workflow", asName);
  const page = Math.max(1, readCount(query, "page") ?? 1);
  const [schedules, workflows] = await Promise.all([service.schedules.list(workflow), service.workflows.list()]);
  const need = readNeed(query);
  const wanted = thoseIn(need, schedules);
  const rows = wanted.slice((page - 1) * shown, page * shown);
  const offered = workflow === undefined ? workflows : workflows.filter(({ name }) => name === workflow);
  return await answer(
    <Page request={request} title="Schedules" section="schedules" caller={caller}>
      <div class="head">
        <h1>Schedules</h1>
        <span class="faint">{schedules.length}</span>
        <Triage schedules={schedules} workflow={workflow} need={need} />
        {workflow === undefined ? null : (
          <a class="tag" href="/schedules" title="Show those of all workflows">
            of {workflow} ×
          </a>
        )}
        <div class="push">
          <ActionButton dialog="create" caller={caller} role="admin" look="primary" sign="plus">
            New schedule
          </ActionButton>
        </div>
      </div>
      <div class="stack" data-refresh={refreshSeconds}>
        {rows.length === 0 ? (
          <section class="card">
            <Empty title={need === null ? "Nothing is started by the clock" : `No schedule is ${need}`}>
              {need === null ? (
                <p>
                  Give a workflow a <code>schedule</code> in the code, or make one here.
                </p>
              ) : null}
            </Empty>
          </section>
        ) : (
          rows.map((schedule, index) => <Card schedule={schedule} caller={caller} id={`schedule-${index}`} />)
        )}
        <Pages page={page} count={Math.ceil(wanted.length / shown)} workflow={workflow} only={need ?? undefined} />
      </div>
      <ScheduleDialogs workflows={offered} />
    </Page>,
  );
}

type PagesProps = {
  readonly page: number;
  readonly count: number;
  readonly workflow: string | undefined;
  readonly only: string | undefined;
};

function Pages({ page, count, ...kept }: PagesProps) {
  if (count < 2) return null;
  return (
    <nav class="segments" aria-label="Pages of schedules">
      {Array.from({ length: count }, (_, index) => index + 1).map((each) => (
        <a
          href={addressOf("/schedules", { ...kept, page: String(each) })}
          aria-current={each === page ? "page" : undefined}
        >
          {each}
        </a>
      ))}
    </nav>
  );
}

/** The pattern, and what it means where that can be said in short. */
export function Cron({ cron, timezone }: { readonly cron: string; readonly timezone: string }) {
  const words = cronInWords(cron);
  return (
    <span class="cron">
      {words === null ? null : <span class="cron-words">{words}</span>}
      <code title="Cron pattern">{cron}</code>
      <span class="faint">{timezone}</span>
    </span>
  );
}

/** Of a schedule whose rule cannot be read only the id is known; its workflow is empty. */
type CardProps = { readonly schedule: ScheduleInfo; readonly caller: Caller | null; readonly id: string };

function Card({ schedule, caller, id }: CardProps) {
  const { workflow, cron, timezone, source, backfills, input } = schedule;
  return (
    <article
      class="card"
      data-row
      data-key={schedule.id}
      data-fill={JSON.stringify(changeable(schedule))}
      aria-labelledby={id}
    >
      <div class="card-head">
        <h2 id={id}>{schedule.id}</h2>
        {workflow === "" ? null : (
          <a class="tag" href={`/workflows/${encodeURIComponent(workflow)}`}>
            {workflow}
          </a>
        )}
        <span class="tag" title={source === "code" ? "It stands in the code" : "It was made over the API"}>
          {source === "code" ? "in code" : "made here"}
        </span>
        <div class="push row-of">
          <Actions schedule={schedule} caller={caller} />
        </div>
      </div>
      <div class="card-body schedule-body">
        <div class="schedule-when">
          <Cron cron={cron} timezone={timezone} />
          <Paused schedule={schedule} />
          <Next schedule={schedule} />
        </div>
        <div class="schedule-what">
          {workflow === "" ? null : <RuleList schedule={schedule} />}
          <p>
            <a href={addressOf("/", { workflow, idPrefix: runIdPrefix(schedule.id) })}>Its runs</a>
          </p>
          {changeable(schedule).input === "" ? null : (
            <div class="schedule-input">
              <h3>Input</h3>
              <StoredValue value={input} id={`${id}-input`} />
            </div>
          )}
        </div>
        <Failure schedule={schedule} />
        {backfills.map((backfill) => (
          <Backfill backfill={backfill} />
        ))}
      </div>
    </article>
  );
}

function RuleList({ schedule }: { readonly schedule: ScheduleInfo }) {
  return (
    <dl class="rules">
      {rulesOf(schedule).map(([name, text]) => (
        <div>
          <dt>{name}</dt>
          <dd>{text}</dd>
        </div>
      ))}
    </dl>
  );
}

/** The newest firing that could not have its run; or, of a schedule that cannot be read, why. */
function Failure({ schedule: { lastError, next } }: { readonly schedule: ScheduleInfo }) {
  return lastError === null ? null : (
    <p class="notice is-failed">
      <Icon sign="warning" />
      {next.length === 0 ? (
        <span>{lastError.message}</span>
      ) : (
        <span>
          The firing of <Instant at={lastError.slotAt} /> has no run: {lastError.message}
        </span>
      )}
    </p>
  );
}

function Paused({ schedule: { paused } }: { readonly schedule: ScheduleInfo }) {
  return paused === null ? null : (
    <p class="notice is-paused">
      <Icon sign="paused" />
      <span>
        Paused by <strong>{paused.by}</strong> <Instant at={paused.at} form="ago" />
        {paused.reason === null ? null : <>: {paused.reason}</>}
      </span>
    </p>
  );
}

/** While it is paused these are the firings that would come. No rule runs out of them: without any it cannot be read. */
function Next({ schedule: { next, paused } }: { readonly schedule: ScheduleInfo }) {
  if (next.length === 0) return <p class="faint">It cannot be read, and fires nothing until it can.</p>;
  return (
    <div class="next">
      <h3>
        {paused === null ? "Next firings" : "Would fire"} <Zone />
      </h3>
      <ol>
        {next.map((at, index) => (
          <li>
            <Instant at={at} />
            {index === 0 ? (
              <span class="tag">
                <Instant at={at} form="ago" />
              </span>
            ) : null}
          </li>
        ))}
      </ol>
    </div>
  );
}

const overlapWords: Readonly<Record<ScheduleInfo["overlap"], string>> = {
  skip: "the firing is skipped",
  "buffer-one": "one waits",
  "buffer-all": "all wait",
  "cancel-other": "the run before is cancelled",
  "terminate-other": "the run before is terminated",
  "allow-all": "both run",
};

function rulesOf({ overlap, catchUpMs, jitterMs, pauseOnFailure }: ScheduleInfo): (readonly [string, string])[] {
  return [
    ["While a run goes on", overlapWords[overlap]],
    ["Missed firings", catchUpMs === 0 ? "are left out" : `the latest, up to ${spanText(catchUpMs)} late`],
    ...(jitterMs === 0 ? [] : [["Jitter", `up to ${spanText(jitterMs)}`] as const]),
    ...(pauseOnFailure ? [["After a failed run", "it pauses"] as const] : []),
  ];
}

function Backfill({ backfill }: { readonly backfill: BackfillInfo }) {
  const { fromAt, untilAt, firings, started, refused } = backfill;
  return (
    <div class="backfill">
      <label>
        Backfill of <Instant at={fromAt} /> to <Instant at={untilAt} />: {started} of {firings} started
        {refused === 0 ? null : `, ${refused} refused`}
      </label>
      <progress
        max={firings}
        value={started + refused}
        aria-label="Firings of the backfill that are decided"
      ></progress>
    </div>
  );
}

/** The card around them says which schedule they are about. */
function Actions({ schedule, caller }: Omit<CardProps, "id">) {
  const { paused, source } = schedule;
  const inCode = source === "code" ? "It stands in the code: change it there." : null;
  return (
    <>
      <ActionButton dialog="trigger" caller={caller} role="operate" sign="bolt">
        Trigger
      </ActionButton>
      <ActionButton
        dialog={paused === null ? "pause" : "resume"}
        caller={caller}
        role="admin"
        sign={paused === null ? "paused" : "running"}
      >
        {paused === null ? "Pause" : "Resume"}
      </ActionButton>
      <details class="menu" data-menu data-actions>
        <summary class="button plain" aria-label={`More actions of ${schedule.id}`}>
          <Icon sign="more" />
        </summary>
        <div>
          <ActionButton dialog="backfill" caller={caller} role="admin">
            Backfill
          </ActionButton>
          <ActionButton dialog="change" caller={caller} role="admin" unless={inCode}>
            Change
          </ActionButton>
          <ActionButton dialog="remove" caller={caller} role="admin" unless={inCode} look="danger">
            Delete
          </ActionButton>
        </div>
      </details>
    </>
  );
}
