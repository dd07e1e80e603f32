/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/**
 * Owns: instants and spans on a page. The server writes UTC, or the distance from now; the script
 * writes the reader's own time and keeps distances true.
 */
import { agoText, dayText, hourText, spanText, utcText } from "./span.ts";

type Form = "clock" | "day" | "hour" | "ago" | "since";

type InstantProps = {
  /** Epoch ms. */
  readonly at: number;
  /** `clock`: date and time; `day` and `hour`: one of them. `ago`: how long since, or until. `since`: how long it has been going on. */
  readonly form?: Form;
};

export function Instant({ at, form = "clock" }: InstantProps) {
  const iso = new Date(at).toISOString();
  const title = form === "clock" ? {} : { title: utcText(at) };
  return (
    <time datetime={iso} data-form={form} {...title}>
      {textOf(at, form)}
    </time>
  );
}

function textOf(at: number, form: Form): string {
  switch (form) {
    case "clock":
      return utcText(at);
    case "day":
      return dayText(at);
    case "hour":
      return hourText(at);
    case "ago":
      return agoText(at, Date.now());
    case "since":
      return spanText(Date.now() - at);
    default:
      return form satisfies never;
  }
}

/** A span that is over. */
export function Span({ ms }: { readonly ms: number }) {
  return <span class="span">{spanText(ms)}</span>;
}
