/**
 * Leases of slots: how long a holder counts as one, while others wait, before it is asked; and retries of messages to
 * holders.
 */
import { backoffMs } from "../backoff.ts";

const leaseMs = 30_000;
/** For a run that keeps its slot while it is parked: asking would wake it. */
const holdLeaseMs = 300_000;

/** Leases that end within the same such span are looked at together. */
const togetherMs = 5_000;

/** A message without an answer is sent again after this long at the earliest. */
export const watchMs = 5_000;
const maxRetryMs = 30_000;

/** When a message that failed is sent again: 1 s, doubling, at most 30 s. */
export function retryMs(failures: number): number {
  return backoffMs(failures + 1, 1_000, maxRetryMs);
}

type Leased = { readonly slot: { readonly hold: boolean } };

/** Leases of two lengths. Those of one length end in the order in which they were given. */
export class Leases<Holder extends Leased> {
  readonly #short = new Map<Holder, number>();
  readonly #long = new Map<Holder, number>();

  /** Gives the holder a new lease, from now. */
  give(holder: Holder, now: number): void {
    const { hold } = holder.slot;
    const leases = hold ? this.#long : this.#short;
    leases.delete(holder);
    leases.set(holder, now + (hold ? holdLeaseMs : leaseMs));
  }

  drop(holder: Holder): void {
    this.#short.delete(holder);
    this.#long.delete(holder);
  }

  /** Up to `count` holders whose leases are over. */
  over(now: number, count: number): Holder[] {
    const holders: Holder[] = [];
    for (const leases of [this.#short, this.#long]) {
      for (const [holder, endsAt] of leases) {
        if (endsAt > now || holders.length >= count) break;
        holders.push(holder);
      }
    }
    return holders;
  }

  /** When to look at the next lease: at its end or a little later; null for none. */
  nextLookAt(): number | null {
    const ends = [this.#short, this.#long].map((leases) => leases.values().next().value ?? Infinity);
    const nextAt = Math.min(...ends);
    return nextAt === Infinity ? null : Math.ceil(nextAt / togetherMs) * togetherMs;
  }
}
