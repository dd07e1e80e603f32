/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: the actions on a run: buttons, which say why they are disabled, and their dialogs. */
import { toJson } from "../../core/value/json.ts";
import { anyJson } from "../../core/form/field.ts";
import { isEnded } from "../../core/run/run.ts";
import type { RunSnapshot } from "../../core/run/run.ts";
import { decode } from "../../core/value/value.ts";
import type { Caller } from "../auth/auth.ts";
import { QueryDialogs, NameField } from "./queries.tsx";
import { ActionButton, ActionDialog, ActionMenu } from "./dialog.tsx";
import { FormField } from "./field.tsx";
import { ValueForm } from "./form.tsx";
import { readable } from "./value.tsx";

type ActionsProps = { readonly run: RunSnapshot; readonly caller: Caller | null };

/** The likeliest actions are beside the title; all of them are in the menu. */
export function Actions({ run, caller }: ActionsProps) {
  const { status } = run;
  const ended = isEnded(status) ? `The run has ended: it is ${status}.` : null;
  const retry = retryOf(run);
  return (
    <div class="row-of push">
      {retry.unless === null ? (
        <ActionButton dialog="retry" caller={caller} role="operate" look="primary" sign="undo">
          {retry.label}
        </ActionButton>
      ) : null}
      {status === "paused" && !isExhausted(run) ? (
        <ActionButton dialog="resume" caller={caller} role="operate" look="primary" sign="running">
          Resume
        </ActionButton>
      ) : null}
      <Menu run={run} caller={caller} ended={ended} />
    </div>
  );
}

type MenuProps = ActionsProps & { readonly ended: string | null };

function Menu({ run, caller, ended }: MenuProps) {
  const { status } = run;
  const retry = retryOf(run);
  return (
    <ActionMenu>
      <ActionButton dialog="signal" caller={caller} role="operate" unless={ended} sign="flag">
        Send a signal
      </ActionButton>
      <ActionButton dialog="query" caller={caller} role="read" sign="search">
        Ask a query
      </ActionButton>
      <ActionButton dialog="update" caller={caller} role="operate" unless={ended} sign="pen">
        Send an update
      </ActionButton>
      <ActionButton dialog="retry" caller={caller} role="operate" unless={retry.unless} sign="undo">
        {retry.label}
      </ActionButton>
      {status === "paused" ? (
        <ActionButton dialog="resume" caller={caller} role="operate" sign="running">
          Resume
        </ActionButton>
      ) : (
        <ActionButton dialog="pause" caller={caller} role="operate" unless={ended} sign="paused">
          Pause
        </ActionButton>
      )}
      <ActionButton dialog="fork" caller={caller} role="admin" sign="tree">
        Fork
      </ActionButton>
      <ActionButton dialog="cancel" caller={caller} role="operate" unless={ended} sign="cancelled">
        Cancel
      </ActionButton>
      <ActionButton dialog="terminate" caller={caller} role="admin" unless={ended} look="danger" sign="close">
        Terminate
      </ActionButton>
      <ActionButton
        dialog="delete"
        caller={caller}
        role="admin"
        unless={ended === null ? "Only a run that has ended can be deleted. Cancel or terminate it first." : null}
        look="danger"
        sign="close"
      >
        Delete
      </ActionButton>
    </ActionMenu>
  );
}

/** A failed run goes on from what failed; one that waits for its next attempt makes it now, unless it is paused. */
export function retryOf(run: RunSnapshot): { readonly label: string; readonly unless: string | null } {
  const { status, waitingFor } = run;
  if (status === "failed") return { label: "Retry", unless: null };
  if (isEnded(status)) return { label: "Retry", unless: `A run that is ${status} has nothing to retry.` };
  if (isExhausted(run)) return { label: "Retry", unless: null };
  if (status === "paused") return { label: "Retry now", unless: "The run is paused: resume it first." };
  if (waitingFor.some(({ kind }) => kind === "retry")) return { label: "Retry now", unless: null };
  return { label: "Retry now", unless: "The run waits for no attempt." };
}

/** The engine paused the run because a step has no attempt left. To retry and to resume are then the same. */
function isExhausted({ status, error }: RunSnapshot): boolean {
  return status === "paused" && error !== null && error.code !== "step_kind_changed";
}

/** Those that need no more than a name and a reason: each is a call of the same name. */
const plainActions = [
  {
    id: "pause",
    title: "Pause this run",
    submit: "Pause",
    done: "Paused.",
    lead: "Nothing begins any more until somebody resumes it. What is in flight ends; deadlines move by the pause.",
  },
  {
    id: "resume",
    title: "Resume this run",
    submit: "Resume",
    done: "Resumed.",
    lead: "It goes on where it was; open deadlines are later by the length of the pause.",
  },
  {
    id: "cancel",
    title: "Cancel this run",
    submit: "Cancel the run",
    look: "danger",
    done: "Cancelled.",
    lead: "Its handler hears of it and cleans up, and what can be undone is undone. It ends as cancelled.",
  },
  {
    id: "terminate",
    title: "Terminate this run",
    submit: "Terminate",
    look: "danger",
    done: "Terminated.",
    lead: "It ends at once. Nothing is undone and nothing is cleaned up.",
  },
] as const;

/** Behind the buttons, wherever they stand. */
export function ActionDialogs({ run }: { readonly run: RunSnapshot }) {
  const path = `/v1/runs/${encodeURIComponent(run.id)}`;
  return (
    <>
      <SignalDialog path={path} />
      <QueryDialogs path={path} />
      {plainActions.map((each) => (
        <ActionDialog {...each} action={`${path}/${each.id}`} />
      ))}
      <RetryDialog run={run} path={path} />
      <DeleteDialog path={path} />
      <ForkDialog run={run} path={path} />
    </>
  );
}

export function DeleteDialog({ path }: { readonly path: string }) {
  return (
    <ActionDialog
      id="delete"
      title="Delete this run"
      action={path}
      method="DELETE"
      submit="Delete for ever"
      look="danger"
      done="Deleted."
      then="/"
      lead="The run, its history and everything it stored are removed. This cannot be taken back."
    />
  );
}

function RetryDialog({ run, path }: { readonly run: RunSnapshot; readonly path: string }) {
  const hasEnded = isEnded(run.status);
  return (
    <ActionDialog
      id="retry"
      title={hasEnded ? "Retry this run" : "Retry now"}
      action={`${path}/retry`}
      submit="Retry"
      done="Retried."
      lead="What failed is tried again, what succeeded is kept. A run that waits for its next attempt makes it now."
      // The feed of an ended run is closed, so the page has to be loaded again.
      then={hasEnded ? `/runs/${encodeURIComponent(run.id)}` : undefined}
    />
  );
}

function SignalDialog({ path }: { readonly path: string }) {
  return (
    <ActionDialog
      id="signal"
      title="Send a signal"
      action={`${path}/signals/{name}`}
      submit="Send"
      done="Signal sent."
      why="optional"
      wide
      lead="It is kept until the run waits for it, also when it comes early."
    >
      <NameField id="signal-name" label="Name of the signal" />
      <ValueForm id="signal-payload" label="Payload" field={anyJson} name="" />
    </ActionDialog>
  );
}

/** Longer values cannot be edited here, only over the API. */
const maxEdited = 50_000;

function ForkDialog({ run, path }: { readonly run: RunSnapshot; readonly path: string }) {
  return (
    <ActionDialog
      id="fork"
      title="Fork this run"
      action={`${path}/fork`}
      submit="Fork"
      done="Forked."
      then="/runs/{id}"
      preview={`${path}/fork?dryRun=true`}
      wide
      lead="A new run begins with the history of this one up to a step, and goes its own way from there. This run stays as it is."
    >
      <FormField label="From step" hint="as charge or charge#2; from the start if left empty">
        <input id="fork-from" name="from" list="fork-steps" maxlength={600} autocomplete="off" spellcheck={false} />
      </FormField>
      <ForkInput input={readable(toJson(decode(run.input)), maxEdited)} />
      <ForkPlan />
    </ActionDialog>
  );
}

function ForkInput({ input }: { readonly input: string | null }) {
  return (
    <details class="fold" data-enables="fork-input">
      <summary>Change the input</summary>
      {input === null ? (
        <p class="faint">The input is too long to be edited here: give another over the API.</p>
      ) : (
        <FormField label="Input as JSON">
          <textarea
            id="fork-input"
            name="input"
            class="code"
            data-json
            data-empty="null"
            rows={10}
            spellcheck={false}
            disabled
          >
            {input}
          </textarea>
        </FormField>
      )}
    </details>
  );
}

/** What the fork would do; the script writes it. */
function ForkPlan() {
  return (
    <div class="preview" role="status">
      <div>
        <h3>Kept</h3>
        <p data-fork="kept" class="faint">
          …
        </p>
      </div>
      <div>
        <h3>Made again</h3>
        <p data-fork="rerun" class="faint">
          …
        </p>
      </div>
    </div>
  );
}
