/**
 * Makes the spans of a run from its journal: the run, every attempt of every step, and every wait. Pure: the same entries
 * make the same spans with the same ids. Spans contain no values of the run.
 */
import { endStatus } from "../history/end.ts";
import type { EndEntry } from "../history/end.ts";
import type { Entry, EntryOf } from "../history/entry.ts";
import { firstCreatedAt } from "../run/origin.ts";
import { givenTrace, runTrace, spotTrace } from "./trace.ts";
import type { Spot, Trace } from "./trace.ts";
import { copiedUpTo } from "../run/origin.ts";
import { exceptionOf } from "./span.ts";
import type { Attributes, Span, SpanEvent } from "./span.ts";
import type { Stretch } from "./stretch.ts";

type Created = EntryOf<"run.created">;

/** A span that has not ended. */
type Open = {
  readonly kind: Spot["kind"];
  readonly id: string;
  readonly name: string;
  readonly startAt: number;
  readonly attributes: Attributes;
};

/** The end of a span. */
type Closing = { readonly at: number; readonly outcome: string } & Partial<Pick<Span, "error" | "links">>;

/** The limit of events and links of a span. */
const maxEvents = 100;
const maxLinks = 100;

/**
 * The spans of one stretch of the run, each as it ends; the stretch's own span is last. That of the first stretch is the
 * run's span; those of later stretches are below it.
 * @param entries the journal from its beginning; read no further than the stretch's end
 */
export function* spansOf(entries: Iterable<Entry>, stretch: Stretch): Generator<Span> {
  let tracer: Tracer | null = null;
  for (const entry of entries) {
    if (entry.kind === "run.created") tracer = new Tracer(entry, stretch);
    if (tracer !== null) yield* tracer.take(entry);
    if (entry.seq >= stretch.end) return;
  }
}

class Tracer {
  readonly #created: Created;
  readonly #stretch: Stretch;
  /** The parent of all other spans of the stretch. */
  readonly #root: Trace;
  readonly #open = new Map<string, Open>();
  /** Traces of signals that were not consumed yet, by `seq`. */
  readonly #signals = new Map<number, Trace>();
  readonly #events: SpanEvent[] = [];
  #startAt: number;

  constructor(created: Created, stretch: Stretch) {
    const { episode } = stretch;
    this.#created = created;
    this.#stretch = stretch;
    this.#root = episode === 0 ? runTrace(created) : this.#trace("retry", "", 0);
    this.#startAt = firstCreatedAt(created);
  }

  /** The spans of the stretch that this entry ends. */
  take(entry: Entry): Span[] {
    const isCopy = entry.seq <= copiedUpTo(this.#created);
    if (entry.seq === this.#stretch.episode) this.#resume(entry.at);
    const spans = isCopy ? [] : this.#spans(entry);
    return entry.seq > this.#stretch.episode ? spans : [];
  }

  /** After a retry, open waits begin again. */
  #resume(at: number): void {
    this.#startAt = at;
    this.#events.length = 0;
    for (const [key, open] of this.#open) this.#open.set(key, { ...open, startAt: at });
  }

  #spans(entry: Entry): Span[] {
    switch (entry.kind) {
      case "step.completed":
      case "step.failed":
      case "step.attempt_failed":
      case "undo.completed":
      case "undo.failed":
      case "undo.attempt_failed":
        return [this.#attempt(entry)];
      case "signal.received":
        this.#heard(entry);
        return [];
      case "signal.consumed":
        return [this.#consumed(entry)];
      case "wait.withdrawn":
        return entry.calls.flatMap(({ call, id }) => this.#close(call, id, { at: entry.at, outcome: "withdrawn" }));
      case "child.started":
      case "child.completed":
      case "child.failed":
        return this.#child(entry);
      case "run.completed":
      case "run.failed":
      case "run.cancelled":
        return this.#end(entry);
      default:
        this.#note(entry);
        return this.#wait(entry);
    }
  }

  /** Timers, waits, webhooks, lanes and updates: what begins one, and what ends it. */
  #wait(entry: Entry): Span[] {
    const { at } = entry;
    switch (entry.kind) {
      case "timer.set":
        return this.#begin("sleep", entry.call, `sleep ${entry.name}`, at, { "holdfast.name": entry.name });
      case "timer.fired":
        return this.#close("sleep", entry.call, { at, outcome: "fired" });
      case "wait.started":
        return this.#begin("wait", entry.call, `wait for ${entry.name}`, at, { "holdfast.name": entry.name });
      case "wait.timed_out":
        return this.#close(entry.wait === "signal" ? "wait" : "webhook", entry.call, { at, outcome: "timed_out" });
      case "webhook.created":
        return this.#begin("webhook", entry.call, `webhook ${entry.name}`, at, { "holdfast.name": entry.name });
      case "webhook.received":
        return this.#close("webhook", entry.call, { at, outcome: "received" });
      case "lane.queued": {
        const step = entry.step === null ? {} : { "holdfast.step": entry.step };
        return this.#begin("lane", laneSpanName(entry), `lane ${entry.lane}`, at, {
          "holdfast.lane": entry.lane,
          ...step,
        });
      }
      case "lane.entered":
        return this.#close("lane", laneSpanName(entry), { at, outcome: "entered" });
      case "update.accepted":
        return this.#begin("update", entry.update, `update ${entry.name}`, at, { "holdfast.name": entry.name });
      case "update.completed":
        return this.#close("update", entry.update, { at, outcome: "completed" });
      case "update.failed":
        return this.#close("update", entry.update, { at, outcome: "failed", error: entry.error });
      default:
        // Other entries make no spans.
        return [];
    }
  }

  #attempt(entry: Extract<Entry, { readonly startedAt: number }>): Span {
    const { step, attempt, startedAt, at, kind } = entry;
    const undo = kind.startsWith("undo.");
    return this.#span({
      trace: this.#trace(undo ? "undo" : "run", step, attempt),
      name: undo ? `undo ${step}` : step,
      startAt: startedAt,
      endAt: at,
      attributes: { "holdfast.step": step, "holdfast.attempt": attempt },
      error: "error" in entry ? entry.error : null,
    });
  }

  #heard(signal: EntryOf<"signal.received">): void {
    const trace = givenTrace(signal);
    if (trace !== null) this.#signals.set(signal.seq, trace);
  }

  #consumed({ name, call, signal, at, listener, error: refusal }: EntryOf<"signal.consumed">): Span {
    const sent = this.#signals.get(signal);
    this.#signals.delete(signal);
    const links = sent === undefined ? [] : [sent];
    const error = refusal ?? null;
    const [waited] = listener === true ? [] : this.#close("wait", call, { at, outcome: "received", error, links });
    if (waited !== undefined) return waited;
    // A signal that was buffered already was not waited for.
    const trace = this.#trace("signal", `${name} ${signal}`, 0);
    const attributes = { "holdfast.name": name };
    return this.#span({ trace, name: `signal ${name}`, startAt: at, endAt: at, attributes, error, links });
  }

  #child(entry: EntryOf<"child.started"> | EntryOf<"child.completed"> | EntryOf<"child.failed">): Span[] {
    const { step, at } = entry;
    if (entry.kind === "child.completed") return this.#close("child", step, { at, outcome: "completed" });
    if (entry.kind === "child.started") {
      const { id, workflow } = entry.child;
      const attributes = { "holdfast.step": step, "holdfast.child.run": id, "holdfast.child.workflow": workflow };
      // The child began before its entry was written; if there are several entries, the first one counts.
      const calledAt = this.#open.get(openKey("child", step))?.startAt ?? entry.startedAt ?? at;
      this.#begin("child", step, `run ${workflow}`, calledAt, attributes);
      return entry.detached === true ? this.#close("child", step, { at, outcome: "started" }) : [];
    }
    // A child that could not be started has an entry of its failure only.
    if (!this.#open.has(openKey("child", step))) this.#begin("child", step, step, at, { "holdfast.step": step });
    return this.#close("child", step, { at, outcome: "failed", error: entry.error });
  }

  /** Ends all open spans, and then that of the stretch. */
  #end(entry: EndEntry): Span[] {
    const { at, seq } = entry;
    if (seq !== this.#stretch.end) return [];
    const open = [...this.#open.values()].flatMap(({ kind, id }) => this.#close(kind, id, { at, outcome: "left" }));
    const { id, workflow, version, parent, schedule, fork } = this.#created;
    const first = this.#stretch.episode === 0;
    const run: Span = {
      trace: this.#root,
      parentId: first ? (givenTrace(this.#created)?.spanId ?? null) : runTrace(this.#created).spanId,
      name: first ? workflow : `${workflow} retried`,
      startAt: this.#startAt,
      endAt: Math.max(this.#startAt, at),
      attributes: {
        ...{ "holdfast.run": id, "holdfast.workflow": workflow, "holdfast.version": version },
        "holdfast.status": endStatus(entry),
        ...(parent === null ? {} : { "holdfast.parent.run": parent.id }),
        ...(schedule === null ? {} : { "holdfast.schedule": schedule.id }),
        ...(fork === undefined ? {} : { "holdfast.fork.run": fork.id }),
      },
      error: entry.kind === "run.failed" ? entry.error : null,
      events: this.#events,
      // Links to the traces of signals that were not consumed.
      links: [...this.#signals.values()].slice(0, maxLinks),
    };
    return [...open, run];
  }

  /** Entries about the run as a whole become events of its span. */
  #note(entry: Entry): void {
    switch (entry.kind) {
      case "run.started":
      case "run.recovered":
      case "run.interrupted":
        return this.#event(entry, {});
      case "step.interrupted":
      case "undo.interrupted":
        return this.#event(entry, { "holdfast.step": entry.step });
      case "run.paused":
      case "run.resumed":
      case "run.retried":
      case "run.cancel_requested":
      case "undo.started":
        return this.#event(entry, { "holdfast.by": entry.by });
      default:
      // All others are spans, or not shown.
    }
  }

  #event({ kind, at }: Entry, attributes: Attributes): void {
    if (this.#events.length < maxEvents) this.#events.push({ name: kind, at, attributes });
  }

  #begin(kind: Open["kind"], id: string, name: string, startAt: number, attributes: Attributes): Span[] {
    this.#open.set(openKey(kind, id), { kind, id, name, startAt, attributes });
    return [];
  }

  /** The span of a wait that ends; none where there was no wait. */
  #close(kind: Open["kind"], id: string, { at, outcome, error = null, links = [] }: Closing): Span[] {
    const key = openKey(kind, id);
    const open = this.#open.get(key);
    if (open === undefined) return [];
    this.#open.delete(key);
    const { name, startAt } = open;
    const attributes = { ...open.attributes, "holdfast.outcome": outcome };
    return [this.#span({ trace: this.#trace(kind, id, 0), name, startAt, endAt: at, attributes, error, links })];
  }

  #span(
    span: Pick<Span, "trace" | "name" | "startAt" | "endAt" | "attributes"> & Partial<Pick<Span, "error" | "links">>,
  ): Span {
    const { id, workflow } = this.#created;
    const { error = null, links = [] } = span;
    return {
      ...span,
      parentId: this.#root.spanId,
      endAt: Math.max(span.startAt, span.endAt),
      attributes: { "holdfast.run": id, "holdfast.workflow": workflow, ...span.attributes },
      error,
      links,
      events: error === null ? [] : [exceptionOf(error, span.endAt)],
    };
  }

  #trace(kind: Spot["kind"], id: string, attempt: number): Trace {
    return spotTrace(this.#created, { kind, id, attempt, episode: this.#stretch.episode });
  }
}

function openKey(kind: Open["kind"], id: string): string {
  return `${kind}:${id}`;
}

/** The ids of spans are made of it: another text would make other spans of the same wait. */
function laneSpanName({ lane, step }: { readonly lane: string; readonly step: string | null }): string {
  return `${lane} ${step ?? ""}`;
}
