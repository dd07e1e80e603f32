/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: the button that copies a text. */
import { Icon } from "./icon.tsx";

type CopyProps = {
  readonly text: string;
  /** As in "Copy the address". */
  readonly what: string;
  /** Where it stands, if not in the line. */
  readonly place?: "push" | "copy";
};

export function CopyButton({ text, what, place }: CopyProps) {
  const title = `Copy ${what}`;
  return (
    <button type="button" class={`quiet ${place ?? ""}`} data-copy={text} aria-label={title} title={title}>
      <Icon sign="copy" />
    </button>
  );
}
