/** Names: those that users give, ids of runs, ids of calls within a run. */
import { HoldfastError } from "./error.ts";
import { mention } from "./option.ts";
import { isLonger, shortened } from "./size.ts";

const maxNameLength = 256;
/** Characters of the label of a wait. */
export const maxLabelLength = maxNameLength;

/**
 * Returns the name if it is valid; `what` is used in messages, as `step` or `signal`.
 * @throws HoldfastError name_invalid: not text, empty, over 256 characters, or half of a surrogate
 * pair in it, which would come back from storage as another name.
 */
export function checkName(name: unknown, what: string): string {
  if (typeof name !== "string" || name === "") {
    const wanted = name === "" ? "not empty" : `a string, not ${mention(name)}`;
    throw new HoldfastError("name_invalid", `${what === "update" ? "an" : "a"} ${what} needs a name that is ${wanted}`);
  }
  if (isLonger(name, maxNameLength)) {
    const shown = JSON.stringify(shortened(name, 40));
    throw new HoldfastError("name_invalid", `the name of the ${what} ${shown} is over ${maxNameLength} characters`);
  }
  if (!name.isWellFormed()) {
    throw new HoldfastError("name_invalid", `the name of the ${what} ${JSON.stringify(name)} is not well-formed text`);
  }
  return name;
}

/**
 * Checks the name of something with a URL of its own. Clients remove `.` and `..` from the path of a URL, however they are
 * encoded. @throws HoldfastError name_invalid
 */
export function checkSegment(name: unknown, what: string): string {
  const text = checkName(name, what);
  if (text !== "." && text !== "..") return text;
  throw new HoldfastError("name_invalid", `a ${what} cannot be called ${JSON.stringify(text)}: no URL can name it`);
}

/** Whether the workflow is one of Holdfast's own, which are in every deployment and listed in none. */
export function isBuiltIn(workflow: string): boolean {
  return workflow.startsWith("holdfast.");
}

/** Whether a run may have this id. */
export function isRunId(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/.test(text);
}

/** @throws HoldfastError id_invalid */
export function checkRunId(id: unknown): string {
  if (typeof id === "string" && isRunId(id)) return id;
  const shown = typeof id === "string" ? JSON.stringify(shortened(id, 40)) : typeof id;
  throw new HoldfastError(
    "id_invalid",
    `a run id is 1 to 128 letters, digits, dots, underscores, colons and hyphens, and begins with a letter or a digit, unlike ${shown}`,
  );
}

const endsLikeOccurrence = /#\d+$/;

/**
 * The id of a call within its run: `charge`, then `charge#2` for the second of that name. A name
 * that itself ends like an occurrence is always followed by one (`a#2#1`), so that no two calls
 * share an id.
 */
export function toCallId(name: string, occurrence: number): string {
  return occurrence === 1 && !endsLikeOccurrence.test(name) ? name : `${name}#${occurrence}`;
}

/** The name in a call's id: `charge` of `charge#2`. */
export function nameOfCall(id: string): string {
  let end = id.length;
  while (isDigit(id.charCodeAt(end - 1))) end--;
  if (end === id.length || id[end - 1] !== "#") return id;
  // Calls of one name mostly follow each other: they share one string, which is stored and hashed once.
  if (latest.length !== end - 1 || !id.startsWith(latest)) latest = id.slice(0, end - 1);
  return latest;
}

let latest = "";

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/**
 * A ULID: 26 characters of Crockford base32, 48 bits of `now` (epoch ms) and the first ten of
 * `randomBytes`, so that ids sort by the time they were made.
 */
export function newRunId(now: number, randomBytes: Uint8Array): string {
  if (randomBytes.length < 10) throw new RangeError("a run id needs ten random bytes");
  return timeOfId(now) + chance(randomBytes);
}

/** The ten characters at the beginning of an id, by which ids sort. @param now epoch ms */
export function timeOfId(now: number): string {
  if (!(now >= 0 && now < 2 ** 48)) throw new RangeError("a run id holds instants from 1970 to 10889");
  let text = "";
  for (let rest = Math.floor(now), i = 0; i < 10; i += 1, rest = Math.floor(rest / 32))
    text = crockford.charAt(rest % 32) + text;
  return text;
}

/** Eighty bits, five at a time. */
function chance(bytes: Uint8Array): string {
  let text = "";
  let held = 0;
  let bits = 0;
  for (const byte of bytes.subarray(0, 10)) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += crockford.charAt((held >>> (bits - 5)) & 31);
    held &= 31;
  }
  return text;
}
