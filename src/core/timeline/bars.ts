/**
 * Owns: making the bars of a timeline in one pass over a journal: the effect of each entry on them.
 * Does not own: how a bar begins, ends and is reopened (drafts), how attempts are counted (draft), which bars are shown
 * (chart), results (story), or the state of the run (core/state/fold), which differs: when a retry clears a step, its bar goes on
 * and keeps showing all attempts.
 * Long because every kind of entry is listed here once, so that a missing one does not compile.
 */
import type { CallKind, Entry, EntryOf } from "../history/entry.ts";
import { defined } from "../record.ts";
import { addAttempt, interrupt, isExhausted } from "./draft.ts";
import type { Draft } from "./draft.ts";
import { Drafts } from "./drafts.ts";
import type { Keep } from "./drafts.ts";

/** An attempt in flight, which is not recorded yet. */
export type Underway = {
  readonly step: string;
  readonly attempt: number;
  readonly since: number;
  readonly until?: number;
};

const maxRejected = 20;

export class Bars {
  /** When the first and the newest entry were written. */
  firstAt = Infinity;
  at = 0;
  /** The run has ended. */
  ended = false;
  /** Instants at which something happened, oldest first. */
  readonly instants: number[] = [];
  readonly #drafts: Drafts;
  readonly #lanes = new Map<string, Draft>();
  /** Of the newest entry. */
  #seq = 0;
  /** The pauses of the run that is paused: there may be several, which end together. */
  #paused: EntryOf<"run.paused">[] = [];
  /** The bars of these. */
  #pauses: Draft[] = [];
  #undoing = false;

  constructor(keep: Keep) {
    this.#drafts = new Drafts(keep);
  }

  /** By their keys. */
  get all(): ReadonlyMap<string, Draft> {
    return this.#drafts.all;
  }

  /** In the order in which they began. */
  sorted(): Draft[] {
    return this.#drafts.sorted();
  }

  add(entry: Entry): void {
    this.#seq = entry.seq;
    // A late call of a webhook does not make the timeline longer.
    if (this.ended && entry.kind === "webhook.rejected") return this.#refused(entry);
    if (entry.kind === "notice.started" || entry.kind === "run.imported") return;
    this.at = entry.at;
    this.firstAt = Math.min(this.firstAt, entry.at);
    if (this.instants.at(-1) !== entry.at) this.instants.push(entry.at);
    this.#read(entry);
  }

  /** Adds the attempts that are in flight now, unless the run has ended; in a run that is being undone, those of undos. */
  underway(attempts: readonly Underway[]): void {
    for (const { step, attempt, since, until = null } of this.ended ? [] : attempts) {
      const draft = this.#drafts.begin(this.#undoing ? "undo" : "run", step, { at: since, seq: this.#seq });
      draft.until = until;
      addAttempt(draft, { attempt, startedAt: since });
    }
  }

  /** Long because every kind is listed here once, so that a missing one does not compile. */
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
        return this.#readWait(entry);
      case "webhook.rejected":
        return this.#refused(entry);
      case "webhook.revoked":
        return this.#revoked(entry);
      case "wait.withdrawn":
        for (const { call, id } of entry.calls) this.#drafts.withdraw(this.#drafts.find(call, id), entry);
        return;
      case "step.removed":
        return this.#drafts.withdraw(this.#drafts.find(entry.call, entry.step), entry);
      case "step.added":
        // One that had ended otherwise is not made again.
        if (this.#drafts.find(entry.call, entry.step)?.status === "withdrawn")
          this.#drafts.begin(entry.call, entry.step, entry);
        return;
      case "update.accepted":
      case "update.completed":
      case "update.failed":
        return this.#readUpdate(entry);
      case "lane.queued":
      case "lane.entered":
        return this.#readLane(entry);
      case "undo.started":
        this.#undoing = true;
        return this.#cut(entry, ({ kind }) => kind !== "pause");
      case "run.created":
        if (entry.startAt !== null) this.#drafts.begin("delay", "start", entry).until = entry.startAt;
        return;
      case "run.debounced":
        return void (this.#drafts.begin("delay", "start", entry).until = entry.startAt);
      case "run.started":
        return this.#endDelay(entry);
      case "run.paused":
        return this.#pause(entry);
      case "run.resumed":
        return this.#resumed(entry);
      case "run.retried":
        return this.#retried(entry);
      case "run.cancel_requested":
        this.#unpause(entry);
        return this.#cut(entry, ({ kind, name }) => kind !== "run" || !entry.awaited.includes(name));
      case "run.completed":
      case "run.failed":
      case "run.cancelled":
        this.ended = true;
        this.#endPauses(entry);
        return this.#cut(entry, () => true);
      case "run.interrupted":
      case "run.recovered":
      case "run.imported":
      case "run.action_noted":
      case "notice.started":
      case "child.stopped":
      case "signal.received":
      case "listener.added":
      case "patch.adopted":
      case "log.written":
      case "progress.published":
        return;
      default:
        // Entries of a newer deployment are ignored.
        return void (entry satisfies never);
    }
  }

  #readAttempt(entry: AttemptEntry): void {
    const kind = entry.kind.startsWith("undo.") ? "undo" : "run";
    const startedAt = "startedAt" in entry ? entry.startedAt : entry.at;
    const draft = this.#drafts.begin(kind, entry.step, { at: startedAt, seq: entry.seq });
    switch (entry.kind) {
      case "step.attempt_started":
      case "undo.attempt_started":
      case "step.dispatched":
      case "step.abandoned":
        draft.until = null;
        return addAttempt(draft, { attempt: entry.attempt, startedAt });
      case "step.interrupted":
      case "undo.interrupted":
        return interrupt(draft, entry.at);
      case "step.attempt_failed":
      case "undo.attempt_failed": {
        const { attempt, retryAt, at } = entry;
        const error = this.#drafts.kept(draft, entry.error);
        addAttempt(draft, { attempt, startedAt, endedAt: at, error, retryAt }, entry.limit);
        draft.until = retryAt;
        return;
      }
      case "step.completed":
      case "undo.completed":
        addAttempt(draft, { attempt: entry.attempt, startedAt, endedAt: entry.at });
        return this.#drafts.end(draft, entry, "completed");
      case "step.failed":
      case "undo.failed": {
        const error = this.#drafts.kept(draft, entry.error);
        addAttempt(draft, { attempt: entry.attempt, startedAt, endedAt: entry.at, error });
        return this.#drafts.end(draft, entry, "failed", entry.error);
      }
      default:
        return void (entry satisfies never);
    }
  }

  #readChild(entry: ChildEntry): void {
    const calledAt = entry.kind === "child.started" ? (entry.startedAt ?? entry.at) : entry.at;
    const draft = this.#drafts.begin("child", entry.step, { at: calledAt, seq: entry.seq });
    draft.child = entry.child ?? draft.child;
    if (entry.kind === "child.failed") return this.#drafts.end(draft, entry, "failed", entry.error);
    if (entry.kind === "child.completed" || entry.detached === true) return this.#drafts.end(draft, entry, "completed");
    draft.until = entry.until;
  }

  #readWait(entry: WaitEntry): void {
    if (entry.kind === "signal.consumed" && entry.listener === true) return;
    const draft = this.#drafts.begin(kindOf(entry), entry.call, entry);
    switch (entry.kind) {
      case "timer.set":
        draft.until = entry.wakeAt;
        return;
      case "wait.started":
      case "webhook.created":
        draft.until = entry.until;
        return;
      case "signal.consumed":
        if (entry.error !== undefined) return this.#drafts.end(draft, entry, "failed", entry.error);
        return this.#drafts.end(draft, entry, "completed");
      case "timer.fired":
      case "webhook.received":
        return this.#drafts.end(draft, entry, "completed");
      case "wait.timed_out":
        return this.#drafts.end(draft, entry, "timed_out");
      default:
        return void (entry satisfies never);
    }
  }

  #readUpdate(entry: EntryOf<`update.${"accepted" | "completed" | "failed"}`>): void {
    const draft = this.#drafts.begin("update", entry.update, entry);
    switch (entry.kind) {
      case "update.accepted":
        draft.name = entry.name;
        return;
      case "update.completed":
        return this.#drafts.end(draft, entry, "completed");
      case "update.failed":
        return this.#drafts.end(draft, entry, "failed", entry.error);
      default:
        return void (entry satisfies never);
    }
  }

  #revoked({ call, seq }: EntryOf<"webhook.revoked">): void {
    const draft = this.#drafts.find("webhook", call);
    if (draft !== undefined) draft.lastSeq = seq;
  }

  #refused({ call, at, seq, reason, code }: EntryOf<"webhook.rejected">): void {
    const draft = this.#drafts.find("webhook", call);
    if (draft === undefined) return;
    draft.lastSeq = seq;
    draft.rejected.push({ at, reason, ...defined({ code }) });
    if (draft.rejected.length > maxRejected) draft.rejected.shift();
  }

  /** Each wait of the run, or of a step, for a slot is a bar. */
  #readLane(entry: EntryOf<"lane.queued"> | EntryOf<"lane.entered">): void {
    const place = JSON.stringify([entry.lane, entry.step]);
    if (entry.kind === "lane.entered") {
      const draft = this.#lanes.get(place);
      this.#lanes.delete(place);
      return draft === undefined ? undefined : this.#drafts.end(draft, entry, "completed");
    }
    const name = entry.step === null ? entry.lane : `${entry.lane} · ${entry.step}`;
    this.#lanes.set(place, this.#drafts.beginAnother("lane", name, entry));
  }

  #pause(entry: EntryOf<"run.paused">): void {
    this.#paused.push(entry);
    this.#drawPause(entry, entry);
  }

  #drawPause({ by, error }: EntryOf<"run.paused">, from: Entry): void {
    const draft = this.#drafts.beginAnother("pause", by, from);
    draft.error = error === undefined ? null : this.#drafts.kept(draft, error);
    this.#pauses.push(draft);
  }

  #endPauses(entry: Entry): void {
    for (const draft of this.#pauses) this.#drafts.end(draft, entry, "completed");
    this.#pauses = [];
  }

  #unpause(entry: Entry): void {
    this.#endPauses(entry);
    this.#paused = [];
  }

  #resumed(entry: EntryOf<"run.resumed">): void {
    this.#unpause(entry);
    this.#drafts.resume(entry.at, entry.shiftMs);
  }

  #retried(entry: EntryOf<"run.retried">): void {
    const hadEnded = this.ended;
    this.ended = false;
    // A retry of a run that is still being undone does not stop that.
    if (hadEnded) this.#undoing = false;
    // A pause because a step had no attempt left was made for this decision, and ends; any other pause lasts.
    const isDecided = [...this.#drafts.all.values()].some(isExhausted);
    const shiftMs = isDecided ? entry.at - (this.#paused[0]?.at ?? entry.at) : 0;
    if (isDecided) this.#unpause(entry);
    else if (hadEnded) for (const paused of this.#paused) this.#drawPause(paused, entry);
    this.#drafts.retry(entry.at, new Set(entry.cleared), hadEnded, shiftMs);
  }

  #endDelay(entry: Entry): void {
    const draft = this.#drafts.find("delay", "start");
    if (draft !== undefined) this.#drafts.end(draft, entry, "completed");
  }

  #cut(entry: Entry, isCut: (draft: Draft) => boolean): void {
    this.#drafts.cut(entry, isCut);
    this.#lanes.clear();
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
  {
    kind:
      | `timer.${string}`
      | `webhook.${"created" | "received"}`
      | "wait.started"
      | "wait.timed_out"
      | "signal.consumed";
  }
>;

function kindOf(entry: WaitEntry): CallKind {
  if (entry.kind === "timer.set" || entry.kind === "timer.fired") return "sleep";
  if (entry.kind === "wait.timed_out") return entry.wait === "webhook" ? "webhook" : "wait";
  return entry.kind.startsWith("webhook.") ? "webhook" : "wait";
}
