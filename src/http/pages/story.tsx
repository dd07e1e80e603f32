/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: the panel of one call, with all that is recorded of it. */
import type { BarAttempt, Story } from "../../core/timeline/timeline.ts";
import type { Caller } from "../auth/auth.ts";
import { barLength, barSigns, barStatus, barTone, barWords } from "./bar.ts";
import { CopyButton } from "./copy.tsx";
import { ActionButton } from "./dialog.tsx";
import { Fact } from "./fact.tsx";
import { Fault, FaultDiff } from "./fault.tsx";
import { Icon } from "./icon.tsx";
import type { Sign } from "./icon.tsx";
import { Deadline, Instant, Span } from "./instant.tsx";
import { Rejections } from "./rejections.tsx";
import { StoredValue } from "./value.tsx";

type PanelProps = {
  readonly run: string;
  readonly story: Story;
  readonly caller: Caller | null;
  /** Epoch ms: what is open lasts until then. */
  readonly now: number;
  /** Null where the run is not paused. */
  readonly pausedAt: number | null;
};

export function StoryPanel({ run, story, caller, now, pausedAt }: PanelProps) {
  const { bar, place } = story;
  return (
    <section
      class="panel"
      id="panel"
      data-panel={bar.key}
      data-bar={place.row}
      data-calls={place.within?.key}
      data-call={place.within?.call}
      aria-labelledby="panel-title"
    >
      <PanelHead run={run} name={bar.name} note={barWords[bar.kind]} sign={barSigns[bar.kind]} tone={barTone(bar)} />
      <Points story={story} now={now} pausedAt={pausedAt} />
      {bar.kind === "run" ? <ForkButton step={bar.name} caller={caller} /> : null}
      <Values story={story} />
      <Refused story={story} />
      <Attempts story={story} now={now} />
    </section>
  );
}

type HeadProps = {
  readonly run: string;
  readonly name: string;
  readonly note: string;
  readonly sign: Sign;
  /** The class of the sign's colour. */
  readonly tone?: string;
};

function PanelHead({ run, name, note, sign, tone }: HeadProps) {
  return (
    <div class="panel-head">
      <span class={tone === undefined ? "bar-sign" : `bar-sign ${tone}`}>
        <Icon sign={sign} />
      </span>
      <div>
        <p class="faint">{note}</p>
        <h2 id="panel-title" tabindex={-1}>
          {name}
        </h2>
      </div>
      <a
        class="quiet"
        href={`/runs/${encodeURIComponent(run)}`}
        data-panel-close
        aria-label="Close"
        title="Close (Esc)"
      >
        <Icon sign="close" />
      </a>
    </div>
  );
}

/** The dialog stands among those of the page; the script fills in the step. */
function ForkButton({ step, caller }: { readonly step: string; readonly caller: Caller | null }) {
  return (
    <p>
      <ActionButton dialog="fork" caller={caller} role="admin" sign="tree" forkFrom={step}>
        Fork from here
      </ActionButton>
    </p>
  );
}

function Points({ story, now, pausedAt }: Pick<PanelProps, "story" | "now" | "pausedAt">) {
  const { bar } = story;
  const status = barStatus(bar);
  const isStep = bar.kind === "run" || bar.kind === "undo";
  return (
    <dl class="points">
      <Fact name="Status">
        <span class={`status ${barTone(bar)}`}>{status}</span>
      </Fact>
      <Fact name="Began">
        <Instant at={bar.startedAt} form="exact" />
      </Fact>
      {bar.endedAt === null ? null : (
        <Fact name="Ended">
          <Instant at={bar.endedAt} form="exact" />
        </Fact>
      )}
      <Fact name={bar.endedAt === null ? "So far" : "Took"}>{barLength(bar, now)}</Fact>
      {bar.until === null || bar.endedAt !== null ? null : (
        <Fact name={status === "running" ? "Times out" : isStep ? "Next attempt" : "Until"}>
          {/* An attempt at work goes on in a pause. */}
          <Deadline
            at={bar.until}
            since={isStep || bar.kind === "delay" ? null : bar.startedAt}
            pausedAt={status === "running" ? null : pausedAt}
          />
        </Fact>
      )}
      {bar.child === null ? null : (
        <Fact name="Child run">
          <a href={`/runs/${encodeURIComponent(bar.child.id)}`}>{bar.child.id}</a>
        </Fact>
      )}
      {story.idempotencyKey === null ? null : (
        <Fact name="Idempotency key">
          <code>{story.idempotencyKey}</code>
          <CopyButton text={story.idempotencyKey} what="the idempotency key" />
        </Fact>
      )}
    </dl>
  );
}

function Values({ story }: { readonly story: Story }) {
  const { bar, input, output, sensitive } = story;
  return (
    <>
      <div class="part">
        <h3 id="panel-input">Input</h3>
        {input === null ? (
          <p class="faint">{inputNotes[bar.kind] ?? "It takes none."}</p>
        ) : (
          <StoredValue value={input} id="panel-input-value" />
        )}
      </div>
      <div class="part">
        <h3 id="panel-output">{bar.kind === "wait" ? "Payload" : bar.kind === "webhook" ? "Call" : "Output"}</h3>
        {sensitive ? (
          <p class="faint">This result is marked as sensitive: it is stored for the run and never shown.</p>
        ) : output === null ? (
          <p class="faint">{bar.status === "open" ? "Nothing yet." : "None."}</p>
        ) : (
          <StoredValue value={output} id="panel-output-value" />
        )}
      </div>
      {bar.error === null || bar.attempts.some(({ error }) => error !== null) ? null : (
        <div class="part">
          <h3 id="panel-error">Error</h3>
          <Fault error={bar.error} />
        </div>
      )}
    </>
  );
}

const inputNotes: Readonly<Partial<Record<Story["bar"]["kind"], string>>> = {
  run: "A step’s function reads the handler’s own variables. What it was given is not on record; the run’s input and the outputs of earlier steps are.",
  undo: "An undo is given the result of its step.",
  child: "The child is gone, and its input with it.",
};

function Refused({ story }: { readonly story: Story }) {
  const { rejected } = story.bar;
  if (rejected.length === 0) return null;
  return (
    <div class="part">
      <h3 id="panel-rejected">Refused deliveries</h3>
      <Rejections rejected={rejected} form="exact" />
    </div>
  );
}

function Attempts({ story, now }: { readonly story: Story; readonly now: number }) {
  const { attempts, attemptCount, attemptLimit, kind } = story.bar;
  if (kind !== "run" && kind !== "undo") return null;
  const left = attemptCount - attempts.length;
  return (
    <div class="part">
      <h3 id="panel-attempts">
        Attempts{" "}
        <small class="faint">{attemptLimit === null ? attemptCount : `${attemptCount} of ${attemptLimit}`}</small>
      </h3>
      {left > 0 ? (
        <p class="faint">
          The newest {attempts.length}; {left} before them are in the history.
        </p>
      ) : null}
      <ol class="attempts">
        {attempts.map((attempt, index) => (
          <li data-key={`attempt-${left + index}`}>
            <Attempt attempt={attempt} before={attempts[index - 1] ?? null} now={now} />
          </li>
        ))}
      </ol>
    </div>
  );
}

type AttemptProps = { readonly attempt: BarAttempt; readonly before: BarAttempt | null; readonly now: number };

function Attempt({ attempt, before, now }: AttemptProps) {
  const { startedAt, endedAt, error, interrupted, retryAt } = attempt;
  const look = interrupted ? "cancelled" : error !== null ? "failed" : endedAt === null ? "running" : "completed";
  return (
    <>
      <p class="attempt-head">
        <strong>Attempt {attempt.attempt}</strong>
        <span class={`status is-${look}`}>
          <Icon sign={look} />
          {interrupted ? "cut off" : look}
        </span>
        <Instant at={startedAt} form="exact" />
        {interrupted ? (
          <span class="faint">the process ended, nothing says when</span>
        ) : (
          <Span ms={(endedAt ?? now) - startedAt} />
        )}
      </p>
      {error === null ? null : <Fault error={error} />}
      {error === null || before?.error === null || before === null ? null : (
        <FaultDiff before={before.error} after={error} />
      )}
      {retryAt === null || endedAt === null ? null : (
        <p class="faint">
          The next one was to begin <Span ms={Math.max(0, retryAt - endedAt)} /> later.
        </p>
      )}
    </>
  );
}

/** What stands in the panel where the run has no such call, or none yet. */
export function NoStory({ run, step }: { readonly run: string; readonly step: string }) {
  return (
    <section class="panel" id="panel" data-panel={step} aria-labelledby="panel-title">
      <PanelHead run={run} name={step} note="not on record" sign="search" />
      <p class="faint">Nothing on record of this run is called so. It may not have begun, or have another name.</p>
    </section>
  );
}
