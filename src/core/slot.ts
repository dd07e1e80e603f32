/** What is kept of a lane: its slots and its terms. */
import type { Author } from "./author.ts";
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
  /** Its holder knows. */
  readonly told: boolean;
};

/** An override that keyed lanes follow; a higher version is newer, 0 stands for none. */
export type Followed = { readonly limit: number | null; readonly version: number };

/** Who set a limit at run time, when and why. */
export type Setting = Author & { readonly at: number; readonly reason: string | null };

/** The limits a lane was told of. */
export type Terms = {
  /** Of the code that asked last; null when none has said any. */
  readonly limit: number | null;
  readonly periodMs: number | null;
  readonly override: number | null;
  /** Who set the override, where somebody said so. */
  readonly setting?: Setting;
  readonly followed: Followed;
};

export const noTerms: Terms = { limit: null, periodMs: null, override: null, followed: { limit: null, version: 0 } };

/** Where a lane is kept. A slot is known by its ticket. */
export interface LaneBook {
  put(slot: Slot): void;
  drop(ticket: Ticket): void;
  agree(terms: Terms): void;
}

const headStartMs = 60_000;
const maxPriority = 10_000;

/** What a priority counts as: a head start of at most a week, 10,000 minutes. What is no number has none. */
export function clampPriority(priority: number): number {
  return Number.isNaN(priority) ? 0 : Math.min(maxPriority, Math.max(-maxPriority, priority));
}

/** Lower ranks go first. */
export function rankOf({ enqueuedAt, priority }: Slot): number {
  return enqueuedAt - priority * headStartMs;
}

/** What tells tickets apart. */
export function ticketKey({ runId, createdAt, step }: Ticket): string {
  return JSON.stringify([runId, createdAt, step]);
}
