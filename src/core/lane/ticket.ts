/** Names of lanes, and requests for their slots with the answers. */
import { HoldfastError } from "../error.ts";
import { checkSegment } from "../name.ts";
import { isLonger } from "../size.ts";

/**
 * Identifies who asks: a run (`step` null) or one of its executing steps. `createdAt` distinguishes runs of the same id,
 * which can be used again once a run was deleted.
 */
export type Ticket = { readonly runId: string; readonly createdAt: number; readonly step: string | null };

/** Identifies a slot of a run: by lane, and by step (null: the run itself). */
export function laneKey({ lane, step }: { readonly lane: string; readonly step: string | null }): string {
  return JSON.stringify([lane, step]);
}

/** A request for a slot. Asking again with the same ticket is the same request. */
export type Entrance = {
  readonly ticket: Ticket;
  /** From the code that the run began with; used if the deployment's code does not name the lane. Null: none. 0: no slots. */
  readonly limit: number | null;
  /** Null: the limit is of slots at once. Else it is of slots in any span of this length, and none is given back. */
  readonly periodMs: number | null;
  /** Higher first; each unit is a head start of a minute. */
  readonly priority: number;
  /** Keeps the slot while it is parked, and so is asked less often whether it still has it. */
  readonly hold: boolean;
};

/**
 * The answer to a request. `turn` numbers the requests of a lane: a ticket that left and asks again has a higher one, and
 * messages with an older turn are not for it. `position` counts from 1.
 */
export type Place =
  | { readonly granted: true; readonly turn: number }
  | {
      readonly granted: false;
      readonly turn: number;
      readonly position: number;
      readonly used: number;
      readonly limit: number | null;
    };

/** Whether one more start fits into the rate; if not, when to try again. */
export type Admission = { readonly ok: true } | { readonly ok: false; readonly retryAfterMs: number };

/** A request for the key of a singleton or a debounce. */
export type Claim = {
  readonly runId: string;
  /** How long a run holds the key: until its handler has begun (debounce), or until its end (singleton). */
  readonly until: "begun" | "ended";
  /** Take the key from the run that holds it; the answer names that run. */
  readonly force: boolean;
  /** With `force`: from this run and from no other. */
  readonly from?: string;
};

/**
 * `holder` is another run that has the key (not `claimed`) or had it until now (`claimed`, by force);
 * null when there was none. `sinceAt`: since when runs have held the key without a gap.
 */
export type Claimed = { readonly claimed: boolean; readonly holder: string | null; readonly sinceAt: number };

/** Kinds of limits; each workflow has its own lane for each, and one for every key if the option has a key. */
export const laneKinds = ["concurrency", "throttle", "rateLimit", "singleton", "debounce", "steps"] as const;
export type LaneKind = (typeof laneKinds)[number];

/** An object is addressed by at most 1,024 bytes. */
const maxBytes = 1000;
const maxKeyLength = 256;

/**
 * The lane of a workflow's own limit: `concurrency:orders`, and with a key `concurrency:orders:acme`.
 * A colon or per cent sign in the workflow's name is percent-encoded, so that no two limits share a lane.
 * @throws HoldfastError name_invalid: the key is no text, over 256 characters or not well-formed
 */
export function laneOf(kind: LaneKind, workflow: string, key?: string): string {
  const base = `${kind}:${workflow.replaceAll("%", "%25").replaceAll(":", "%3A")}`;
  if (key === undefined) return checkLane(base);
  if (typeof key !== "string")
    throw invalid(base, `needs a key that is text, not ${key === null ? "null" : typeof key}`);
  if (isLonger(key, maxKeyLength)) {
    throw invalid(base, `has a key of more than ${maxKeyLength} characters`);
  }
  return checkLane(`${base}:${key}`);
}

/**
 * The lane of the option `lane`, with the user's own name.
 * @throws HoldfastError name_invalid: no name, one that no URL can hold, or one that begins like those of `laneOf`
 */
export function checkLaneName(name: unknown): string {
  const lane = checkLane(checkSegment(name, "lane"));
  const kind = kindOf(lane);
  if (kind === null) return lane;
  throw new HoldfastError(
    "name_invalid",
    `the lane ${JSON.stringify(lane)} cannot begin with "${kind}:", which is how the lanes of that option are called`,
  );
}

/** The limit that a keyed lane belongs to, as `concurrency:orders` for `concurrency:orders:acme`; null for others. */
export function baseOf(lane: string): string | null {
  const kind = kindOf(lane);
  if (kind === null) return null;
  const end = lane.indexOf(":", kind.length + 1);
  return end === -1 ? null : lane.slice(0, end);
}

/** Null for a lane of the option `lane`. */
export function kindOf(lane: string): LaneKind | null {
  return laneKinds.find((kind) => lane.startsWith(`${kind}:`)) ?? null;
}

/** Any lane's name, as it comes from outside. @throws HoldfastError name_invalid */
export function checkLane(lane: string): string {
  if (lane === "") throw new HoldfastError("name_invalid", "a lane needs a name that is not empty");
  if (/\p{Surrogate}/u.test(lane)) throw invalid(lane, "is not well-formed text");
  if (lane.length > maxBytes || bytesOf(lane) > maxBytes) throw invalid(lane, `has more than ${maxBytes} bytes`);
  return lane;
}

function bytesOf(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
}

function invalid(lane: string, why: string): HoldfastError {
  const shown = JSON.stringify(lane.length > 60 ? `${lane.slice(0, 60)}…` : lane);
  return new HoldfastError("name_invalid", `the lane ${shown} ${why}`);
}
