/**
 * Owns: the bars of a timeline, made in one pass over a journal.
 * Does not own: how attempts are counted (draft), which bars are shown (chart), what a call gave
 * (story), or what entries mean to the run itself (core/fold): a bar goes on where a retry sets a step free,
 * and shows all that was tried.
 * Long because every kind of entry stands here once, so that one that is missing does not compile.
 */
import type { CallKind, Entry, EntryOf } from "../entry.ts";
import type { StoredError } from "../error.ts";
import { defined } from "../record.ts";
import type { BarKind, BarStatus } from "../timeline.ts";
import { addAttempt, draftOf, grant, interrupt, keyOf, startOver } from "./draft.ts";
import type { Attempted, Draft } from "./draft.ts";

/** An attempt in flight that nothing on record tells of yet. */
export type Underway = { readonly step: string; readonly attempt: number; readonly since: number };

const maxRejected = 20;

/** How much is kept of an error, by the bar's key. */
export type Keep = (key: string, error: StoredError) => StoredError;

export class Bars {
  readonly all = new Map<string, Draft>();
  startedAt = Infinity;
  at = 0;
  /** The run has ended. */
  ended = false;
  /** Instants at which something happened, oldest first. */
  readonly instants: number[] = [];
  readonly #keep: Keep;
  readonly #open = new Set<Draft>();
  readonly #lanes = new Map<string, Draft>();
  #pause: Draft | null = null;
  #undoing = false;

  constructor(keep: Keep) {
    this.#keep = keep;
  }

  add(entry: Entry): void {
    // It is no part of what the run did, and its time goes on for no such call.
    if (this.ended && entry.kind === "webhook.rejected") return this.#refused(entry);
    if (entry.kind === "notice.started" || entry.kind === "run.imported") return;
    this.at = entry.at;
    this.startedAt = Math.min(this.startedAt, entry.at);
    if (this.instants.at(-1) !== entry.at) this.instants.push(entry.at);
    this.#read(entry);
  }

  /** What is in flight now; of a run that is being undone, what undoes. */
  underway(attempts: readonly Underway[], seq: number): void {
    for (const { step, attempt, since } of attempts) {
      const draft = this.#begin(this.#undoing ? "undo" : "run", step, since, seq);
      if (draft.attempts.at(-1)?.endedAt === null && draft.attempts.at(-1)?.attempt === attempt) continue;
      draft.until = null;
      this.#attempt(draft, { attempt, startedAt: since });
    }
  }

  /** In the order in which they began. */
  sorted(): Draft[] {
    return [...this.all.values()].toSorted(
      (one, other) => one.startedAt - other.startedAt || one.firstSeq - other.firstSeq,
    );
  }

  /** Long because every kind stands here once, so that one that is missing does not compile. */
  #read(entry: Entry): void {
    switch (entry.kind) {
      case "step.attempt_failed":
      case "undo.attempt_failed":
      case "step.attempt_started":
      case "undo.attempt_started":
      case "step.dispatched":
      case "step.interrupted":
      case "undo.interrupted":
      case "step.abandoned":
      case "step.completed":
      case "undo.completed":
      case "step.failed":
      case "undo.failed":
        return this.#readAttempt(entry);
      case "child.started":
      case "child.completed":
      case "child.failed":
        return this.#readChild(entry);
      case "timer.set":
      case "timer.fired":
      case "wait.started":
      case "wait.timed_out":
      case "signal.consumed":
      case "webhook.created":
      case "webhook.received":
      case "webhook.rejected":
      case "webhook.revoked":
        return this.#readWait(entry);
      case "wait.withdrawn":
        for (const { call, id } of entry.calls) this.#withdraw(this.all.get(keyOf(call, id)), entry);
        return;
      case "step.removed":
        return this.#withdraw(this.all.get(keyOf(entry.call, entry.step)), entry);
      case "update.accepted":
        return void (this.#begin("update", entry.update, entry.at, entry.seq).name = entry.name);
      case "update.completed":
        return this.#end(this.#begin("update", entry.update, entry.at, entry.seq), entry, "completed");
      case "update.failed":
        return this.#end(this.#begin("update", entry.update, entry.at, entry.seq), entry, "failed", entry.error);
      case "lane.queued":
      case "lane.entered":
        return this.#readLane(entry);
      case "undo.started":
        this.#undoing = true;
        return this.#cut(entry, () => true);
      case "run.created":
        if (entry.startAt !== null) this.#begin("delay", "start", entry.at, entry.seq).until = entry.startAt;
        return;
      case "run.debounced":
        return void (this.#begin("delay", "start", entry.at, entry.seq).until = entry.startAt);
      case "run.started":
        return this.#endOf("delay:start", entry);
      case "run.paused":
        return this.#paused(entry);
      case "run.resumed":
        return this.#resumed(entry, entry.shiftMs);
      case "run.retried":
        return this.#retried(entry);
      case "run.cancel_requested":
        this.#unpause(entry);
        return this.#cut(entry, ({ kind, name }) => kind !== "run" || !entry.awaited.includes(name));
      case "run.completed":
      case "run.failed":
      case "run.cancelled":
        this.ended = true;
        this.#unpause(entry);
        return this.#cut(entry, () => true);
      case "run.interrupted":
      case "run.recovered":
      case "run.imported":
      case "run.action_noted":
      case "notice.started":
      case "step.added":
      case "child.stopped":
      case "signal.received":
      case "listener.added":
      case "patch.adopted":
      case "log.written":
      case "progress.published":
        return;
      default:
        // An entry of a newer deployment draws nothing.
        return void (entry satisfies never);
    }
  }

  #readAttempt(entry: AttemptEntry): void {
    const kind = entry.kind.startsWith("undo.") ? "undo" : "run";
    const startedAt = "startedAt" in entry ? entry.startedAt : entry.at;
    const draft = this.#begin(kind, entry.step, startedAt, entry.seq);
    draft.lastSeq = entry.seq;
    switch (entry.kind) {
      case "step.attempt_started":
      case "undo.attempt_started":
      case "step.dispatched":
      case "step.abandoned":
        draft.until = null;
        return this.#attempt(draft, { attempt: entry.attempt, startedAt });
      case "step.interrupted":
      case "undo.interrupted":
        return interrupt(draft, entry.at);
      case "step.attempt_failed":
      case "undo.attempt_failed": {
        const { attempt, retryAt, at } = entry;
        const error = this.#keep(draft.key, entry.error);
        this.#attempt(draft, { attempt, startedAt, endedAt: at, error, retryAt }, entry.limit);
        draft.until = retryAt;
        return;
      }
      case "step.completed":
      case "undo.completed":
        this.#attempt(draft, { attempt: entry.attempt, startedAt, endedAt: entry.at });
        return this.#end(draft, entry, "completed");
      case "step.failed":
      case "undo.failed": {
        const error = this.#keep(draft.key, entry.error);
        this.#attempt(draft, { attempt: entry.attempt, startedAt, endedAt: entry.at, error });
        return this.#end(draft, entry, "failed", entry.error);
      }
      default:
        return void (entry satisfies never);
    }
  }

  #readChild(entry: ChildEntry): void {
    const calledAt = entry.kind === "child.started" ? (entry.startedAt ?? entry.at) : entry.at;
    const draft = this.#begin("child", entry.step, calledAt, entry.seq);
    draft.child = entry.child ?? draft.child;
    if (entry.kind === "child.failed") return this.#end(draft, entry, "failed", entry.error);
    if (entry.kind === "child.completed" || entry.detached === true) return this.#end(draft, entry, "completed");
    draft.until = entry.until;
    draft.lastSeq = entry.seq;
  }

  #readWait(entry: WaitEntry): void {
    if (entry.kind === "signal.consumed" && entry.listener === true) return;
    const draft = this.#begin(kindOf(entry), entry.call, entry.at, entry.seq);
    draft.lastSeq = entry.seq;
    switch (entry.kind) {
      case "timer.set":
        draft.until = entry.wakeAt;
        return;
      case "wait.started":
      case "webhook.created":
        draft.until = entry.until;
        return;
      case "timer.fired":
      case "signal.consumed":
      case "webhook.received":
        return this.#end(draft, entry, "completed");
      case "wait.timed_out":
        return this.#end(draft, entry, "timed_out");
      case "webhook.rejected":
        return this.#refused(entry);
      case "webhook.revoked":
        return;
      default:
        return void (entry satisfies never);
    }
  }

  #refused({ call, at, seq, reason, code }: EntryOf<"webhook.rejected">): void {
    const draft = this.all.get(keyOf("webhook", call));
    if (draft === undefined) return;
    draft.lastSeq = seq;
    draft.rejected.push({ at, reason, ...defined({ code }) });
    if (draft.rejected.length > maxRejected) draft.rejected.shift();
  }

  /** Each time that a lane holds the run or a step is a bar. */
  #readLane(entry: EntryOf<"lane.queued"> | EntryOf<"lane.entered">): void {
    const place = JSON.stringify([entry.lane, entry.step]);
    if (entry.kind === "lane.entered") {
      const draft = this.#lanes.get(place);
      this.#lanes.delete(place);
      return draft === undefined ? undefined : this.#end(draft, entry, "completed");
    }
    const name = entry.step === null ? entry.lane : `${entry.lane} · ${entry.step}`;
    this.#lanes.set(place, this.#begin("lane", this.#another("lane", name), entry.at, entry.seq));
  }

  #paused(entry: EntryOf<"run.paused">): void {
    const draft = this.#begin("pause", this.#another("pause", entry.by), entry.at, entry.seq);
    draft.error = entry.error === undefined ? null : this.#keep(draft.key, entry.error);
    this.#pause = draft;
  }

  #unpause(entry: Entry): void {
    if (this.#pause !== null) this.#end(this.#pause, entry, "completed");
    this.#pause = null;
  }

  /** Deadlines move by the pause, those that were fixed within it by the rest of it; what needed a person goes on. */
  #resumed({ at, seq }: Entry, shiftMs: number): void {
    if (this.#pause !== null) this.#end(this.#pause, { at, seq }, "completed");
    this.#pause = null;
    for (const draft of this.#open) {
      const last = draft.attempts.at(-1);
      const since = last?.endedAt ?? draft.startedAt;
      grant(draft);
      if (draft.until !== null) draft.until += Math.min(shiftMs, Math.max(0, at - since));
      if (last !== undefined && last.error !== null) last.retryAt = draft.until ??= at;
    }
  }

  #retried(entry: EntryOf<"run.retried">): void {
    const hadEnded = this.ended;
    this.ended = false;
    this.#undoing = false;
    this.#unpause(entry);
    const cleared = new Set(entry.cleared);
    const freed = new Set([...this.all.values()].filter((draft) => this.#isVoid(draft) && cleared.has(draft.name)));
    const decidedSeq = [...freed].reduce((first, { endedSeq }) => Math.min(first, endedSeq), Infinity);
    for (const draft of this.all.values()) {
      const isFreed = freed.has(draft);
      // Races that these may have decided are open again.
      const isContested = hadEnded && draft.status === "withdrawn" && draft.endedSeq >= decidedSeq;
      if (draft.cutShort || isFreed || isContested) this.#reopen(draft);
      const last = draft.attempts.at(-1);
      if (isFreed || (hadEnded && draft.kind === "undo")) startOver(draft);
      else if (draft.status === "open") grant(draft);
      // The next attempt is now.
      if (draft.status !== "open" || last === undefined || last.error === null) continue;
      last.retryAt = draft.until = entry.at;
    }
  }

  /** A retry that names it sets it free: it failed, or what it did was undone. */
  #isVoid({ kind, status, name }: Draft): boolean {
    if (kind === "child") return status === "failed";
    if (kind !== "run") return false;
    return status === "failed" || (status === "completed" && this.all.get(keyOf("undo", name))?.status === "completed");
  }

  #begin(kind: BarKind, id: string, at: number, seq: number): Draft {
    const key = keyOf(kind, id);
    const known = this.all.get(key);
    if (known !== undefined) {
      if (known.cutShort) this.#reopen(known);
      known.startedAt = Math.min(known.startedAt, at);
      known.lastSeq = seq;
      return known;
    }
    const draft = draftOf(kind, id, at, seq);
    this.startedAt = Math.min(this.startedAt, at);
    this.all.set(key, draft);
    this.#open.add(draft);
    return draft;
  }

  /** A name that no bar of the kind has yet. */
  #another(kind: BarKind, name: string): string {
    if (!this.all.has(keyOf(kind, name))) return name;
    for (let count = 2; ; count++) if (!this.all.has(keyOf(kind, `${name}#${count}`))) return `${name}#${count}`;
  }

  #attempt(draft: Draft, made: Attempted, limit?: number): void {
    addAttempt(draft, made, limit);
    if (draft.status !== "open") this.#reopen(draft);
  }

  #endOf(key: string, entry: Entry): void {
    const draft = this.all.get(key);
    if (draft !== undefined) this.#end(draft, entry, "completed");
  }

  #end(draft: Draft, { at, seq }: Pick<Entry, "at" | "seq">, status: BarStatus, error?: StoredError): void {
    draft.status = status;
    draft.endedAt = at;
    draft.lastSeq = draft.endedSeq = seq;
    if (error !== undefined) draft.error = this.#keep(draft.key, error);
    if (draft.kind === "run" || draft.kind === "undo") draft.until = null;
    draft.cutShort = false;
    this.#open.delete(draft);
  }

  #withdraw(draft: Draft | undefined, entry: Entry): void {
    if (draft?.status === "open") this.#end(draft, entry, "withdrawn");
  }

  /** Open bars end with what is told to all of them. */
  #cut(entry: Entry, isCut: (draft: Draft) => boolean): void {
    for (const draft of this.#open) {
      if (!isCut(draft)) continue;
      this.#end(draft, entry, "withdrawn");
      draft.cutShort = true;
    }
    this.#lanes.clear();
  }

  #reopen(draft: Draft): void {
    draft.status = "open";
    draft.endedAt = null;
    draft.error = null;
    draft.cutShort = false;
    this.#open.add(draft);
  }
}

type AttemptEntry = Extract<
  Entry,
  {
    kind:
      | `${"step" | "undo"}.${"attempt_failed" | "attempt_started" | "interrupted" | "completed" | "failed"}`
      | "step.dispatched"
      | "step.abandoned";
  }
>;
type ChildEntry = EntryOf<"child.started"> | EntryOf<"child.completed"> | EntryOf<"child.failed">;
type WaitEntry = Extract<
  Entry,
  { kind: `timer.${string}` | `webhook.${string}` | "wait.started" | "wait.timed_out" | "signal.consumed" }
>;

function kindOf(entry: WaitEntry): CallKind {
  if (entry.kind === "timer.set" || entry.kind === "timer.fired") return "sleep";
  if (entry.kind === "wait.timed_out") return entry.wait === "webhook" ? "webhook" : "wait";
  return entry.kind.startsWith("webhook.") ? "webhook" : "wait";
}
