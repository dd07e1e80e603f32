/**
 * Owns: the encryption keys of this deployment (ENCRYPTION_KEYS), the vault for an object's storage, and loading the cipher
 * if there are keys.
 * Does not own: the encryption (core/cipher), what is encrypted (store).
 */
import { parseKeys, Vault } from "../../core/cipher/cipher.ts";
import type { Cipher, Keyring } from "../../core/cipher/cipher.ts";
import { HoldfastError } from "../../core/error.ts";
import { variable } from "../address.ts";

/** A cache of the parsed keys, which are needed for every row and change only with a deployment. */
let last: { readonly text: string | undefined; readonly ring: Keyring | null } = { text: undefined, ring: null };

/** Null if nothing is encrypted. @throws HoldfastError config_invalid */
function keyring(): Keyring | null {
  const text = variable("ENCRYPTION_KEYS");
  if (text !== last.text) last = { text, ring: parseKeys(text) };
  return last.ring;
}

/** Loaded only if there are keys, because it takes a tenth of a Worker's start time, and 10 MB. */
let loaded: Cipher | null = null;

/** Blocks the constructor of an object until the cipher is loaded; for objects that create their vault later. */
export function awaitCipher(ctx: DurableObjectState): void {
  if (loaded !== null || (variable("ENCRYPTION_KEYS") ?? "") === "") return;
  void ctx.blockConcurrencyWhile(async () => {
    loaded = (await import("../../core/cipher/aes.ts")).gcm;
  });
}

function cipher(): Cipher {
  if (loaded === null) throw new Error("the object was made before there were keys");
  return loaded;
}

function random(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}

/** Must be called in the object's constructor, or after {@link awaitCipher}. */
export function vaultOf(ctx: DurableObjectState): Vault {
  awaitCipher(ctx);
  return new Vault(ctx.id.toString(), keyring, random, cipher);
}

/** The vault for data that leaves an object: it can be decrypted anywhere with the keys. */
export function transferVault(): Vault {
  return new Vault("holdfast.run", keyring, random, cipher);
}

/** The id of the key that encrypts. @throws HoldfastError config_invalid, also without keys */
export function newestKey(): string {
  const ring = keyring();
  if (ring !== null) return ring.newest;
  throw new HoldfastError("config_invalid", "ENCRYPTION_KEYS is not set: there is no key to seal with");
}
