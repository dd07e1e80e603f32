/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: what a field of a form is called and what is said of it. */
import { isComposite, kindOf } from "../../core/form/field.ts";
import type { Field } from "../../core/form/field.ts";
import { isRadio } from "./control.tsx";

/** `code`: the name as a program writes it. `isItem`: the script counts it. */
export type Caption = { readonly text: string; readonly code?: string; readonly isItem?: boolean };

type LabelProps = { readonly id: string; readonly field: Field; readonly caption: Caption; readonly required: boolean };

export function Label({ id, field, caption, required }: LabelProps) {
  const words = <Words field={field} caption={caption} required={required} />;
  // Radio buttons and what is fixed have no one control to point at.
  const isPointed = field.kind !== "fixed" && !(field.kind === "choice" && isRadio(field, required));
  return isPointed ? (
    <label for={id}>{words}</label>
  ) : (
    <div class="label" id={`${id}-label`}>
      {words}
    </div>
  );
}

export function Words({ field, caption, required }: Omit<LabelProps, "id">) {
  const { title } = field;
  const kind = field.kind === "choice" || field.kind === "fixed" || isComposite(field) ? "" : kindOf(field);
  return (
    <>
      <span class="form-name" data-count={caption.isItem === true ? "" : undefined}>
        {title ?? caption.text}
      </span>
      {title === undefined || caption.code === undefined ? null : <code>{caption.code}</code>}
      {required ? null : <span class="form-tag">optional</span>}
      {kind === "" ? null : <span class="form-kind">{kind}</span>}
    </>
  );
}

export function Description({ id, field }: { readonly id: string; readonly field: Field }) {
  return field.description === undefined ? null : (
    <p class="form-hint" id={`${id}-hint`}>
      {field.description}
    </p>
  );
}
