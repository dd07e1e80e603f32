/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: the page of lanes: how full each is, who holds its slots, who waits, and setting its limit. */
import type { LaneInfo } from "../../core/service/lanes.ts";
import type { Caller } from "../auth/auth.ts";
import { readParameter, readQuery } from "../query.ts";
import { asName } from "../reading.ts";
import type { Call, Route } from "../route.ts";
import { FormField } from "./field.tsx";
import { Ratio } from "./spark.tsx";
import { ActionButton, ActionDialog } from "./dialog.tsx";
import { Icon } from "./icon.tsx";
import { Instant } from "./instant.tsx";
import { Empty, Pager } from "./list.tsx";
import { answer, Page } from "./page.tsx";
import { spanText } from "./span.ts";
import { addressOf } from "./window.tsx";

const shown = 50;
/** Of one lane, when it is the only one on the page. */
const shownSlots = 200;
const refreshSeconds = "5";

export const lanesPages: readonly Route[] = [{ method: "GET", path: "/lanes", role: "read", page: true, handle: show }];

async function show({ service, request, caller }: Call): Promise<Response> {
  const query = readQuery(request, ["lane", "cursor"]);
  const name = readParameter(query, "lane", asName);
  const cursor = query.get("cursor");
  const { lanes, cursor: next } =
    name === undefined
      ? await service.lanes.list({ limit: shown, ...(cursor === undefined ? {} : { cursor }) })
      : { lanes: [await service.lanes.find(name, shownSlots)], cursor: null };
  return await answer(
    <Page request={request} title={name ?? "Lanes"} section="lanes" caller={caller}>
      <div class="head">
        <h1>{name ?? "Lanes"}</h1>
        {name === undefined ? null : (
          <a class="tag" href="/lanes">
            all lanes ×
          </a>
        )}
      </div>
      <div class="stack" data-refresh={refreshSeconds}>
        {lanes.length === 0 ? (
          <section class="card">
            <Empty title="No lane is in use">
              <p>
                Workflows with a <code>lane</code>, <code>concurrency</code>, <code>rateLimit</code> or{" "}
                <code>throttle</code> share their limits here.
              </p>
            </Empty>
          </section>
        ) : (
          lanes.map((lane, index) => (
            <Card lane={lane} caller={caller} id={`lane-${index}`} isWhole={name !== undefined} />
          ))
        )}
        <Pager
          first={cursor === undefined ? null : "/lanes"}
          next={next === null ? null : addressOf("/lanes", { cursor: next })}
          label="Pages of lanes"
          words={["First", "Further"]}
        />
      </div>
      <LimitDialog />
    </Page>,
  );
}

type CardProps = {
  readonly lane: LaneInfo;
  readonly caller: Caller | null;
  readonly id: string;
  readonly isWhole: boolean;
};

function Card({ lane, caller, id, isWhole }: CardProps) {
  const { name, limit, override, periodMs, used, waiting } = lane;
  return (
    <article class="card lane" data-row data-key={name} aria-labelledby={id}>
      <div class="card-head">
        <h2 id={id}>{isWhole ? name : <a href={addressOf("/lanes", { lane: name })}>{name}</a>}</h2>
        {periodMs === null ? null : <span class="tag">in any {spanText(periodMs)}</span>}
        {override === null ? null : <span class="tag is-waiting toned">limit set by hand</span>}
        <div class="push" data-fill={JSON.stringify({ name, limit: override ?? "" })}>
          <ActionButton dialog="limit" caller={caller} role="admin">
            Set the limit
          </ActionButton>
        </div>
      </div>
      <div class="card-body lane-body">
        <dl class="lane-figures">
          <div>
            <dt>In use</dt>
            <dd>
              <Ratio
                share={limit === null ? null : limit === 0 ? 1 : used / limit}
                tone={waiting > 0 ? "open" : "lane"}
                label={limit === null ? `${used}, no limit` : `${used} of ${limit}`}
              />
            </dd>
          </div>
          <div>
            <dt>Waiting</dt>
            <dd>{waiting}</dd>
          </div>
        </dl>
        <div class="stack">
          <Set setting={lane.setting} />
          <Slots lane={lane} isOpen={isWhole} />
        </div>
      </div>
    </article>
  );
}

/** Who set the limit that counts, and why. */
function Set({ setting }: { readonly setting: LaneInfo["setting"] | undefined }) {
  return setting === undefined ? null : (
    <p class="notice is-waiting">
      <Icon sign="warning" />
      <span>
        The limit was set by <strong>{setting.by}</strong> <Instant at={setting.at} form="ago" />
        {setting.reason === null ? null : <>: {setting.reason}</>}
      </span>
    </p>
  );
}

function Slots({ lane, isOpen }: { readonly lane: LaneInfo; readonly isOpen: boolean }) {
  const { holders, queue } = lane;
  if (holders.length === 0 && queue.length === 0) return <p class="faint">Nobody holds it, nobody waits.</p>;
  return (
    <details class="slots" open={isOpen || holders.length + queue.length <= 10}>
      <summary>Who holds it, who waits</summary>
      <div class="pair">
        <Holders lane={lane} />
        <Queue lane={lane} />
      </div>
    </details>
  );
}

function Holders({ lane: { name, holders, used } }: { readonly lane: LaneInfo }) {
  return (
    <div>
      <h3>Holders</h3>
      <ol class="lines">
        {holders.map(({ run, step, sinceAt }) => (
          <li data-key={`${run} ${step ?? ""}`}>
            <RunLink run={run} step={step} />
            <Since at={sinceAt} />
          </li>
        ))}
      </ol>
      <More name={name} count={used - holders.length} />
    </div>
  );
}

function Queue({ lane: { name, queue, waiting } }: { readonly lane: LaneInfo }) {
  return (
    <div>
      <h3>Queue</h3>
      {queue.length === 0 ? <p class="faint">Nobody waits.</p> : null}
      <ol class="lines">
        {queue.map(({ run, step, sinceAt, priority, position }) => (
          <li data-key={`${run} ${step ?? ""}`}>
            <span class="tag" title="Place in line">
              {position}
            </span>
            <RunLink run={run} step={step} />
            {priority === 0 ? null : <span class="tag">priority {priority}</span>}
            <Since at={sinceAt} />
          </li>
        ))}
      </ol>
      <More name={name} count={waiting - queue.length} />
    </div>
  );
}

function Since({ at }: { readonly at: number }) {
  return (
    <span class="faint lines-end">
      for <Instant at={at} form="since" />
    </span>
  );
}

function More({ name, count }: { readonly name: string; readonly count: number }) {
  return count <= 0 ? null : (
    <p class="faint">
      and <a href={addressOf("/lanes", { lane: name })}>{count} more</a>
    </p>
  );
}

function RunLink({ run, step }: { readonly run: string; readonly step: string | null }) {
  const path = `/runs/${encodeURIComponent(run)}`;
  return (
    <a class="mono lines-id" href={step === null ? path : addressOf(path, { step })}>
      {run}
      {step === null ? null : <span class="faint"> {step}</span>}
    </a>
  );
}

function LimitDialog() {
  return (
    <ActionDialog
      id="limit"
      title="Set the limit"
      action="/v1/lanes/{name}"
      method="PATCH"
      submit="Set"
      done="The limit is set."
      lead={
        <>
          <strong data-show="name"></strong>: it counts at once, instead of the limit in the code. 0 lets nobody in.
        </>
      }
    >
      <input type="hidden" name="name" data-part />
      <FormField label="Limit" hint="empty for the one in the code">
        <input
          id="lane-limit"
          name="limit"
          type="number"
          min={0}
          max={1_000_000}
          step={1}
          inputmode="numeric"
          data-empty="null"
          autofocus
        />
      </FormField>
    </ActionDialog>
  );
}
