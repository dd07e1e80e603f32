/**
 * Owns: exporting a run from its object as lines of text, in pages, and whether it can be exported.
 * Does not own: the text as a whole (transfer), what is left out (core/transfer).
 * Invariant 1: results of sensitive steps leave the object encrypted, or not at all.
 */
import type { EntryOf } from "../../core/history/entry.ts";
import { HoldfastError } from "../../core/error.ts";
import type { Journal } from "../../core/history/journal.ts";
import { manifestOf } from "../../core/transfer/manifest.ts";
import { toExport, isSecret, refuseExport } from "../../core/transfer/transfer.ts";
import type { Run } from "../../engine/run.ts";
import { placeOf } from "./arrival.ts";
import { transferVault } from "../deployment/keys.ts";
import type { ExportPage, ExportPlan, PageRequest } from "../rpc/run.ts";

/** @throws HoldfastError not_exportable, config_invalid */
export function exportOf(run: Run, journal: Journal): ExportPlan {
  const { state } = run;
  const isSealed = transferVault().newest !== null;
  let secrets = 0;
  for (const entry of journal.read()) if (isSecret(entry)) secrets++;
  const { active, steps } = run.snapshot();
  refuseExport(state, { running: Math.max(active.length, steps.running), secrets, isSealable: isSealed });
  const omitted = state.omitted.size + (isSealed ? 0 : secrets);
  return { manifest: manifestOf(state, omitted), createdAt: state.creation.at, isSealed };
}

/** A page of the history. @throws HoldfastError run_not_found, not_exportable */
export function linesOf(
  created: EntryOf<"run.created">,
  journal: Journal,
  { createdAt, after, upTo, isSealed }: PageRequest,
): ExportPage {
  const gone = new HoldfastError("run_not_found", "the run that is being exported has gone on as new, or is gone");
  if (created.at !== createdAt) throw gone;
  const vault = transferVault();
  if (isSealed && vault.newest === null) {
    throw new HoldfastError("not_exportable", "the key that results of sensitive steps are sealed with is gone");
  }
  const seal = isSealed
    ? (secret: EntryOf<"step.completed">) => vault.seal(secret.result, placeOf(created, secret))
    : null;
  const page = journal.page(after, Infinity).filter(({ seq }) => seq <= upTo);
  const last = page.at(-1)?.seq;
  if (last === undefined) throw gone;
  const text = new Blob(page.map((entry) => `${JSON.stringify(toExport(entry, seal))}\n`));
  return { text: text.stream(), last, entries: page.length };
}
