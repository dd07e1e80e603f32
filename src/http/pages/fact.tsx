/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: one fact with its name, in a list. */
import type { PropsWithChildren } from "hono/jsx";

export function Fact({ name, children }: PropsWithChildren<{ readonly name: string }>) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
