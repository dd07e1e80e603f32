/**
 * Owns: the keys of this deployment, as ENCRYPTION_KEYS gives them, and the vault of an object's storage.
 * Does not own: how they seal (core/cipher), what is sealed (store).
 */
import { parseKeys, Vault } from "../core/cipher.ts";
import type { Keyring } from "../core/cipher.ts";
import { HoldfastError } from "../core/error.ts";
import { variable } from "./address.ts";

/** The last text that was read: it changes with the deployment, and rows come by the thousand. */
let last: { readonly text: string | undefined; readonly ring: Keyring | null } = { text: undefined, ring: null };

/** Null where nothing is sealed. @throws HoldfastError config_invalid */
function keyring(): Keyring | null {
  const text = variable("ENCRYPTION_KEYS");
  if (text !== last.text) last = { text, ring: parseKeys(text) };
  return last.ring;
}

export function vaultOf({ id }: DurableObjectState): Vault {
  return new Vault(id.toString(), keyring, (length) => crypto.getRandomValues(new Uint8Array(length)));
}

/** Of what leaves an object: whoever has the keys can open it, wherever it arrives. */
export function travelVault(): Vault {
  return new Vault("holdfast.run", keyring, (length) => crypto.getRandomValues(new Uint8Array(length)));
}

/** The id of the key that seals. @throws HoldfastError config_invalid, also where there is none */
export function newestKey(): string {
  const ring = keyring();
  if (ring !== null) return ring.newest;
  throw new HoldfastError("config_invalid", "ENCRYPTION_KEYS is not set: there is no key to seal with");
}
