/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: what a run waits for, as cards with actions. */
import type { PropsWithChildren } from "hono/jsx";
import { describeMs } from "../../core/duration.ts";
import { fieldOf } from "../../core/form/form.ts";
import type { RunSnapshot, Waiting } from "../../core/run/run.ts";
import { attemptOf, because } from "../../core/sentence/phrase.ts";
import type { Bar } from "../../core/timeline/timeline.ts";
import type { Caller } from "../auth/auth.ts";
import { retryOf } from "./actions.tsx";
import { barAddress } from "./bar.ts";
import { CopyButton } from "./copy.tsx";
import { AwaitedChildren } from "./descent.tsx";
import type { Descent } from "./descent.tsx";
import { ActionButton, ActionDialog } from "./dialog.tsx";
import { ValueForm } from "./form.tsx";
import { Icon } from "./icon.tsx";
import type { Sign } from "./icon.tsx";
import { Deadline, Instant } from "./instant.tsx";
import { Rejections } from "./rejections.tsx";
import { addressOf } from "./window.tsx";

type WaitsProps = PropsWithChildren<{
  readonly run: RunSnapshot;
  readonly caller: Caller | null;
  /** Null where it is not paused. */
  readonly pausedAt: number | null;
  /** Open webhook waits, in the order in which they began. */
  readonly hooks: readonly Bar[];
  /** JSON Schemas of the workflow's signals; null where its code is not there. */
  readonly signals: Readonly<Record<string, object | null>> | null;
  /** Of the first children that it waits for. */
  readonly descents: readonly Descent[];
}>;

/** How many of each kind are shown; a run may wait for thousands of children. */
const maxCards = 12;

export function Waits({ run, caller, pausedAt, hooks, signals, descents, children: more }: WaitsProps) {
  const { waitingFor } = run;
  const shown = waitingFor.filter(({ kind }) => kind !== "run").slice(0, maxCards);
  const children = waitingFor.filter(({ kind }) => kind === "run");
  const others = waitingFor.length - shown.length - children.length;
  if (waitingFor.length === 0) return null;
  const openHooks = shown.filter(({ kind }) => kind === "webhook");
  return (
    <section class="waits" aria-labelledby="waits-title">
      <h2 class="sr" id="waits-title">
        What it waits for
      </h2>
      {shown.map((wait, index) => (
        <Card
          key={`${wait.kind}-${wait.name}-${wait.since}`}
          id={`wait-${index}`}
          {...{ wait, run, caller, pausedAt, signals }}
          hook={hooks[openHooks.indexOf(wait)] ?? null}
        />
      ))}
      {children.length === 0 ? null : <AwaitedChildren run={run} waits={children} descents={descents} />}
      {more}
      {others > 0 ? <p class="faint">… and {others} more waits; the timeline has them all.</p> : null}
    </section>
  );
}

type CardProps = Omit<WaitsProps, "hooks" | "descents" | "children"> & {
  readonly id: string;
  readonly wait: Waiting;
  readonly hook: Bar | null;
};

/** What a card is headed with, and what happens at the timeout. */
const heads: Readonly<Record<Waiting["kind"], readonly [sign: Sign, title: string, limit: string]>> = {
  signal: ["flag", "Signal", "gives up"],
  webhook: ["link", "Webhook", "gives up"],
  run: ["tree", "Child run", "gives up"],
  lane: ["lane", "Lane", "gives up"],
  retry: ["undo", "Next attempt of", "begins"],
  start: ["queued", "Starts later", "begins"],
  timer: ["moon", "Sleeping", "over"],
};

function Card(props: CardProps) {
  const { id, wait, pausedAt } = props;
  const [sign, title, limit] = heads[wait.kind];
  return (
    <article class="card wait" data-key={id} aria-labelledby={`${id}-title`}>
      <h3 id={`${id}-title`}>
        <Icon sign={sign} />
        <span>{title}</span> <code>{wait.name}</code>
      </h3>
      <p class="faint">
        since <Instant at={wait.since} form="clock" />
        {wait.until === null ? (
          ""
        ) : (
          <>
            {`, ${limit} `}
            <Deadline at={wait.until} since={wait.kind === "retry" ? null : wait.since} pausedAt={pausedAt} />
          </>
        )}
      </p>
      <Content {...props} />
    </article>
  );
}

function Content(props: CardProps) {
  const { wait } = props;
  switch (wait.kind) {
    case "signal":
      return <Signal {...props} />;
    case "webhook":
      return <Hook {...props} />;
    case "retry":
      return <Retry {...props} />;
    case "lane":
      return <Lane {...props} />;
    case "timer":
    case "start":
      return <Clock {...props} />;
    case "run":
      return null;
    default:
      return wait.kind satisfies never;
  }
}

function Signal({ id, wait, run, caller, signals }: CardProps) {
  const schema = signals === null ? null : Object.hasOwn(signals, wait.name) ? (signals[wait.name] ?? null) : null;
  const dialog = `${id}-send`;
  return (
    <>
      <div class="row-of">
        <ActionButton dialog={dialog} caller={caller} role="operate" look="primary">
          Send {wait.name.length > 24 ? "it" : wait.name}
        </ActionButton>
      </div>
      <ActionDialog
        id={dialog}
        title={`Send ${wait.name}`}
        action={`/v1/runs/${encodeURIComponent(run.id)}/signals/${encodeURIComponent(wait.name)}`}
        submit="Send"
        done="Signal sent."
        why="optional"
        wide
        lead={
          schema === null
            ? "The workflow has no schema for this signal: any JSON but null is taken."
            : "The run goes on with what you send."
        }
      >
        <ValueForm id={`${id}-payload`} label="Payload" field={fieldOf(schema)} name="" />
      </ActionDialog>
    </>
  );
}

/** The dialog that replaces an address, in case it got into the wrong hands; the wait stays. */
function Revocation({ id, run, caller, call }: Pick<CardProps, "id" | "run" | "caller"> & { readonly call: string }) {
  const dialog = `${id}-revoke`;
  return (
    <>
      <div class="row-of">
        <ActionButton dialog={dialog} caller={caller} role="operate">
          Revoke the address
        </ActionButton>
      </div>
      <ActionDialog
        id={dialog}
        title={`Revoke the address of ${call}`}
        action={`/v1/runs/${encodeURIComponent(run.id)}/webhooks/${encodeURIComponent(call)}/revoke`}
        submit="Revoke"
        look="danger"
        done="Revoked. The new address is on the page."
        lead="Whoever has the address can use it no more. The run goes on waiting, under a new one."
      />
    </>
  );
}

/** The address is a credential, so not everybody is shown it. */
function HookAddress({ id, url }: { readonly id: string; readonly url: string | undefined }) {
  if (url === undefined) return <p class="faint">Its address is shown to who may answer it.</p>;
  const curl = `curl -X POST '${url}' \\\n  -H 'content-type: application/json' \\\n  -d '{"ok":true}'`;
  return (
    <>
      <div class="copy-line">
        <code id={`${id}-url`}>{url}</code>
        <CopyButton text={url} what="the address" />
      </div>
      <details class="curl">
        <summary>As a curl command</summary>
        <div class="copy-line">
          <pre tabindex={0} role="group" aria-label="A curl command that calls the webhook">
            {curl}
          </pre>
          <CopyButton text={curl} what="the command" />
        </div>
      </details>
    </>
  );
}

function Hook({ id, wait, run, caller, hook }: CardProps) {
  return (
    <>
      <HookAddress id={id} url={wait.url} />
      {hook === null ? null : <Revocation id={id} run={run} caller={caller} call={hook.name} />}
      {hook === null || hook.rejected.length === 0 ? null : (
        <details class="refused" open>
          <summary>
            {hook.rejected.length === 1 ? "1 delivery was refused" : `${hook.rejected.length} deliveries were refused`}
          </summary>
          <Rejections rejected={hook.rejected.toReversed()} form="ago" />
        </details>
      )}
      {hook === null ? null : (
        <p>
          <a href={barAddress(run.id, hook.key)} data-step={hook.key}>
            All about it
          </a>
        </p>
      )}
    </>
  );
}

function Retry({ wait, run, caller }: CardProps) {
  const key = `${run.tallies[wait.name] === undefined ? "" : "run:"}${wait.name}`;
  return (
    <>
      <p>{`${attemptOf(wait.attempt ?? 1, wait.of ?? null)}${because(wait.error)}`}</p>
      <div class="row-of">
        <ActionButton dialog="retry" caller={caller} role="operate" look="primary" unless={retryOf(run).unless}>
          Retry now
        </ActionButton>
        <a href={barAddress(run.id, key)} data-step={key}>
          What went wrong
        </a>
      </div>
    </>
  );
}

function Lane({ wait }: CardProps) {
  const { position, used, limit } = wait;
  return (
    <>
      {position === undefined ? null : (
        <p class="lane-place">
          <strong>{position}</strong> in line; {used ?? 0} of {limit ?? "unlimited"} slots in use
        </p>
      )}
      <p>
        <a href={addressOf("/lanes", { lane: wait.name })}>Who holds it, who waits</a>
      </p>
    </>
  );
}

function Clock({ wait, pausedAt }: CardProps) {
  if (wait.until === null || pausedAt !== null) return null;
  return (
    <p class="faint">
      <Instant at={wait.until} />, {describeMs(wait.until - wait.since)} in all
    </p>
  );
}
