/**
 * Owns: reading the history of a run in its object, in pages, also of a run whose journal is damaged.
 * Does not own: what is shown of an entry (http), the kinds of damage (damage).
 */
import type { HoldfastError } from "../../core/error.ts";
import type { HistoryPage } from "../../core/run/run.ts";
import type { Memory } from "./memory.ts";

/** @throws HoldfastError run_not_found, or the damage */
export function readHistory(memory: Memory, after: number, limit: number): HistoryPage {
  const damage = memory.damage();
  if (damage !== null) return salvage(memory, damage, after, limit);
  const { seq, end } = memory.existing().state;
  const entries = memory.journal.page(after, limit);
  const last = entries.at(-1)?.seq ?? seq;
  return { entries, next: last < seq ? last : null, ended: end !== null };
}

/** Reads the entries before the damage. @throws the damage if there are none after `after` */
function salvage(memory: Memory, damage: HoldfastError, after: number, limit: number): HistoryPage {
  const entries = memory.openJournal().page(after, limit);
  const last = entries.at(-1);
  if (last === undefined) throw damage;
  return { entries, next: last.seq };
}
