/**
 * Owns: reading the history of a run in its object, in pages, also of a run whose journal is damaged.
 * Does not own: what is shown of an entry (http), the kinds of damage (damage).
 */
import type { HoldfastError } from "../../core/error.ts";
import type { Entry } from "../../core/history/entry.ts";
import type { HistoryPage } from "../../core/run/run.ts";
import { shortened } from "../../core/size.ts";
import type { Memory } from "./memory.ts";

/** What the text and the data of a log line may have together to fit into an answer; two bytes a character may be needed. */
const maxLine = 15_000_000;
/** What is shown of a text that does not fit beside its data. */
const shownText = 1_000_000;

/** @throws HoldfastError run_not_found, or the damage */
export function readHistory(memory: Memory, after: number, limit: number): HistoryPage {
  const damage = memory.damage();
  if (damage !== null) return salvage(memory, damage, after, limit);
  const { seq, end } = memory.existing().state;
  const entries = memory.journal.page(after, limit);
  const last = entries.at(-1)?.seq ?? seq;
  return { entries: entries.map(fitted), next: last < seq ? last : null, ended: end !== null };
}

/** Reads the entries before the damage. @throws the damage if there are none after `after` */
function salvage(memory: Memory, damage: HoldfastError, after: number, limit: number): HistoryPage {
  const entries = memory.openJournal().page(after, limit);
  const last = entries.at(-1);
  if (last === undefined) throw damage;
  return { entries: entries.map(fitted), next: last.seq };
}

/** The entry, or a log line whose text is cut because it does not fit beside its data. */
export function fitted(entry: Entry): Entry {
  if (entry.kind !== "log.written" || entry.message.length + (entry.data?.length ?? 0) <= maxLine) return entry;
  return { ...entry, message: shortened(entry.message, shownText) };
}
