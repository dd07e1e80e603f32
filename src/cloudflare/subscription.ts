/**
 * Owns: the events for subscribers of an instance, made from the history of its run. One entry makes several events,
 * because a step is recorded only when an attempt of it has ended.
 * Does not own: following the run (follow).
 */
import type { Entry, EntryOf } from "../core/history/entry.ts";
import { HoldfastError } from "../core/error.ts";
import type { StoredError } from "../core/error.ts";
import { nameOfCall } from "../core/name.ts";
import { checkOptions, refused } from "../core/option.ts";
import type { RunNews } from "../core/service/service.ts";
import { decode } from "../core/value/value.ts";
import type { Stored } from "../core/value/value.ts";
import { followRun } from "../objects/follow/follow.ts";
import { countOf } from "./config.ts";
import { placeholderOf } from "./step.ts";
import { fromRecorded } from "./stream.ts";

type EventBody = WorkflowInstanceEvent extends infer Each
  ? Each extends unknown
    ? Omit<Each, "instanceId" | "eventId" | "timestamp">
    : never
  : never;

/** Above the number of events that any entry makes, so that an `eventId` is unique. */
const eventsPerEntry = 8;

/** @throws HoldfastError run_not_found, options_invalid */
export async function subscribe(
  id: string,
  options: WorkflowInstanceSubscribeOptions,
): Promise<WorkflowInstanceSubscription> {
  checkOptions(options, ["cursor", "filter"], "a subscription");
  const { cursor = -1, filter } = options;
  if (filter !== undefined && !(Array.isArray(filter) && filter.every((type) => typeof type === "string")))
    throw refused("a subscription", "filter", "must be a list of types of events");
  if (!Number.isInteger(cursor))
    throw new HoldfastError("options_invalid", "the cursor of a subscription is an eventId");
  const wanted = filter === undefined ? null : new Set<string>(filter);
  const isWanted = ({ eventId, type }: WorkflowInstanceEvent) => eventId > cursor && (wanted?.has(type) ?? true);
  // From the first entry, also with a cursor: later events depend on which calls have begun.
  const subscription = new Subscription(id, (await followRun(id, 0)).getReader(), isWanted);
  const made: unknown = Object.defineProperty(subscription, disposal, { value: () => subscription.close() });
  return made as WorkflowInstanceSubscription;
}

/** The types of `Symbol.dispose` are not in every project that compiles this file. */
const disposal = (Symbol as { readonly dispose?: symbol }).dispose ?? Symbol.for("Symbol.dispose");

class Subscription {
  readonly #id: string;
  readonly #source: ReadableStreamDefaultReader<RunNews>;
  readonly #isWanted: (event: WorkflowInstanceEvent) => boolean;
  readonly #ready: WorkflowInstanceEvent[] = [];
  #events = new EventFactory();
  /** The newest call of `next`: calls are answered in order. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    id: string,
    news: ReadableStreamDefaultReader<RunNews>,
    isWanted: (event: WorkflowInstanceEvent) => boolean,
  ) {
    this.#id = id;
    this.#source = news;
    this.#isWanted = isWanted;
  }

  next(): Promise<IteratorResult<WorkflowInstanceEvent, void>> {
    const next = this.#last.then(() => this.#next());
    this.#last = next.catch(() => {});
    return next;
  }

  /** Ends the subscription, and drops events that were not read. */
  close(): void {
    this.#ready.length = 0;
    void this.#source.cancel().catch(() => {});
  }

  async #next(): Promise<IteratorResult<WorkflowInstanceEvent, void>> {
    for (;;) {
      const value = this.#ready.shift();
      if (value !== undefined) return { done: false, value };
      const { done, value: news } = await this.#source.read();
      if (done || news.kind === "ended") {
        this.close();
        return { done: true, value: undefined };
      }
      for (const entry of news.entries) this.#ready.push(...this.#eventsOf(entry).filter(this.#isWanted));
    }
  }

  #eventsOf(entry: Entry): WorkflowInstanceEvent[] {
    if (entry.kind === "run.created") this.#events = new EventFactory();
    return this.#events.eventsOf(entry).map((event, index) => {
      const place = { instanceId: this.#id, eventId: entry.seq * eventsPerEntry + index, timestamp: entry.at };
      return { ...place, ...event };
    });
  }
}

type AttemptEntry = Extract<Entry, { kind: `${"step" | "undo"}.${"attempt_failed" | "completed" | "failed"}` }>;

/** Makes the events of one incarnation of a run from its entries, given in order. */
class EventFactory {
  #params: unknown = {};
  /** Calls whose first event was made. */
  readonly #begun = new Set<string>();
  /** Labels of waits, by call id. */
  readonly #labels = new Map<string, string>();
  readonly #failed = new Set<string>();
  /** Failed steps, by the step that is undone in their place. */
  readonly #placeholders = new Map<string, string>();
  #undoing: "none" | "well" | "badly" = "none";

  eventsOf(entry: Entry): EventBody[] {
    switch (entry.kind) {
      case "run.created":
        this.#params = decode(entry.input);
        return [{ type: "workflow_queued" }];
      case "run.started":
        return [{ type: "workflow_started", params: this.#params }, { type: "workflow_running" }];
      case "run.paused":
        return [{ type: "workflow_paused" }];
      case "run.resumed":
      case "run.retried":
        return [{ type: "workflow_running" }];
      case "run.completed":
        return [{ type: "workflow_completed", ...outputOf(entry.output) }];
      case "run.failed":
        return [...this.#undone(), { type: "workflow_errored", error: errorOf(entry.error) }];
      case "run.cancelled":
        return [...this.#undone(), { type: "workflow_terminated" }];
      case "undo.started":
        this.#undoing = "well";
        return [{ type: "rollback_started" }];
      case "step.attempt_failed":
      case "step.completed":
      case "step.failed":
        return this.#isPlaceholder(entry) ? [] : this.#ofStep(entry);
      case "undo.attempt_failed":
      case "undo.completed":
      case "undo.failed":
        return this.#ofUndo(entry);
      default:
        return this.#ofWait(entry);
    }
  }

  /** Whether the step was recorded only so that a failed one is rolled back. Cloudflare has no such step, so it has no events. */
  #isPlaceholder(entry: AttemptEntry): boolean {
    if (entry.kind !== "step.completed" || !entry.step.startsWith("failed: ")) return false;
    const failed = decode(entry.result);
    if (typeof failed !== "string" || !this.#failed.has(failed)) return false;
    if (nameOfCall(entry.step) !== placeholderOf(nameOfCall(failed))) return false;
    this.#placeholders.set(entry.step, failed);
    return true;
  }

  #ofStep(entry: Extract<AttemptEntry, { kind: `step.${string}` }>): EventBody[] {
    const { step, attempt } = entry;
    const stepName = nameOf(step);
    const begun: EventBody[] = this.#begin("step", step) ? [{ type: "step_started", stepName }] : [];
    const tried: EventBody[] = [...begun, { type: "attempt_started", stepName, attempt }];
    if (entry.kind === "step.completed") {
      const output = entry.sensitive === true ? { output: "[REDACTED]" } : outputOf(entry.result);
      const completed: EventBody = { type: "step_completed", stepName, ...output };
      return [...tried, { type: "attempt_completed", stepName, attempt }, completed];
    }
    const errored: EventBody = {
      type: "attempt_errored",
      stepName,
      attempt,
      error: errorOf(entry.error),
      ...delayOf(entry),
    };
    if (entry.kind === "step.attempt_failed" && entry.retryAt !== null) return [...tried, errored];
    this.#failed.add(step);
    return [...tried, errored, { type: "step_errored", stepName }];
  }

  #ofUndo(entry: Extract<AttemptEntry, { kind: `undo.${string}` }>): EventBody[] {
    const { step, attempt } = entry;
    const stepName = nameOf(this.#placeholders.get(step) ?? step);
    const begun: EventBody[] = this.#begin("undo", step) ? [{ type: "rollback_step_started", stepName }] : [];
    const tried: EventBody[] = [...begun, { type: "rollback_attempt_started", stepName, attempt }];
    if (entry.kind === "undo.completed") {
      const completed: EventBody = { type: "rollback_step_completed", stepName };
      return [...tried, { type: "rollback_attempt_completed", stepName, attempt }, completed];
    }
    const error = errorOf(entry.error);
    const errored: EventBody = { type: "rollback_attempt_errored", stepName, attempt, error, ...delayOf(entry) };
    if (entry.kind === "undo.attempt_failed") return [...tried, errored];
    this.#undoing = "badly";
    return [...tried, errored, { type: "rollback_step_errored", stepName, error }];
  }

  #ofWait(entry: Entry): EventBody[] {
    switch (entry.kind) {
      case "timer.set":
        return this.#sleep(entry, entry.wakeAt - entry.at);
      case "timer.fired":
        return [...this.#sleep(entry, 0), { type: "sleep_completed", stepName: nameOf(entry.call) }];
      case "wait.started":
        return this.#wait(entry);
      case "signal.consumed":
        if (entry.listener === true) return [];
        return [...this.#wait(entry), { type: "wait_completed", stepName: this.#labelOf(entry.call) }];
      case "wait.timed_out":
        if (entry.wait === "webhook") return [];
        return [...this.#wait(entry), { type: "wait_timed_out", stepName: this.#labelOf(entry.call) }];
      default:
        return [];
    }
  }

  #sleep({ call }: { readonly call: string }, durationMs: number): EventBody[] {
    return this.#begin("sleep", call) ? [{ type: "sleep_started", stepName: nameOf(call), durationMs }] : [];
  }

  #wait({ call, name, label = call }: EntryOf<"wait.started" | "wait.timed_out" | "signal.consumed">): EventBody[] {
    if (!this.#begin("wait", call)) return [];
    this.#labels.set(call, label);
    return [{ type: "wait_started", stepName: nameOf(label), eventType: name }];
  }

  #labelOf(call: string): string {
    return nameOf(this.#labels.get(call) ?? call);
  }

  /** Whether this is the first event of the call. */
  #begin(kind: string, id: string): boolean {
    const key = `${kind} ${id}`;
    if (this.#begun.has(key)) return false;
    this.#begun.add(key);
    return true;
  }

  #undone(): EventBody[] {
    if (this.#undoing === "none") return [];
    return [{ type: this.#undoing === "well" ? "rollback_completed" : "rollback_errored" }];
  }
}

/** `charge-2` of `charge#2`. */
function nameOf(id: string): string {
  return `${nameOfCall(id)}-${countOf(id)}`;
}

function outputOf(stored: Stored): { readonly output?: unknown } {
  const output = fromRecorded(decode(stored));
  return output === undefined ? {} : { output };
}

function errorOf({ name, message }: StoredError): { readonly name: string; readonly message: string } {
  return { name, message };
}

function delayOf(entry: AttemptEntry): { readonly retryDelayMs?: number } {
  return "retryAt" in entry && entry.retryAt !== null ? { retryDelayMs: entry.retryAt - entry.at } : {};
}
