/**
 * A lane as plainly as it can be said: one list, sorted and counted anew at every question. What it
 * grants, and to whom it would speak, is what the model must grant and say.
 */
import type { Entrance, Place, Ticket } from "../../../src/core/lane/ticket.ts";

type Held = {
  readonly ticket: Ticket;
  readonly order: number;
  readonly rank: number;
  readonly hold: boolean;
  grantedAt: number | null;
  told: boolean;
  /** Null: nobody was told in this memory. */
  retryAt: number | null;
  attempts: number;
  lookAt: number;
};

export class Reference {
  override: number | null = null;
  #limit: number | null;
  readonly #periodMs: number | null;
  #list: Held[] = [];
  #count = 0;

  constructor(limit: number | null, periodMs: number | null) {
    this.#limit = limit;
    this.#periodMs = periodMs;
  }

  get limit(): number {
    return this.override ?? this.#limit ?? Infinity;
  }

  used(now: number): Ticket[] {
    return this.#used(now).map(({ ticket }) => ticket);
  }

  queue(): Ticket[] {
    return this.#waiting().map(({ ticket }) => ticket);
  }

  enter({ ticket, limit, priority, hold }: Entrance, now: number): Place["granted"] {
    this.#limit = limit ?? this.#limit;
    this.#sweep(now);
    let held = this.#find(ticket);
    if (held === undefined) {
      const rank = now - Math.min(10_000, Math.max(-10_000, priority)) * 60_000;
      held = {
        ...{ ticket, order: this.#count++, rank, hold },
        ...{ grantedAt: null, told: false, retryAt: null, attempts: 0, lookAt: 0 },
      };
      this.#list.push(held);
    }
    this.grant(now);
    if (held.grantedAt === null) return false;
    this.#tell(held, now);
    held.lookAt = now + leaseOf(held);
    this.grant(now);
    return true;
  }

  leave(ticket: Ticket, now: number): void {
    this.#sweep(now);
    const held = this.#find(ticket);
    if (held === undefined) return;
    if (held.grantedAt !== null && this.#periodMs !== null) this.#tell(held, now);
    else this.#remove(held);
    this.grant(now);
  }

  grant(now: number): void {
    this.#sweep(now);
    for (;;) {
      const [next] = this.#waiting();
      if (next === undefined || this.#used(now).length >= this.limit) return;
      next.grantedAt = now;
      next.lookAt = now + leaseOf(next);
    }
  }

  toTell(now: number): Ticket[] {
    const due = this.#list.filter(
      ({ grantedAt, told, retryAt }) => grantedAt !== null && !told && (retryAt === null || retryAt <= now),
    );
    for (const held of due) held.retryAt = now + Math.max(5000, backoff(held.attempts++));
    return due.map(({ ticket }) => ticket);
  }

  told(ticket: Ticket, wanted: boolean | null, now: number): void {
    const held = this.#find(ticket);
    if (held === undefined || held.grantedAt === null || held.told) return;
    if (wanted === null) held.retryAt = now + backoff(held.attempts - 1);
    else if (wanted) this.#tell(held, now);
    else this.#remove(held);
    this.grant(now);
  }

  toAsk(now: number): Ticket[] {
    if (this.#periodMs !== null || this.#waiting().length === 0 || this.limit === 0) return [];
    const due = this.#used(now).filter(({ lookAt }) => lookAt <= now);
    for (const held of due) held.lookAt = now + leaseOf(held);
    return due.map(({ ticket }) => ticket);
  }

  lost(ticket: Ticket, now: number): void {
    const held = this.#find(ticket);
    if (held !== undefined && held.grantedAt !== null) this.#remove(held);
    this.grant(now);
  }

  /** What a new memory does not know. */
  forget(): void {
    for (const held of this.#list) {
      held.retryAt = null;
      held.attempts = 0;
      held.lookAt = (held.grantedAt ?? 0) + leaseOf(held);
    }
  }

  #find({ runId, createdAt, step }: Ticket): Held | undefined {
    return this.#list.find(
      ({ ticket }) => ticket.runId === runId && ticket.createdAt === createdAt && ticket.step === step,
    );
  }

  /** A span of a rate begins when its holder is known to go on; one that asks has not begun, one that leaves has only just. */
  #tell(held: Held, now: number): void {
    if (this.#periodMs !== null) held.grantedAt = now;
    held.told = true;
  }

  #sweep(now: number): void {
    this.#list = this.#list.filter((held) => !held.told || this.#counts(held, now));
  }

  #remove(held: Held): void {
    this.#list = this.#list.filter((other) => other !== held);
  }

  #counts({ grantedAt }: Held, now: number): boolean {
    return grantedAt !== null && (this.#periodMs === null || now - grantedAt < this.#periodMs);
  }

  #used(now: number): Held[] {
    const granted = this.#list.filter((held) => this.#counts(held, now));
    // Granted in one go: in the order of the queue.
    return granted.toSorted(
      (one, other) => (one.grantedAt ?? 0) - (other.grantedAt ?? 0) || one.rank - other.rank || one.order - other.order,
    );
  }

  #waiting(): Held[] {
    const waiting = this.#list.filter(({ grantedAt }) => grantedAt === null);
    return waiting.toSorted((one, other) => one.rank - other.rank || one.order - other.order);
  }
}

function leaseOf({ hold }: Held): number {
  return hold ? 300_000 : 30_000;
}

function backoff(times: number): number {
  return Math.min(30_000, 1000 * 2 ** times);
}
