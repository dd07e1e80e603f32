/**
 * Owns: the keys of this deployment, as ENCRYPTION_KEYS gives them, the vault of an object's storage, and loading
 * what seals where there are keys.
 * Does not own: how they seal (core/cipher), what is sealed (store).
 */
import { parseKeys, Vault } from "../core/cipher.ts";
import type { Cipher, Keyring } from "../core/cipher.ts";
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

/** Without keys it is not loaded: that would take a tenth of the time in which a Worker starts, and 10 MB. */
let loaded: Cipher | null = null;

/** Holds an object that is being made until it can seal and open; for one that makes its vault later on. */
export function awaitCipher(ctx: DurableObjectState): void {
  if (loaded !== null || (variable("ENCRYPTION_KEYS") ?? "") === "") return;
  void ctx.blockConcurrencyWhile(async () => {
    loaded = (await import("../core/aes.ts")).gcm;
  });
}

function cipher(): Cipher {
  if (loaded === null) throw new Error("the object was made before there were keys");
  return loaded;
}

function random(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}

/** Asked for while the object is being made, or after {@link awaitCipher} was. */
export function vaultOf(ctx: DurableObjectState): Vault {
  awaitCipher(ctx);
  return new Vault(ctx.id.toString(), keyring, random, cipher);
}

/** Of what leaves an object: whoever has the keys can open it, wherever it arrives. */
export function travelVault(): Vault {
  return new Vault("holdfast.run", keyring, random, cipher);
}

/** The id of the key that seals. @throws HoldfastError config_invalid, also where there is none */
export function newestKey(): string {
  const ring = keyring();
  if (ring !== null) return ring.newest;
  throw new HoldfastError("config_invalid", "ENCRYPTION_KEYS is not set: there is no key to seal with");
}
