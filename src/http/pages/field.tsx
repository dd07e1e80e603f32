/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: a field of a form with its label, and a hint where it needs one. */
import type { PropsWithChildren } from "hono/jsx";

type FieldProps = {
  /** Of what is entered into; none where that stands within. */
  readonly id?: string;
  readonly label: string;
  readonly hint?: string;
};

export function FormField({ id, label, hint, children }: PropsWithChildren<FieldProps>) {
  return (
    <label class="field" {...(id === undefined ? {} : { for: id })}>
      <span>
        {label}
        {hint === undefined ? null : (
          <>
            {" "}
            <small>({hint})</small>
          </>
        )}
      </span>
      {children}
    </label>
  );
}
