/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/**
 * Owns: the dialogs of schedules. There is one of each for all schedules of the page: the button that opens
 * it says by `data-fill` which schedule it is about (client/fill.ts).
 */
import type { Field, Json } from "../../core/form/field.ts";
import { fieldOf } from "../../core/form/form.ts";
import { overlaps } from "../../core/service/schedules.ts";
import type { WorkflowInfo } from "../../core/service/service.ts";
import { toJson } from "../../core/value/json.ts";
import type { ScheduleInfo } from "../../core/service/schedules.ts";
import { decode } from "../../core/value/value.ts";
import { ActionDialog } from "./dialog.tsx";
import { FormField } from "./field.tsx";
import { ValueForm } from "./form.tsx";

/** What the dialogs need to know of a schedule, as text of their fields. `input` is JSON, or "" for none. */
export function changeable(schedule: ScheduleInfo) {
  const { id, workflow, cron, timezone, overlap, catchUpMs, jitterMs, pauseOnFailure } = schedule;
  const input = decode(schedule.input);
  return {
    ...{ id, workflow, cron, timezone, overlap },
    catchUp: `${catchUpMs} ms`,
    jitter: jitterMs === 0 ? "" : `${jitterMs} ms`,
    pauseOnFailure,
    input: input === undefined ? "" : JSON.stringify(toJson(input), null, 2),
  };
}

type ScheduleDialogProps = Omit<Parameters<typeof ActionDialog>[0], "action" | "lead"> & {
  /** What follows the address of the schedule. */
  readonly call?: string;
  /** What is said of the schedule, behind its id. */
  readonly about: string;
};

/** About the schedule whose button was pressed. */
function ScheduleDialog({ call = "", about, children, ...rest }: ScheduleDialogProps) {
  const lead = (
    <>
      <strong data-show="id"></strong>: {about}
    </>
  );
  return (
    <ActionDialog {...rest} action={`/v1/schedules/{id}${call}`} lead={lead}>
      <input type="hidden" name="id" data-part />
      {children}
    </ActionDialog>
  );
}

export function ScheduleDialogs({ workflows }: { readonly workflows: readonly WorkflowInfo[] }) {
  return (
    <>
      <ScheduleDialog
        id="trigger"
        title="Trigger now"
        call="/trigger"
        submit="Trigger"
        done="Started {id}."
        then="/runs/{id}"
        about="A run is started now, also while the schedule is paused."
      />
      <ScheduleDialog
        id="pause"
        title="Pause the schedule"
        method="PATCH"
        submit="Pause"
        done="Paused."
        about="Nothing fires until it is resumed. Runs that it started go on."
      >
        <input type="hidden" name="paused" value="true" data-json />
      </ScheduleDialog>
      <ScheduleDialog
        id="resume"
        title="Resume the schedule"
        method="PATCH"
        submit="Resume"
        done="Resumed."
        about="It fires again from now on."
      >
        <input type="hidden" name="paused" value="false" data-json />
      </ScheduleDialog>
      <ScheduleDialog
        id="remove"
        title="Delete the schedule"
        method="DELETE"
        submit="Delete"
        look="danger"
        done="Deleted."
        about="It fires no more. Runs that it started go on."
      />
      <ScheduleDialog
        id="backfill"
        title="Backfill"
        call="/backfill"
        submit="Backfill"
        done="{firings} firings will be started."
        about="One run for each firing of a time that is over, which has none yet."
      >
        <Range />
      </ScheduleDialog>
      <ChangeDialog />
      <CreateDialog workflows={workflows} />
    </>
  );
}

function Range() {
  return (
    <div class="fields">
      <FormField label="From" hint="your time">
        <input id="backfill-from" name="from" type="datetime-local" required />
      </FormField>
      <FormField label="To" hint="not itself">
        <input id="backfill-to" name="to" type="datetime-local" required />
      </FormField>
      <FormField label="Runs">
        <select id="backfill-overlap" name="overlap">
          <option value="allow-all">side by side</option>
          <option value="buffer-all">one after the other</option>
        </select>
      </FormField>
    </div>
  );
}

function ChangeDialog() {
  return (
    <ScheduleDialog
      id="change"
      title="Change the schedule"
      method="PATCH"
      submit="Change"
      done="Changed."
      about="What fires from now on fires by these rules."
      wide
    >
      <Rules prefix="change" />
      <FormField label="Input" hint="JSON">
        <textarea id="change-input" class="code" name="input" rows={6} data-json spellcheck={false}></textarea>
      </FormField>
    </ScheduleDialog>
  );
}

function CreateDialog({ workflows }: { readonly workflows: readonly WorkflowInfo[] }) {
  return (
    <ActionDialog id="create" title="New schedule" action="/v1/schedules" submit="Create" done="{id} is there." wide>
      <FormField label="Id">
        <input id="create-id" name="id" required maxlength={256} autocomplete="off" spellcheck={false} />
      </FormField>
      <Rules prefix="create" />
      <ValueForm id="create-start" label="What it starts" field={startField(workflows)} name={null} plain />
    </ActionDialog>
  );
}

/** A workflow with its input: which input it is depends on which workflow. */
function startField(workflows: readonly WorkflowInfo[]): Field {
  const variants = workflows.map(({ name, input }) => {
    const field = fieldOf(input);
    const isNeeded = field.kind !== "json";
    const members = [
      { name: "workflow", field: { kind: "fixed", value: name as Json, nullable: false } as const, required: true },
      { name: "input", field, required: isNeeded },
    ];
    return { label: name, field: { kind: "object", members, others: null, nullable: false } as const };
  });
  return { kind: "variants", variants, nullable: false, title: "Workflow" };
}

/** When it fires, and what then. */
function Rules({ prefix }: { readonly prefix: string }) {
  return (
    <div class="fields">
      <FormField label="Cron" hint="minute, hour, day, month, weekday">
        <input
          id={`${prefix}-cron`}
          class="mono"
          name="cron"
          required
          maxlength={256}
          placeholder="0 7 * * MON-FRI"
          autocomplete="off"
          spellcheck={false}
        />
      </FormField>
      <FormField label="Time zone" hint="UTC unless given">
        <input
          id={`${prefix}-timezone`}
          name="timezone"
          maxlength={256}
          placeholder="Europe/Berlin"
          autocomplete="off"
          spellcheck={false}
        />
      </FormField>
      <FormField label="While a run goes on">
        <select id={`${prefix}-overlap`} name="overlap">
          {overlaps.map((overlap) => (
            <option value={overlap}>{overlap}</option>
          ))}
        </select>
      </FormField>
      <FormField label="Catch up" hint="1 hour unless given">
        <input id={`${prefix}-catch-up`} name="catchUp" maxlength={64} autocomplete="off" />
      </FormField>
      <FormField label="Jitter" hint="none unless given">
        <input id={`${prefix}-jitter`} name="jitter" maxlength={64} autocomplete="off" />
      </FormField>
      <label class="form-check" for={`${prefix}-pauses`}>
        <input id={`${prefix}-pauses`} type="checkbox" name="pauseOnFailure" />
        <span>Pause when a run of it fails</span>
      </label>
    </div>
  );
}
