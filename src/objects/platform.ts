/**
 * Owns: what Holdfast relies on in the runtime that it is given, and naming it where it is not there.
 * Does not own: bindings and variables (address, http/config), which may change without a deployment of code.
 */
import { HoldfastError } from "../core/error.ts";

type Flags = Readonly<Record<string, boolean>>;

/** Work in flight keeps an object awake by itself; without it a step of minutes is cut off, again and again. */
const keptAwake = "durable_object_io_tasks_prevent_eviction";

/** @param flags of the runtime; outside of Cloudflare there are none, and nothing is looked at. @throws HoldfastError config_invalid */
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
