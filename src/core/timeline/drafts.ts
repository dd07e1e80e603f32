/**
 * Owns: the bars of a timeline in the making: which there are, which of them are open, how one begins, ends, and is
 * opened again.
 * Does not own: what entries say of them (bars), how attempts are counted (draft).
 */
import type { Entry } from "../entry.ts";
import type { StoredError } from "../error.ts";
import type { BarKind, BarStatus } from "../timeline.ts";
import { addAttempt, draftOf, grant, keyOf, shift, startOver } from "./draft.ts";
import type { Attempted, Draft } from "./draft.ts";

/** How much is kept of an error, by the bar's key. */
export type Keep = (key: string, error: StoredError) => StoredError;

/** When something happened, and which entry tells of it. */
type Moment = Pick<Entry, "at" | "seq">;

export class Drafts {
  readonly all = new Map<string, Draft>();
  /** When the first of them began, as far as was known then. */
  startedAt = Infinity;
  readonly #open = new Set<Draft>();
  readonly #keep: Keep;

  constructor(keep: Keep) {
    this.#keep = keep;
  }

  find(kind: BarKind, id: string): Draft | undefined {
    return this.all.get(keyOf(kind, id));
  }

  /** The bar of that name, begun now if there is none. */
  begin(kind: BarKind, id: string, { at, seq }: Moment): Draft {
    const known = this.find(kind, id);
    if (known !== undefined) {
      if (known.cutShort) this.#reopen(known);
      known.startedAt = Math.min(known.startedAt, at);
      known.lastSeq = seq;
      return known;
    }
    const draft = draftOf(kind, id, at, seq);
    this.startedAt = Math.min(this.startedAt, at);
    this.all.set(draft.key, draft);
    this.#open.add(draft);
    return draft;
  }

  /** One more of that name: told apart from those before it by a number. */
  beginAnother(kind: BarKind, name: string, moment: Moment): Draft {
    let id = name;
    for (let count = 2; this.find(kind, id) !== undefined; count++) id = `${name}#${count}`;
    return this.begin(kind, id, moment);
  }

  attempt(draft: Draft, made: Attempted, limit?: number): void {
    addAttempt(draft, made, limit);
    if (draft.status !== "open") this.#reopen(draft);
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

  /** Open bars end with what is told to all of them. */
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

  /** Deadlines move by the pause, those that were fixed within it by the rest of it; what needed a person goes on. */
  resume(at: number, shiftMs: number): void {
    // What is left behind while the run is undone may be open again.
    for (const draft of this.all.values()) {
      if (draft.status !== "open" && !draft.cutShort) continue;
      const last = draft.attempts.at(-1);
      grant(draft);
      shift(draft, at, shiftMs);
      if (last !== undefined && last.error !== null) last.retryAt = draft.until ??= at;
    }
  }

  /** @param cleared names that are set free @param hadEnded the run was over @param shiftMs how long the pause was that ends */
  retry(at: number, cleared: ReadonlySet<string>, hadEnded: boolean, shiftMs: number): void {
    const freed = new Set([...this.all.values()].filter((draft) => cleared.has(draft.name) && this.#isVoid(draft)));
    const decidedSeq = [...freed].reduce((first, { endedSeq }) => Math.min(first, endedSeq), Infinity);
    for (const draft of this.all.values()) {
      const isFreed = freed.has(draft);
      // Races that these may have decided are open again.
      const isContested = hadEnded && draft.status === "withdrawn" && draft.endedSeq >= decidedSeq;
      if ((hadEnded && draft.cutShort) || isFreed || isContested) this.#reopen(draft);
      const last = draft.attempts.at(-1);
      if (isFreed || (hadEnded && draft.kind === "undo")) startOver(draft);
      else if (draft.status === "open") grant(draft);
      if (draft.status === "open" || draft.cutShort) shift(draft, at, shiftMs);
      // The next attempt is now.
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

  /** A retry that names it sets it free: it failed, or what it did was undone. */
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
