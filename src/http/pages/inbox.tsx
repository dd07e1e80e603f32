/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
/** Owns: signals that came to a run and that its handler has not taken, beside what it waits for: a name may be misspelt. */
import type { Entry, EntryOf } from "../../core/history/entry.ts";
import type { RunSnapshot } from "../../core/run/run.ts";
import type { Service } from "../../core/service/service.ts";
import { Icon } from "./icon.tsx";
import { Instant } from "./instant.tsx";

type Received = EntryOf<"signal.received">;

/** Older ones say little of why the run waits now. */
const maxSearched = 100;
const maxShown = 6;

/** Signals among the newest entries that nobody has taken, the newest first; none where the run waits for no signal. */
export async function readInbox({ runs }: Service, { id, seq, waitingFor }: RunSnapshot): Promise<readonly Received[]> {
  if (!waitingFor.some(({ kind }) => kind === "signal")) return [];
  const { entries } = await runs.history(id, Math.max(0, seq - maxSearched), maxSearched);
  const taken = new Set(entries.flatMap((entry) => (entry.kind === "signal.consumed" ? [entry.signal] : [])));
  return entries
    .filter((entry: Entry) => entry.kind === "signal.received")
    .filter(({ seq }) => !taken.has(seq))
    .toReversed();
}

export function Inbox({ received }: { readonly received: readonly Received[] }) {
  if (received.length === 0) return null;
  const others = received.length - maxShown;
  return (
    <article class="card wait" data-key="inbox" aria-labelledby="inbox-title">
      <h3 id="inbox-title">
        <Icon sign="flag" />
        <span>
          {received.length === 1 ? "1 signal has come" : `${received.length} signals have come`}, not taken yet
        </span>
      </h3>
      <ul>
        {received.slice(0, maxShown).map(({ name, at, by }) => (
          <li>
            <code>{name}</code>{" "}
            <span class="faint">
              from {by}, <Instant at={at} form="ago" />
            </span>
          </li>
        ))}
      </ul>
      {others > 0 ? <p class="faint">… and {others} before them</p> : null}
      <p class="faint">Each is kept until the handler waits for its name.</p>
    </article>
  );
}
