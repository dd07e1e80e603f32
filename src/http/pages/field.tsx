/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: a field of a form with its label, and a hint where it needs one. */
import type { PropsWithChildren } from "hono/jsx";

type FieldProps = PropsWithChildren<{ readonly label: string; readonly hint?: string | undefined }>;

export function FormField({ label, hint, children }: FieldProps) {
  return (
    <label class="field">
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
