/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/**
 * Owns: actions on all runs of a filter, each with the count of those it is about before anything is done; and the
 * rebuilding of the directory.
 */
import type { Cause, RunFilter } from "../../core/service/directory.ts";
import type { RunAction } from "../../core/service/service.ts";
import type { Caller } from "../auth/auth.ts";
import { ActionButton, ActionDialog, ActionMenu } from "./dialog.tsx";
import { FormField } from "./field.tsx";
import { toBulkFilter } from "./filter.ts";

type Bulk = {
  readonly action: RunAction["kind"];
  readonly verb: string;
  readonly look: "primary" | "danger";
  readonly lead: string;
};

const bulks: readonly Bulk[] = [
  {
    action: "retry",
    verb: "Retry",
    look: "primary",
    lead: "Failed runs go on from what failed and keep what succeeded; runs that wait for their next attempt make it now.",
  },
  { action: "pause", verb: "Pause", look: "primary", lead: "Unfinished runs stand still until they are resumed." },
  { action: "resume", verb: "Resume", look: "primary", lead: "Paused runs go on." },
  { action: "cancel", verb: "Cancel", look: "danger", lead: "Unfinished runs end; what they did is undone first." },
  { action: "terminate", verb: "Terminate", look: "danger", lead: "Unfinished runs end at once. Nothing is undone." },
  { action: "delete", verb: "Delete", look: "danger", lead: "Ended runs are removed with all that is stored of them." },
];

export function BulkMenu({ filter, caller }: { readonly filter: RunFilter; readonly caller: Caller | null }) {
  const unless =
    Object.keys(filter).length === 0 ? "Filter the runs first: this acts on all runs of the filter." : null;
  return (
    <ActionMenu>
      {bulks.map(({ action, verb, look }) => (
        <ActionButton
          dialog={`bulk-${action}`}
          caller={caller}
          role="admin"
          unless={unless}
          look={look === "danger" ? "danger" : "plain"}
        >
          {verb} all of the filter
        </ActionButton>
      ))}
      <hr />
      <ActionButton dialog="rebuild" caller={caller} role="admin">
        Rebuild the list
      </ActionButton>
    </ActionMenu>
  );
}

/** @param cause the one that the filter names, where any run has failed of it */
export function BulkDialogs({ filter, cause }: { readonly filter: RunFilter; readonly cause: Cause | null }) {
  const meant = toBulkFilter(filter);
  return (
    <>
      {Object.keys(filter).length === 0
        ? null
        : bulks.map((bulk) => <BulkDialog bulk={bulk} meant={meant} cause={cause} />)}
      <RebuildDialog />
    </>
  );
}

type BulkDialogProps = {
  readonly bulk: (typeof bulks)[number];
  readonly meant: ReturnType<typeof toBulkFilter>;
  readonly cause: Cause | null;
};

function BulkDialog({ bulk: { action, verb, look, lead }, meant, cause }: BulkDialogProps) {
  return (
    <ActionDialog
      id={`bulk-${action}`}
      title={`${verb} all runs of this filter`}
      action="/v1/runs/bulk"
      preview="/v1/runs/bulk?dryRun=true"
      submit={verb}
      submitPreview={`${verb} {count|run|runs}`}
      look={look}
      lead={`${lead} Runs for which it makes no sense are skipped.`}
      done={`${verb}: under way.`}
      then="/runs/{id}"
    >
      <input type="hidden" name="action" value={action} />
      <input type="hidden" name="filter" value={JSON.stringify(meant)} data-json />
      <dl class="meant">
        {Object.entries(meant).map(([name, value]) => (
          <div>
            <dt>{name}</dt>
            <dd>{name === "cause" && cause !== null ? cause.message : textOf(value)}</dd>
          </div>
        ))}
      </dl>
    </ActionDialog>
  );
}

function RebuildDialog() {
  return (
    <ActionDialog
      id="rebuild"
      title="Rebuild the list of runs"
      action="/v1/directory/rebuild"
      submit="Rebuild"
      lead="Asks every run to report itself anew. It is needed only when a part of the list was lost; runs go on meanwhile."
      done="Rebuilding."
      then="/runs/{id}"
    >
      <FormField label="Shard" hint="optional; all of them without">
        <input type="number" name="shard" min="0" step="1" />
      </FormField>
    </ActionDialog>
  );
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.join(", ");
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value)
    .map(([key, each]) => `${key}=${String(each)}`)
    .join(", ");
}
