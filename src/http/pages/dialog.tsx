/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/**
 * Owns: actions on a page: the button, and the dialog that asks for name and reason before anything is sent.
 * The script sends the form to the public API (client/action.ts says how fields become a body).
 */
import type { PropsWithChildren } from "hono/jsx";
import type { JSX } from "hono/jsx/jsx-runtime";
import { mayAs } from "../auth/auth.ts";
import type { Caller } from "../auth/auth.ts";
import type { Role } from "../config.ts";
import { FormField } from "./field.tsx";
import { Icon } from "./icon.tsx";
import type { Sign } from "./icon.tsx";

type ButtonProps = PropsWithChildren<{
  /** The `id` of the dialog it opens. */
  readonly dialog: string;
  readonly caller: Caller | null;
  readonly role: Role;
  /** Why it cannot be done now, whoever asks; null when it can. */
  readonly unless?: string | null;
  readonly look?: "primary" | "danger" | "plain";
  readonly sign?: Sign;
  /** The step that the dialog of a fork is to begin with. */
  readonly forkFrom?: string;
}>;

/** A button that opens a dialog. A disabled one stays visible and says why. */
export function ActionButton(props: ButtonProps) {
  const { dialog, caller, role, unless = null, look = "plain", sign, forkFrom, children } = props;
  const isAllowed = caller !== null && mayAs(caller, role);
  const refusal = isAllowed ? unless : `Needs the role ${role}; you have ${caller?.role ?? "none"}.`;
  const state = refusal === null ? {} : { "aria-disabled": "true", title: refusal, "data-refusal": refusal };
  return (
    <button type="button" class={`button ${look}`} data-dialog={dialog} data-fork-from={forkFrom} {...state}>
      {sign === undefined ? null : <Icon sign={sign} />}
      <span>{children}</span>
      {refusal === null ? null : <span class="sr">({refusal})</span>}
    </button>
  );
}

/** The actions of a page that do not stand beside its title. */
export function ActionMenu({ children }: PropsWithChildren) {
  return (
    <details class="menu" data-menu data-actions>
      <summary class="button plain">
        <span>Actions</span>
        <Icon sign="down" />
      </summary>
      <div>{children}</div>
    </details>
  );
}

type DialogProps = PropsWithChildren<{
  readonly id: string;
  readonly title: string;
  /** The address of the API; `{name}` is filled from the field of that name. */
  readonly action: string;
  /** What is only asked for needs nobody's name. */
  readonly method?: "GET" | "POST" | "PATCH" | "DELETE";
  readonly submit: string;
  readonly look?: "primary" | "danger";
  /** What it will do, in a sentence. */
  readonly lead?: string | JSX.Element;
  readonly why?: "required" | "optional";
  /** What is said when it was done. */
  readonly done?: string;
  /** It stays open, and shows the answer. */
  readonly answers?: boolean;
  /** Where to go then, with `{field}` of the answer filled in; otherwise the page is refreshed. */
  readonly then?: string | undefined;
  /** Asked when the dialog opens and when a field changes; the answer is the event `preview` of the form. */
  readonly preview?: string;
  /** With `{field}` of the preview's answer filled in, the text of the button. */
  readonly submitPreview?: string;
  /** A wider box, for forms with much in them. */
  readonly wide?: boolean;
}>;

/** @param id of the dialog, which is named by its title */
export function DialogHead({ id, title }: { readonly id: string; readonly title: string }) {
  return (
    <div class="dialog-head">
      <h2 id={`${id}-title`}>{title}</h2>
      <button type="button" class="quiet" data-close aria-label="Close">
        <Icon sign="close" />
      </button>
    </div>
  );
}

export function ActionDialog(props: DialogProps) {
  const { id, title, action, method = "POST", submit, look = "primary", lead, why = "required", children } = props;
  return (
    <dialog id={id} aria-labelledby={`${id}-title`} class={props.wide === true ? "wide" : undefined}>
      <form
        method="dialog"
        data-action={action}
        data-method={method}
        data-done={props.done ?? "Done."}
        data-then={props.then}
        data-preview={props.preview}
        data-submit-preview={props.submitPreview}
      >
        <DialogHead id={id} title={title} />
        {lead === undefined ? null : <p class="lead">{lead}</p>}
        {children}
        {method === "GET" ? null : <Author id={id} why={why} />}
        {props.answers === true ? (
          <pre class="answer" data-answer role="status" aria-label="Answer" tabindex={0} hidden></pre>
        ) : null}
        <p class="problem" role="alert" hidden></p>
        <div class="dialog-foot">
          <button type="button" class="button plain" data-close>
            Close
          </button>
          <button type="submit" class={`button ${look}`} data-submit={submit}>
            {submit}
          </button>
        </div>
      </form>
    </dialog>
  );
}

/** The fields for name and reason, which are sent as headers and recorded in the history. */
function Author({ id, why }: { readonly id: string; readonly why: "required" | "optional" }) {
  return (
    <div class="author">
      <FormField label="Your name">
        <input id={`${id}-actor`} data-header="actor" required maxlength={256} autocomplete="name" spellcheck={false} />
      </FormField>
      <FormField label="Why" hint={why === "optional" ? why : undefined}>
        <input
          id={`${id}-reason`}
          data-header="reason"
          required={why === "required"}
          maxlength={2000}
          autocomplete="off"
        />
      </FormField>
    </div>
  );
}
