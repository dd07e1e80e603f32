/**
 * One lane in memory: who holds its slots, who waits, and who is next. The clock is an argument; changes are written through
 * its {@link LaneBook} before a call returns.
 *
 * Invariants
 * 1. No slot is granted while `used` is at or over the limit that counts.
 * 2. Slots are granted in the order of the queue: by `enqueuedAt` less a minute for each unit of priority, then by turn.
 *    A head start is finite, so nobody waits for ever.
 * 3. With a period, no more than the limit begin in any span of that length, provided that whoever is granted a slot
 *    answers within one.
 * 4. A turn is never used twice, and every answer about a slot has to name its turn.
 */
import { Leases, retryMs, watchMs } from "./lease.ts";
import { PriorityQueue } from "./queue.ts";
import { clampPriority, inOrder, limitOf, overridden, rankOf, ticketKey, underCode } from "./slot.ts";
import type { CodeTerms, Followed, LaneBook, Setting, Slot, Terms } from "./slot.ts";
import type { Admission, Entrance, Place, Ticket } from "./ticket.ts";

/** A slot, with the state of telling its holder, which is not stored. */
type Entry = { slot: Slot; attempts: number; retryAt: number };

export class Lane {
  readonly #book: LaneBook;
  readonly #code: CodeTerms | null;
  #terms: Terms;
  #turn = 0;
  readonly #entries = new Map<string, Entry>();
  readonly #queue = new PriorityQueue<Entry>();
  /** Slots that count as used, in the order in which they were granted. */
  readonly #used = new Set<Entry>();
  /** Granted slots whose holders have not been told yet; and those whose holders were told and have not answered. */
  readonly #unnotified = new Set<Entry>();
  readonly #unanswered = new Set<Entry>();
  readonly #leases = new Leases<Entry>();
  readonly #changed = new Set<Entry>();

  /** @param slots in any order @param code the lane's terms in this deployment's code; null where it does not name the lane */
  constructor(terms: Terms, slots: readonly Slot[], book: LaneBook, code: CodeTerms | null = null) {
    this.#terms = terms;
    this.#book = book;
    this.#code = code;
    for (const slot of inOrder(slots)) {
      this.#turn = Math.max(this.#turn, slot.turn);
      const entry = this.#add(slot);
      if (slot.grantedAt === null) this.#queue.add(entry, rankOf(slot), slot.turn);
      else this.#hold(entry, slot.grantedAt);
    }
  }

  get terms(): Terms {
    return this.#terms;
  }

  /** The limit that counts; null for none. */
  get limit(): number | null {
    return limitOf(this.#terms);
  }

  get used(): number {
    return this.#used.size;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  enter({ ticket, limit, periodMs, priority, hold }: Entrance, now: number): Place {
    this.#setTerms({ ...this.#terms, limit: limit ?? this.#terms.limit, periodMs });
    this.#expireSpans(now);
    const entry = this.#entries.get(ticketKey(ticket)) ?? this.#enqueue(ticket, clampPriority(priority), hold, now);
    this.#grant(now);
    if (entry.slot.grantedAt !== null) {
      this.#confirm(entry, now);
      this.#leases.give(entry, now);
    }
    this.#write();
    return this.#place(entry);
  }

  /** In a lane with a period, a slot that was granted stays used until its span is over, which begins now. */
  leave(ticket: Ticket, now: number): void {
    this.#expireSpans(now);
    const entry = this.#entries.get(ticketKey(ticket));
    if (entry === undefined) return;
    if (entry.slot.grantedAt !== null && this.#terms.periodMs !== null) this.#confirm(entry, now);
    else this.#drop(entry);
    this.advance(now);
  }

  /** Grants a slot at once, or refuses it. */
  admit(id: string, limit: number, periodMs: number, now: number): Admission {
    const ticket = { runId: id, createdAt: 0, step: null };
    this.#setTerms({ ...this.#terms, limit, periodMs });
    this.advance(now);
    if (this.#entries.has(ticketKey(ticket))) return { ok: true };
    if (!this.#hasRoom()) return { ok: false, retryAfterMs: Math.max(1, (this.#roomAt() ?? now + periodMs) - now) };
    const entry = this.#enqueue(ticket, 0, false, now);
    this.#grant(now);
    this.#confirm(entry, now);
    this.#write();
    return { ok: true };
  }

  /** Sets the limit that counts instead of the code's; null: the code's counts again. */
  override(limit: number | null, now: number, request?: Omit<Setting, "at">): void {
    this.#setTerms(overridden(this.#terms, limit, request && { ...request, at: now }));
    this.advance(now);
  }

  /** Takes over the limit that was set for all keys of this lane, unless the known one is newer. */
  follow(followed: Followed, now: number): void {
    if (followed.version <= this.#terms.followed.version) return;
    this.#setTerms({ ...this.#terms, followed });
    this.advance(now);
  }

  /** Grants whatever the clock and the limit allow. */
  advance(now: number): void {
    this.#setTerms(this.#terms);
    this.#grant(now);
    this.#write();
  }

  /** Up to `count` slots whose holders are to be told now. Without an answer, each is due again after some time. */
  toNotify(now: number, count: number): Slot[] {
    const due = [...this.#unanswered].filter((entry) => entry.retryAt <= now);
    for (const entry of this.#unnotified) if (due.length < count) due.push(entry);
    return due.slice(0, count).map((entry) => {
      this.#unnotified.delete(entry);
      this.#unanswered.add(entry);
      entry.retryAt = now + Math.max(watchMs, retryMs(entry.attempts));
      entry.attempts++;
      return entry.slot;
    });
  }

  /** The holder's answer: it still wants the slot, or not; null where none came. */
  answered({ ticket, turn }: Slot, wanted: boolean | null, now: number): void {
    const entry = this.#find(ticket, turn);
    if (entry === undefined || entry.slot.told) return;
    if (wanted === null) entry.retryAt = now + retryMs(entry.attempts - 1);
    else if (wanted) this.#confirm(entry, now);
    else this.#drop(entry);
    this.advance(now);
  }

  /** Up to `count` slots whose lease is over while others wait for one: their holders are to be asked. Each gets a new lease. */
  toCheck(now: number, count: number): Slot[] {
    const due = this.#isContended() ? this.#leases.over(now, count) : [];
    for (const entry of due) this.#leases.give(entry, now);
    return due.map(({ slot }) => slot);
  }

  /** The holder says that it holds nothing. */
  lost({ ticket, turn }: Slot, now: number): void {
    const entry = this.#find(ticket, turn);
    if (entry === undefined) return;
    this.#drop(entry);
    this.advance(now);
  }

  /** When the lane next has something to do by itself; null for never. May be in the past. */
  wakeAt(now: number): number | null {
    const times = [...this.#unanswered].map(({ retryAt }) => retryAt);
    if (this.#unnotified.size > 0) times.push(now + watchMs);
    const nextAt = this.waiting === 0 ? null : this.#isContended() ? this.#leases.nextLookAt() : this.#roomAt();
    if (nextAt !== null) times.push(nextAt);
    return times.length === 0 ? null : times.reduce((one, other) => Math.min(one, other));
  }

  /** The first holders, longest first. */
  holders(count: number): Slot[] {
    return [...this.#used].slice(0, count).map(({ slot }) => slot);
  }

  /** The first of those that wait, next first. */
  queue(count: number): Slot[] {
    return this.#queue.first(count).map(({ slot }) => slot);
  }

  #place({ slot, slot: { turn } }: Entry): Place {
    if (slot.grantedAt !== null) return { granted: true, turn };
    const position = this.#queue.position(rankOf(slot), turn);
    return { granted: false, turn, position, used: this.used, limit: this.limit };
  }

  /** The terms of this deployment's code win over those that runs bring along from the code that they began with. */
  #setTerms(given: Terms): void {
    const terms = this.#code === null ? given : underCode(given, this.#code);
    if (JSON.stringify(terms) === JSON.stringify(this.#terms)) return;
    this.#terms = terms;
    this.#book.putTerms(terms);
  }

  #hasRoom(): boolean {
    return this.limit === null || this.used < this.limit;
  }

  /** When the rate lets the next one in; null where time alone does not. */
  #roomAt(): number | null {
    const { limit } = this;
    const { periodMs } = this.#terms;
    if (limit === null || periodMs === null) return null;
    let before = this.used - limit;
    for (const { slot } of this.#used) if (before-- === 0) return (slot.grantedAt ?? 0) + periodMs;
    return null;
  }

  /** Somebody waits for a slot, and a holder may have died or forgotten its own. */
  #isContended(): boolean {
    return this.waiting > 0 && this.#terms.periodMs === null && this.limit !== 0;
  }

  /** Slots whose span is over no longer count; one whose holder has not answered counts again once it does. */
  #expireSpans(now: number): void {
    const { periodMs } = this.#terms;
    if (periodMs === null) return;
    for (const entry of this.#used) {
      if ((entry.slot.grantedAt ?? 0) + periodMs > now) return;
      this.#used.delete(entry);
      if (entry.slot.told) this.#drop(entry);
    }
  }

  #grant(now: number): void {
    this.#expireSpans(now);
    while (this.#hasRoom()) {
      const entry = this.#queue.shift();
      if (entry === undefined) return;
      entry.slot = { ...entry.slot, grantedAt: now };
      this.#hold(entry, now);
      this.#changed.add(entry);
    }
  }

  #enqueue(ticket: Ticket, priority: number, hold: boolean, now: number): Entry {
    this.#turn = Math.max(this.#turn + 1, now);
    const slot = { ticket, turn: this.#turn, priority, hold, enqueuedAt: now, grantedAt: null, told: false };
    const entry = this.#add(slot);
    this.#queue.add(entry, rankOf(slot), slot.turn);
    this.#changed.add(entry);
    return entry;
  }

  #add(slot: Slot): Entry {
    const entry: Entry = { slot, attempts: 0, retryAt: 0 };
    this.#entries.set(ticketKey(slot.ticket), entry);
    return entry;
  }

  #hold(entry: Entry, now: number): void {
    this.#used.add(entry);
    this.#leases.give(entry, now);
    if (!entry.slot.told) this.#unnotified.add(entry);
  }

  /** The holder knows of its slot, and goes on. */
  #confirm(entry: Entry, now: number): void {
    if (!entry.slot.told) {
      this.#unnotified.delete(entry);
      this.#unanswered.delete(entry);
      entry.slot = { ...entry.slot, told: true };
      this.#changed.add(entry);
    }
    this.#beginSpan(entry, now);
  }

  /** In a lane with a period, the span of a slot begins when its holder does, which may be later than it was granted. */
  #beginSpan(entry: Entry, now: number): void {
    if (this.#terms.periodMs === null || entry.slot.grantedAt === now) return;
    entry.slot = { ...entry.slot, grantedAt: now };
    this.#changed.add(entry);
    this.#used.delete(entry);
    this.#used.add(entry);
  }

  #drop(entry: Entry): void {
    const { ticket, turn } = entry.slot;
    this.#entries.delete(ticketKey(ticket));
    if (entry.slot.grantedAt === null) this.#queue.remove(rankOf(entry.slot), turn);
    this.#leases.drop(entry);
    for (const set of [this.#used, this.#unnotified, this.#unanswered, this.#changed]) set.delete(entry);
    this.#book.drop(ticket);
  }

  #find(ticket: Ticket, turn: number): Entry | undefined {
    const entry = this.#entries.get(ticketKey(ticket));
    return entry?.slot.turn === turn && entry.slot.grantedAt !== null ? entry : undefined;
  }

  /** Writes each changed slot once. */
  #write(): void {
    for (const { slot } of this.#changed) this.#book.put(slot);
    this.#changed.clear();
  }
}
