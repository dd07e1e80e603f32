/**
 * One lane: who holds its slots, who waits, and who is next. A model in memory, driven with the clock
 * as an argument; what must be kept goes through its {@link LaneBook}, written when a call returns.
 *
 * Invariants
 * 1. No slot is granted while `used` is at or over the limit that counts.
 * 2. Slots are granted in the order of the queue: by `enqueuedAt` less a minute for each unit of
 *    priority, then by turn. Nobody is passed by more than a finite head start.
 * 3. With a period, no more than the limit begin in any span of that length, provided that whoever is
 *    granted a slot answers within one.
 * 4. A turn is never used twice, and is what every answer about a slot must name.
 */
import { Leases, retryMs, watchMs } from "./lease.ts";
import { PriorityQueue } from "./queue.ts";
import { clampPriority, inOrder, limitOf, overridden, rankOf, ticketKey, underCode } from "./slot.ts";
import type { CodeTerms, Followed, LaneBook, Setting, Slot, Terms } from "./slot.ts";
import type { Admission, Entrance, Place, Ticket } from "./ticket.ts";

/** What is known of a slot in this memory only. */
type Entry = { slot: Slot; attempts: number; retryAt: number };

export class Lane {
  readonly #book: LaneBook;
  readonly #code: CodeTerms | null;
  #terms: Terms;
  #turn = 0;
  readonly #entries = new Map<string, Entry>();
  readonly #queue = new PriorityQueue<Entry>();
  /** Counted as used, in the order in which they were granted. */
  readonly #used = new Set<Entry>();
  /** Granted, and their holders have not been told yet; those told without an answer so far. */
  readonly #untold = new Set<Entry>();
  readonly #unanswered = new Set<Entry>();
  readonly #leases = new Leases<Entry>();
  readonly #changed = new Set<Entry>();

  /** @param slots in any order @param code what the code here says of the lane; null where it does not name it */
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
    this.#agree({ ...this.#terms, limit: limit ?? this.#terms.limit, periodMs });
    this.#pass(now);
    const entry = this.#entries.get(ticketKey(ticket)) ?? this.#enqueue(ticket, clampPriority(priority), hold, now);
    this.#grant(now);
    if (entry.slot.grantedAt !== null) {
      if (entry.slot.told) this.#count(entry, now);
      else this.#tell(entry, now);
      this.#leases.give(entry, now);
    }
    this.#write();
    return this.#place(entry);
  }

  /** Of a lane with a period a slot that was granted stays used: it has been. */
  leave(ticket: Ticket, now: number): void {
    const entry = this.#entries.get(ticketKey(ticket));
    if (entry === undefined) return;
    if (entry.slot.grantedAt !== null && this.#terms.periodMs !== null) this.#tell(entry, now);
    else this.#drop(entry);
    this.advance(now);
  }

  /** Grants now or not at all. */
  admit(id: string, limit: number, periodMs: number, now: number): Admission {
    const ticket = { runId: id, createdAt: 0, step: null };
    this.#agree({ ...this.#terms, limit, periodMs });
    this.advance(now);
    if (this.#entries.has(ticketKey(ticket))) return { ok: true };
    if (!this.#hasRoom()) return { ok: false, retryAfterMs: Math.max(1, (this.#roomAt() ?? now + periodMs) - now) };
    const entry = this.#enqueue(ticket, 0, false, now);
    this.#grant(now);
    this.#tell(entry, now);
    this.#write();
    return { ok: true };
  }

  /** The limit that counts instead of the code's; null for the code's. */
  override(limit: number | null, now: number, asked?: Omit<Setting, "at">): void {
    this.#agree(overridden(this.#terms, limit, asked && { ...asked, at: now }));
    this.advance(now);
  }

  /** The limit set for all keys of this one's kind, unless what is known is newer. */
  follow(followed: Followed, now: number): void {
    if (followed.version <= this.#terms.followed.version) return;
    this.#agree({ ...this.#terms, followed });
    this.advance(now);
  }

  /** Grants whatever the clock and the limit allow. */
  advance(now: number): void {
    this.#agree(this.#terms);
    this.#grant(now);
    this.#write();
  }

  /** Up to `count` slots whose holders must be told now; each is taken to be told until its watch is over. */
  toTell(now: number, count: number): Slot[] {
    const due = [...this.#unanswered].filter((entry) => entry.retryAt <= now);
    for (const entry of this.#untold) if (due.length < count) due.push(entry);
    return due.slice(0, count).map((entry) => {
      this.#untold.delete(entry);
      this.#unanswered.add(entry);
      entry.retryAt = now + Math.max(watchMs, retryMs(entry.attempts));
      entry.attempts++;
      return entry.slot;
    });
  }

  /** What the holder said: wanted, not wanted any more, or nothing (null). */
  told({ ticket, turn }: Slot, wanted: boolean | null, now: number): void {
    const entry = this.#find(ticket, turn);
    if (entry === undefined || entry.slot.told) return;
    if (wanted === null) entry.retryAt = now + retryMs(entry.attempts - 1);
    else if (wanted) this.#tell(entry, now);
    else this.#drop(entry);
    this.advance(now);
  }

  /** Up to `count` holders whose lease is over while others wait for what they hold; each has a new one. */
  toAsk(now: number, count: number): Slot[] {
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
    if (this.#untold.size > 0) times.push(now + watchMs);
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

  /** The code here has the say, whatever the code of those who ask was when their runs began. */
  #agree(asked: Terms): void {
    const terms = this.#code === null ? asked : underCode(asked, this.#code);
    if (JSON.stringify(terms) === JSON.stringify(this.#terms)) return;
    this.#terms = terms;
    this.#book.agree(terms);
  }

  #hasRoom(): boolean {
    return this.limit === null || this.used < this.limit;
  }

  /** When the rate lets the next one in; null when that takes something else than time. */
  #roomAt(): number | null {
    const { limit } = this;
    const { periodMs } = this.#terms;
    if (limit === null || limit <= 0 || periodMs === null) return null;
    let before = this.used - limit;
    for (const { slot } of this.#used) if (before-- === 0) return (slot.grantedAt ?? 0) + periodMs;
    return null;
  }

  /** Somebody waits for a slot that another may hold for no good reason. */
  #isContended(): boolean {
    return this.waiting > 0 && this.#terms.periodMs === null && this.limit !== 0;
  }

  /** Slots whose span is over count no more; one whose holder has not answered counts again when it does. */
  #pass(now: number): void {
    const { periodMs } = this.#terms;
    if (periodMs === null) return;
    for (const entry of this.#used) {
      if ((entry.slot.grantedAt ?? 0) + periodMs > now) return;
      this.#used.delete(entry);
      if (entry.slot.told) this.#drop(entry);
    }
  }

  #grant(now: number): void {
    this.#pass(now);
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
    if (!entry.slot.told) this.#untold.add(entry);
  }

  /** The holder knows, and goes on. */
  #tell(entry: Entry, now: number): void {
    if (entry.slot.told) return;
    this.#untold.delete(entry);
    this.#unanswered.delete(entry);
    entry.slot = { ...entry.slot, told: true };
    this.#changed.add(entry);
    this.#count(entry, now);
  }

  /** Of a rate, a span begins now, and whoever asks has not begun: it may have heard nothing, or was paused since. */
  #count(entry: Entry, now: number): void {
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
    for (const set of [this.#used, this.#untold, this.#unanswered, this.#changed]) set.delete(entry);
    this.#book.drop(ticket);
  }

  #find(ticket: Ticket, turn: number): Entry | undefined {
    const entry = this.#entries.get(ticketKey(ticket));
    return entry?.slot.turn === turn && entry.slot.grantedAt !== null ? entry : undefined;
  }

  /** One write for each slot, however often it changed. */
  #write(): void {
    for (const { slot } of this.#changed) this.#book.put(slot);
    this.#changed.clear();
  }
}
