/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: the list of a webhook's calls that were refused. */
import type { Bar } from "../../core/timeline/timeline.ts";
import { Instant } from "./instant.tsx";

type RejectionsProps = { readonly rejected: Bar["rejected"]; readonly form: "ago" | "exact" };

export function Rejections({ rejected, form }: RejectionsProps) {
  return (
    <ul class="rejections">
      {rejected.map(({ at, reason }) => (
        <li>
          <Instant at={at} form={form} /> <span>{reason}</span>
        </li>
      ))}
    </ul>
  );
}
