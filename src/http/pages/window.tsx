/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: the window of time of a page: in the address, and the choice on the page. */
import { RequestError } from "../problem.ts";
import type { Query } from "../query.ts";

const hour = 3_600_000;
export const windows = [
  { name: "1h", title: "Last hour", short: "1 h", ms: hour },
  { name: "6h", title: "Last 6 hours", short: "6 h", ms: 6 * hour },
  { name: "24h", title: "Last 24 hours", short: "24 h", ms: 24 * hour },
  { name: "7d", title: "Last 7 days", short: "7 d", ms: 7 * 24 * hour },
  { name: "30d", title: "Last 30 days", short: "30 d", ms: 30 * 24 * hour },
  { name: "90d", title: "Last 90 days", short: "90 d", ms: 90 * 24 * hour },
] as const;

type WindowName = (typeof windows)[number]["name"];

/** Runs that were created from `from` on and before `until`, epoch ms. */
export type Window = {
  readonly name: WindowName;
  /** "last 24 hours" */
  readonly text: string;
  readonly from: number;
  readonly until: number;
};

/** @throws RequestError parameter_invalid */
export function readWindow(query: Query, otherwise: WindowName): Window {
  const name = query.get("window") ?? otherwise;
  const found = windows.find((each) => each.name === name);
  if (found !== undefined) {
    // Plus 1, so that runs created in this very millisecond are in it.
    const until = Date.now() + 1;
    return { name: found.name, text: found.title.toLowerCase(), from: until - found.ms, until };
  }
  const known = windows.map((each) => each.name).join(", ");
  throw new RequestError("parameter_invalid", `The parameter window must be one of ${known}.`);
}

/** How often a page of the window is drawn again: the directory reads each run of the window for it. */
export function refreshSeconds({ from, until }: Window): string {
  return until - from <= 25 * hour ? "10" : "60";
}

type ChooserProps = {
  readonly window: Window;
  /** Of the page without the window. */
  readonly path: string;
  /** What else is in the address. */
  readonly kept?: Readonly<Record<string, string | undefined>>;
};

export function WindowChooser({ window, path, kept = {} }: ChooserProps) {
  return (
    <nav class="segments" aria-label="Window of time">
      {windows.map(({ name, title, short }) => (
        <a
          href={addressOf(path, { ...kept, window: name })}
          title={title}
          aria-current={name === window.name ? "true" : undefined}
        >
          {short}
        </a>
      ))}
    </nav>
  );
}

/** The path with those of the parameters that have a value. */
export function addressOf(path: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) query.set(name, value);
  const text = query.toString();
  return text === "" ? path : `${path}?${text}`;
}

/** Where the runs of a span of time are listed. */
export function runsAddress(from: number, until: number, workflow?: string, status?: string): string {
  const text = (at: number): string => new Date(at).toISOString();
  return addressOf("/", { workflow, status, createdAfter: text(from), createdBefore: text(until) });
}
