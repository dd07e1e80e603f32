/**
 * Encryption of what is stored: texts sealed with AES-256-GCM (NIST SP 800-38D), under one of several keys.
 *
 * A sealed text names its format and its key: `enc1.<key id>.<base64 of nonce, ciphertext and tag>`. It is bound to its
 * place: moved to another row, table or object, it does not open. The cipher is that of a library because it has to be
 * synchronous: a journal is appended to within one turn, and WebCrypto is asynchronous.
 */
import type { gcm } from "./aes.ts";
import { fromBase64, joinBytes, readUtf8, toBase64 } from "../bytes.ts";
import { HoldfastError } from "../error.ts";

/** Keys by id. The newest seals; each opens what was sealed with it. */
export type Keyring = { readonly newest: string; readonly keys: ReadonlyMap<string, Uint8Array> };

/** What seals and opens: `gcm` of aes.ts. */
export type Cipher = typeof gcm;

const variable = "ENCRYPTION_KEYS";
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
const head = /^enc(\d{1,4})\.([A-Za-z0-9_-]{1,32})\./;
const form = "1";
/** Characters in which the head of a sealed text ends at the latest. */
const headLength = 41;

/**
 * Reads `ENCRYPTION_KEYS`: `id:base64` of 32 bytes each, separated by commas, the newest first; null where none is set.
 * @throws HoldfastError config_invalid, which names the key that is wrong and never shows it
 */
export function parseKeys(text: string | undefined): Keyring | null {
  const list = text?.trim() ?? "";
  if (list === "") return null;
  const keys = new Map<string, Uint8Array>();
  for (const [index, item] of list.split(",").entries()) {
    const where = `${variable}, key ${index + 1}`;
    const [id, bytes] = parseKey(item.trim(), where);
    if (keys.has(id)) throw invalid(`${where}: the id ${id} is given twice`);
    keys.set(id, bytes);
  }
  const [newest = ""] = keys.keys();
  return { newest, keys };
}

function parseKey(item: string, where: string): [string, Uint8Array] {
  const [id = "", text, ...more] = item.split(":");
  // If somebody forgot the id, the text before the colon may be the key itself: it is not shown.
  if (text === undefined || more.length > 0 || !/^[A-Za-z0-9_-]{1,32}$/.test(id)) {
    throw invalid(`${where}: write id:base64key, the id of 1 to 32 letters, digits, "_" and "-"`);
  }
  const bytes = fromBase64(text);
  if (bytes === null) throw invalid(`${where} (${id}): the key is not base64`);
  if (bytes.length !== keyBytes) throw invalid(`${where} (${id}): a key has ${keyBytes} bytes, not ${bytes.length}`);
  return [id, bytes];
}

function invalid(message: string): HoldfastError {
  return new HoldfastError("config_invalid", message);
}

/** Whether the text begins as sealed text does, which no JSON does. */
export function isSealed(text: string): boolean {
  return text.startsWith("enc");
}

/** The id of the key that sealed the text; null of a text that is not sealed. */
export function keyIdOf(text: string): string | null {
  return headOf(text)?.[2] ?? null;
}

function headOf(text: string): RegExpExecArray | null {
  // Fast path: nearly every text begins with a bracket.
  return isSealed(text) ? head.exec(text.slice(0, headLength)) : null;
}

/** SQLite may hold bytes in a column of text: the type does not guarantee a string. */
function isText(stored: unknown): boolean {
  return typeof stored === "string";
}

/** Seals and opens the texts of one object. Without keys they are stored as they are. */
export class Vault {
  readonly #object: string;
  readonly #ring: () => Keyring | null;
  readonly #random: (length: number) => Uint8Array;
  readonly #cipher: () => Cipher;

  /**
   * @param object the object whose storage it is for; no other object can open what is sealed here
   * @param ring called at every use; what it throws is passed on
   * @param random returns that many unpredictable bytes
   * @param cipher called when something is sealed or opened
   */
  constructor(
    object: string,
    ring: () => Keyring | null,
    random: (length: number) => Uint8Array,
    cipher: () => Cipher,
  ) {
    this.#object = object;
    this.#ring = ring;
    this.#random = random;
    this.#cipher = cipher;
  }

  /** @param place table and row, where the text will stand */
  seal(text: string, place: string): string {
    const ring = this.#ring();
    return ring === null ? text : this.#seal(text, place, ring);
  }

  #seal(text: string, place: string, { newest, keys }: Keyring): string {
    const key = keys.get(newest);
    if (key === undefined) throw new Error(`the keyring lacks its newest key ${newest}`);
    const nonce = this.#random(nonceBytes);
    const sealed = this.#cipher()(key, nonce, this.#bound(place)).encrypt(new TextEncoder().encode(text));
    return `enc${form}.${newest}.${toBase64(joinBytes([nonce, sealed]))}`;
  }

  /**
   * The text before it was sealed; one that was never sealed is returned unchanged.
   * @throws HoldfastError key_missing; journal_newer, sealed in a form of later versions; journal_corrupt, changed,
   * moved, or sealed with another key of that id
   */
  open(text: string, place: string): string {
    if (!isText(text)) throw new HoldfastError("journal_corrupt", `${place} is no text: its bytes were changed`);
    const found = headOf(text);
    if (found === null) return text;
    const [start, version, id = ""] = found;
    if (version !== form) {
      throw new HoldfastError(
        "journal_newer",
        `${place} is sealed in form ${version}, which this version cannot read; deploy the version again that wrote it`,
      );
    }
    const key = this.#ring()?.keys.get(id);
    if (key === undefined) throw missing(id, place);
    const bytes = fromBase64(text.slice(start.length));
    if (bytes === null || bytes.length < nonceBytes + tagBytes) throw damaged(id, place);
    const opened = this.#decrypt(key, bytes, place);
    if (opened === null) throw damaged(id, place);
    return opened;
  }

  #decrypt(key: Uint8Array, bytes: Uint8Array, place: string): string | null {
    const gcm = this.#cipher();
    try {
      const cipher = gcm(key, bytes.subarray(0, nonceBytes), this.#bound(place));
      return readUtf8(cipher.decrypt(bytes.subarray(nonceBytes)));
    } catch {
      return null;
    }
  }

  /** Whether the text would be sealed otherwise today: with the newest key, where there is one. */
  isStale(text: string): boolean {
    const ring = this.#ring();
    return ring !== null && (!isText(text) || keyIdOf(text) !== ring.newest);
  }

  /** The id of the key that seals; null where none does. */
  get newest(): string | null {
    return this.#ring()?.newest ?? null;
  }

  #bound(place: string): Uint8Array {
    return new TextEncoder().encode(`${this.#object}\n${place}`);
  }
}

/** For storage that is not sealed. */
export const unsealed = new Vault(
  "",
  () => null,
  (length) => new Uint8Array(length),
  () => {
    throw new Error("nothing seals here");
  },
);

function missing(id: string, place: string): HoldfastError {
  return new HoldfastError(
    "key_missing",
    `${place} is sealed with the key ${JSON.stringify(id)}, which ${variable} does not have`,
  );
}

function damaged(id: string, place: string): HoldfastError {
  return new HoldfastError(
    "journal_corrupt",
    `${place} does not open: its bytes were changed or moved, or the key ${JSON.stringify(id)} is not the one that sealed it`,
  );
}
