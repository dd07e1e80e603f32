/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/**
 * Owns: the dialogs of a run's queries and updates, which also show the answer. Which queries there are is known to the
 * handler alone; the refusal of an unknown name lists them.
 */
import { anyJson } from "../../core/form/field.ts";
import { ActionDialog } from "./dialog.tsx";
import { FormField } from "./field.tsx";
import { ValueForm } from "./form.tsx";

/** @param path of the run in the API */
export function QueryDialogs({ path }: { readonly path: string }) {
  return (
    <>
      <ActionDialog
        id="query"
        title="Ask a query"
        action={`${path}/queries/{name}`}
        method="GET"
        submit="Ask"
        answers
        wide
        lead="The handler answers from its own variables; nothing changes."
      >
        <NameField id="query-name" label="Name of the query" />
      </ActionDialog>
      <ActionDialog
        id="update"
        title="Send an update"
        action={`${path}/updates/{name}`}
        submit="Send"
        why="optional"
        answers
        wide
        lead="The handler checks it, changes the run by it, and answers."
      >
        <NameField id="update-name" label="Name of the update" />
        <ValueForm id="update-argument" label="Argument" field={anyJson} name="" />
      </ActionDialog>
    </>
  );
}

export function NameField({ id, label }: { readonly id: string; readonly label: string }) {
  return (
    <FormField label={label}>
      <input id={id} name="name" data-part required maxlength={256} autocomplete="off" spellcheck={false} />
    </FormField>
  );
}
