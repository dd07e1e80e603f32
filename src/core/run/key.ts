/**
 * Names for starts with an Idempotency-Key and no run id. The object is named by the key alone, so that the same key finds
 * it again. Each run made there also has the time in its id, so that ids sort by time and a later run of the key has
 * another id. Older versions gave such a run the name of its object as id.
 */
import { timeOfId } from "../name.ts";

const prefix = "key-";

/** The time, as in every generated id, and the key's digest: `01KB2C3D4E-9f86d081884c7d659a2feaa0c55ad015`. */
const made = /^[0-7][0-9A-HJKMNP-TV-Z]{9}-([0-9a-f]{32})$/;

/** The name of a key's object. @param digest 32 hex digits, the first of its SHA-256 */
export function keyName(digest: string): string {
  return prefix + digest;
}

/** Whether an object of that name may be that of a key. */
export function isKeyName(name: string | undefined): boolean {
  return name?.startsWith(prefix) === true;
}

/** The id of a new run of a key. @param name of the key's object @param now epoch ms */
export function keyedRunId(name: string, now: number): string {
  return `${timeOfId(now)}-${name.slice(prefix.length)}`;
}

/** The name of the object that has the run: the id itself, unless the run was made for a key. */
export function objectName(id: string): string {
  const [, digest] = made.exec(id) ?? [];
  return digest === undefined ? id : keyName(digest);
}

/** Whether a call for `id` is for the run `own` of the same object: the name of the object stands for whichever run is there. */
export function isMeant(id: string, own: string): boolean {
  return id === own || objectName(id) === id;
}

/** The key of one of the starts that were sent together under a key; the tab keeps it apart from the keys that callers give. */
export function keyInBatch(key: string, index: number): string {
  return `${key}\t${index}`;
}

/** What the key of a batch is bound to: no run has such an id. @param digest of what is to be started */
export function batchName(digest: string): string {
  return `.batch-${digest}`;
}
