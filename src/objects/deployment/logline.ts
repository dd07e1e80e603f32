/**
 * Owns: the log of a deployment: one line of JSON for each event in the life of a run.
 * Does not own: the history of a run, which has more detail; other errors, which are written where they happen.
 * Invariant 1: it never contains a value of a run: no input, result, payload, label or progress.
 */
import { authorOf } from "../../core/author.ts";
import type { Author } from "../../core/author.ts";
import type { Entry, EntryOf } from "../../core/history/entry.ts";
import { HoldfastError, messageOf } from "../../core/error.ts";
import type { StoredError } from "../../core/error.ts";
import { copiedUpTo, firstCreatedAt } from "../../core/run/origin.ts";
import { formatTrace, runTrace } from "../../core/trace/trace.ts";
import { variable } from "../address.ts";
import { answersMs } from "../directory/lag.ts";

type Level = "log" | "warn" | "error";
/** The fields of a line besides the run's id and workflow; undefined fields are left out. */
type Event = Readonly<Record<string, unknown>> & { readonly event: string };

const longestMessage = 1000;

/**
 * Whether the variable LOG turns the log off. An invalid value counts as the default here, because it must not stop a run;
 * {@link checkLog} reports it.
 */
function isSilent(): boolean {
  return variable("LOG") === "off";
}

/** @throws HoldfastError config_invalid */
export function checkLog(): void {
  const value = variable("LOG") ?? "";
  if (value === "" || value === "json" || value === "off") return;
  throw new HoldfastError("config_invalid", 'LOG must be "json" or "off"');
}

type Line = { readonly level: Level; readonly run: EntryOf<"run.created">; readonly at: number; readonly event: Event };

/** The lines of one run. They are made and written in order, after callers who wait for the run are answered. */
export class Log {
  #lines: Line[] = [];
  #dueAt = 0;

  /** @param created the creation of the run before these entries; null if they create it */
  note(entries: readonly Entry[], created: EntryOf<"run.created"> | null): void {
    let run = created;
    const begins = has(entries, "run.created") && has(entries, "run.started");
    for (const entry of entries) {
      if (entry.kind === "run.created") run = entry;
      // Copied entries are of another run, or of the incarnation before.
      if (run === null || (entry.seq > run.seq && entry.seq <= copiedUpTo(run))) continue;
      // A run that starts immediately has one line for both entries, because each line costs money.
      if (entry.kind === "run.started" && begins) continue;
      const event = eventOf(entry, run, begins);
      if (event === null || isSilent()) continue;
      if (this.#lines.length === 0) this.#dueAt = Date.now() + answersMs;
      this.#lines.push({ level: levelOf(entry), run, at: entry.at, event });
    }
  }

  /** Writes the lines that are due. Returns when more will be due, epoch ms; null for never. */
  attend(): number | null {
    if (this.#lines.length === 0) return null;
    const now = Date.now();
    // A longer wait means that the clock was set back.
    if (this.#dueAt > now && this.#dueAt <= now + answersMs) return this.#dueAt;
    this.flush();
    return null;
  }

  flush(): void {
    const lines = this.#lines;
    this.#lines = [];
    for (const line of lines) write(line);
  }
}

/** Logs the removal of a run, by a request or after its retention. */
export function logRemoval(
  run: EntryOf<"run.created">,
  at: number,
  by: (Author & { reason: string | null }) | null,
): void {
  if (isSilent()) return;
  const event =
    by === null ? { event: "run.expired" } : { event: "run.deleted", ...authorOf(by), reason: by.reason ?? undefined };
  write({ level: "log", run, at, event });
}

/**
 * Logs a refused call of a webhook: one that starts runs has no run to record it, and only the log has what a function of the
 * author's threw over a call. What is behind an unreadable body may quote the body.
 * @param of the webhook, and the run that waits for its call
 */
export function logDelivery(
  { name, workflow, run }: { readonly name: string; readonly workflow: string; readonly run?: string },
  { code, message, cause }: HoldfastError,
  at: number,
): void {
  if (isSilent()) return;
  const thrown = cause === undefined || code === "body_invalid" ? undefined : messageOf(cause).slice(0, longestMessage);
  const error = { code, message: message.slice(0, longestMessage), cause: thrown };
  const event = "webhook.rejected";
  console.warn(JSON.stringify({ event, run, webhook: name, workflow, at: new Date(at).toISOString(), error }));
}

function has(entries: readonly Entry[], wanted: Entry["kind"]): boolean {
  return entries.some(({ kind }) => kind === wanted);
}

/** @param begins whether the run starts with its creation */
function eventOf(entry: Entry, run: EntryOf<"run.created">, begins: boolean): Event | null {
  const { kind: event, seq } = entry;
  switch (entry.kind) {
    case "run.created": {
      const renewed = entry.continuation !== undefined && entry.fork === undefined;
      const status = begins ? "running" : "queued";
      return { event: renewed ? "run.continued" : event, seq, status, ...authorOf(entry) };
    }
    case "run.started":
      return { event, seq, status: "running" };
    case "run.interrupted":
    case "run.recovered":
      return { event, seq };
    case "run.paused":
      return { event, seq, status: "paused", ...whyOf(entry), error: errorOf(entry.error) };
    case "run.resumed":
    case "run.retried":
    case "run.imported":
    case "run.cancel_requested":
      return { event, seq, ...whyOf(entry) };
    case "run.completed":
      return { event, seq, status: "completed", durationMs: ageOf(run, entry) };
    case "run.failed":
      return { event, seq, status: "failed", durationMs: ageOf(run, entry), error: errorOf(entry.error) };
    case "run.cancelled":
      return {
        ...{ event, seq, status: "cancelled", durationMs: ageOf(run, entry), error: errorOf(entry.error) },
        ...whyOf(entry),
      };
    case "step.failed":
      return {
        ...{ event, seq, step: entry.step, attempt: entry.attempt },
        ...{ durationMs: entry.at - entry.startedAt, error: errorOf(entry.error) },
      };
    default:
      // All other entries are only in the history.
      return null;
  }
}

function levelOf({ kind }: Entry): Level {
  if (kind === "run.failed") return "error";
  return kind === "step.failed" || kind === "run.interrupted" ? "warn" : "log";
}

function whyOf(entry: Author & { readonly reason: string | null }): object {
  return { ...authorOf(entry), reason: entry.reason ?? undefined };
}

/** The time from the creation of the run's first incarnation, ms. */
function ageOf(run: EntryOf<"run.created">, end: Entry): number {
  return end.at - firstCreatedAt(run);
}

function errorOf(error: StoredError | undefined): object | undefined {
  if (error === undefined) return undefined;
  const { code, step, message } = error;
  return { code, step, message: message.slice(0, longestMessage) };
}

function write({ level, run, at, event: { event, ...more } }: Line): void {
  const { id, workflow, version } = run;
  const trace = formatTrace(runTrace(run));
  console[level](JSON.stringify({ event, run: id, workflow, version, at: new Date(at).toISOString(), ...more, trace }));
}
