/**
 * What is called after an Idempotency-Key that came with no run id: the object, by the key alone, so that the same key
 * finds it again; and each run that is made there, by the time too, so that ids sort by it and a later run of the
 * key has another. Runs of before were called as their objects are.
 */
import { timeOfId } from "./name.ts";

const prefix = "key-";

/** The time as in every id that is made here, and the key's digest: `01KB2C3D4E-9f86d081884c7d659a2feaa0c55ad015`. */
const made = /^[0-7][0-9A-HJKMNP-TV-Z]{9}-([0-9a-f]{32})$/;

/** What the object of a key is called. @param digest 32 hex digits, the first of its SHA-256 */
export function keyName(digest: string): string {
  return prefix + digest;
}

/** Whether the object of that name may stand for a key. */
export function isKeyName(name: string | undefined): boolean {
  return name?.startsWith(prefix) === true;
}

/** The id of a run that is made for a key. @param name of the key's object @param now epoch ms */
export function keyedRunId(name: string, now: number): string {
  return `${timeOfId(now)}-${name.slice(prefix.length)}`;
}

/** What the object is called that answers for the id: for most as the id itself. */
export function objectName(id: string): string {
  const [, digest] = made.exec(id) ?? [];
  return digest === undefined ? id : keyName(digest);
}

/** Whether what is said to be for `id` is for the run `own` of the same object: a name of the object is for whichever is there. */
export function isMeant(id: string, own: string): boolean {
  return id === own || objectName(id) === id;
}
