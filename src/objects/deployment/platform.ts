/**
 * Owns: checking for features of the runtime that Holdfast needs.
 * Does not own: bindings and variables (address, http/config), which may change without a deployment of code.
 */
import { HoldfastError } from "../../core/error.ts";

type Flags = Readonly<Record<string, boolean>>;

/** Makes pending work keep an object awake. Without it, a step of several minutes is interrupted again and again. */
const keptAwake = "durable_object_io_tasks_prevent_eviction";

/** @param flags of the runtime; undefined outside of Cloudflare, where nothing is checked @throws HoldfastError config_invalid */
export function checkPlatform(flags: Flags | undefined = flagsHere()): void {
  if (flags === undefined || flags[keptAwake] === true) return;
  const why = "Holdfast relies on work in flight to keep a Durable Object awake";
  const what = `set compatibility_date to 2026-10-01 or later, or add "${keptAwake}" to compatibility_flags`;
  throw new HoldfastError("config_invalid", `${why}: in wrangler.toml, ${what}`);
}

function flagsHere(): Flags | undefined {
  return (globalThis as { readonly Cloudflare?: { readonly compatibilityFlags?: Flags } }).Cloudflare
    ?.compatibilityFlags;
}
