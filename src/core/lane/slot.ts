/** What is stored of a lane: its slots and its terms. */
import type { Author } from "../author.ts";
import type { Ticket } from "./ticket.ts";

/** A ticket in a lane. */
export type Slot = {
  readonly ticket: Ticket;
  /** The number of the request; no two in a lane have the same, and later ones are higher. */
  readonly turn: number;
  readonly priority: number;
  readonly hold: boolean;
  readonly enqueuedAt: number;
  /** Null while it waits. */
  readonly grantedAt: number | null;
  /** Its holder knows of the grant. */
  readonly told: boolean;
};

/** An override that keyed lanes follow; a higher version is newer, 0 stands for none. */
export type Followed = { readonly limit: number | null; readonly version: number };

/** Who set a limit at run time, when and why. */
export type Setting = Author & { readonly at: number; readonly reason: string | null };

/** The lane's limit and period in the code; null for none. */
export type CodeTerms = { readonly limit: number | null; readonly periodMs: number | null };

/**
 * All limits of a lane. `limit` and `periodMs` are those of this deployment's code or, where that does not name the lane,
 * those that the newest request brought.
 */
export type Terms = CodeTerms & {
  readonly override: number | null;
  /** Who set the override, where somebody said so. */
  readonly setting?: Setting;
  readonly followed: Followed;
};

export const noTerms: Terms = { limit: null, periodMs: null, override: null, followed: { limit: null, version: 0 } };

/** The limit that counts; null for none. */
export function limitOf({ limit, override, followed }: Terms): number | null {
  return override ?? followed.limit ?? limit;
}

/** The terms with another override. Removing it also removes who set it. */
export function overridden({ setting: _before, ...terms }: Terms, override: number | null, setting?: Setting): Terms {
  return { ...terms, override, ...(override === null || setting === undefined ? {} : { setting }) };
}

export function underCode(terms: Terms, { limit, periodMs }: CodeTerms): Terms {
  return { ...terms, limit, periodMs };
}

/** The port to the storage of a lane. A slot is identified by its ticket. */
export interface LaneBook {
  put(slot: Slot): void;
  drop(ticket: Ticket): void;
  putTerms(terms: Terms): void;
}

const headStartMs = 60_000;
const maxPriority = 10_000;

/** The priority within its bounds: a head start of at most 10,000 minutes, about a week. NaN counts as 0. */
export function clampPriority(priority: number): number {
  return Number.isNaN(priority) ? 0 : Math.min(maxPriority, Math.max(-maxPriority, priority));
}

/** Lower ranks go first. */
export function rankOf({ enqueuedAt, priority }: Slot): number {
  return enqueuedAt - priority * headStartMs;
}

/** Identifies a ticket. */
export function ticketKey({ runId, createdAt, step }: Ticket): string {
  return JSON.stringify([runId, createdAt, step]);
}

/** Those that wait first, then in the order in which they were granted. */
export function inOrder(slots: readonly Slot[]): Slot[] {
  const granted = (slot: Slot): number => slot.grantedAt ?? 0;
  return slots.toSorted((one, other) => granted(one) - granted(other) || one.turn - other.turn);
}
