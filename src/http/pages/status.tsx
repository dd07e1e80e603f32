/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: the look of a run's status: a word, a shape and a colour. */
import type { RunStatus } from "../../core/run/run.ts";
import { Icon } from "./icon.tsx";

export function Status({ status }: { readonly status: RunStatus }) {
  return (
    <span class={`status is-${status}`}>
      <Icon sign={status} />
      {status}
    </span>
  );
}
