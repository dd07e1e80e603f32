/**
 * Owns: the bars of a timeline in the making: which are open, how a bar begins, ends, and is reopened.
 * Does not own: the effect of entries (bars), how attempts are counted (draft).
 */
import type { Entry } from "../history/entry.ts";
import type { StoredError } from "../error.ts";
import type { BarKind, BarStatus } from "./timeline.ts";
import { draftOf, grant, keyOf, shift, startOver } from "./draft.ts";
import type { Draft } from "./draft.ts";

/** Decides how much of an error is kept, by the bar's key. */
export type Keep = (key: string, error: StoredError) => StoredError;

/** The time and the `seq` of an entry. */
type Moment = Pick<Entry, "at" | "seq">;

export class Drafts {
  readonly all = new Map<string, Draft>();
  readonly #open = new Set<Draft>();
  readonly #keep: Keep;

  constructor(keep: Keep) {
    this.#keep = keep;
  }

  find(kind: BarKind, id: string): Draft | undefined {
    return this.all.get(keyOf(kind, id));
  }

  /** The bar of that id, open: one that has ended goes on with an entry of its call, unless that ends it once more. */
  begin(kind: BarKind, id: string, { at, seq }: Moment): Draft {
    const known = this.find(kind, id);
    if (known !== undefined) {
      if (known.status !== "open") this.#reopen(known);
      known.startedAt = Math.min(known.startedAt, at);
      known.lastSeq = seq;
      return known;
    }
    const draft = draftOf(kind, id, at, seq);
    this.all.set(draft.key, draft);
    this.#open.add(draft);
    return draft;
  }

  /** Begins another bar of that name, with a number. */
  beginAnother(kind: BarKind, name: string, moment: Moment): Draft {
    let id = name;
    for (let count = 2; this.find(kind, id) !== undefined; count++) id = `${name}#${count}`;
    return this.begin(kind, id, moment);
  }

  end(draft: Draft, { at, seq }: Moment, status: BarStatus, error?: StoredError): void {
    draft.status = status;
    draft.endedAt = at;
    draft.lastSeq = draft.endedSeq = seq;
    if (error !== undefined) draft.error = this.kept(draft, error);
    if (draft.kind === "run" || draft.kind === "undo") draft.until = null;
    draft.cutShort = false;
    this.#open.delete(draft);
  }

  withdraw(draft: Draft | undefined, moment: Moment): void {
    if (draft?.status === "open") this.end(draft, moment, "withdrawn");
  }

  /** Ends all these open bars. */
  cut(moment: Moment, isCut: (draft: Draft) => boolean): void {
    for (const draft of this.#open) {
      if (!isCut(draft)) continue;
      this.end(draft, moment, "withdrawn");
      draft.cutShort = true;
    }
  }

  kept(draft: Draft, error: StoredError): StoredError {
    return this.#keep(draft.key, error);
  }

  /** Ends a pause: moves deadlines, and grants attempts to bars that have none left. */
  resume(at: number, shiftMs: number): void {
    // All bars: those that were left behind by undoing may be reopened later.
    for (const draft of this.all.values()) {
      if (draft.status !== "open" && !draft.cutShort) continue;
      const last = draft.attempts.at(-1);
      grant(draft);
      shift(draft, at, shiftMs);
      if (last !== undefined && last.error !== null) last.retryAt = draft.until ??= at;
    }
  }

  /** @param cleared steps that run again @param hadEnded the run had ended @param shiftMs the length of the pause that ends */
  retry(at: number, cleared: ReadonlySet<string>, hadEnded: boolean, shiftMs: number): void {
    const freed = new Set([...this.all.values()].filter((draft) => cleared.has(draft.name) && this.#isVoid(draft)));
    const decidedSeq = [...freed].reduce((first, { endedSeq }) => Math.min(first, endedSeq), Infinity);
    for (const draft of this.all.values()) {
      const isFreed = freed.has(draft);
      // Races that the cleared steps may have decided are reopened.
      const isContested = hadEnded && draft.status === "withdrawn" && draft.endedSeq >= decidedSeq;
      if ((hadEnded && draft.cutShort) || isFreed || isContested) this.#reopen(draft);
      const last = draft.attempts.at(-1);
      if (isFreed || (hadEnded && draft.kind === "undo")) startOver(draft);
      else if (draft.status === "open") grant(draft);
      if (draft.status === "open" || draft.cutShort) shift(draft, at, shiftMs);
      // The next attempt begins now.
      if (draft.status !== "open" || last === undefined || last.error === null) continue;
      last.retryAt = draft.until = at;
    }
  }

  /** In the order in which they began. */
  sorted(): Draft[] {
    return [...this.all.values()].toSorted(
      (one, other) => one.startedAt - other.startedAt || one.firstSeq - other.firstSeq,
    );
  }

  /** Whether a retry that names the bar clears it: it failed, or was undone. */
  #isVoid({ kind, status, name }: Draft): boolean {
    if (kind === "child") return status === "failed";
    if (kind !== "run") return false;
    return status === "failed" || (status === "completed" && this.find("undo", name)?.status === "completed");
  }

  #reopen(draft: Draft): void {
    draft.status = "open";
    draft.endedAt = null;
    draft.error = null;
    draft.cutShort = false;
    this.#open.add(draft);
  }
}
