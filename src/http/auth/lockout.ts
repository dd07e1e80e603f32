/**
 * Owns: locking out an address that presents too many wrong credentials: past so many in a minute none of them is checked
 * any more, so that the answers tell it nothing.
 * Does not own: what is a wrong credential.
 *
 * The counts are in the memory of one isolate: an address that reaches several isolates has its tries at each, and a new
 * deployment forgets them. Security rests on tokens being long enough; this keeps a flood of guesses cheap.
 */
import { passing } from "../problem.ts";

const limit = 100;
const windowMs = 60_000;
/** How many addresses are remembered at most; the older half is forgotten when the newer is full. */
const maxAddresses = 10_000;

type Failures = { readonly sinceAt: number; count: number };

export class Lockout {
  /** Two halves: once the newer is full it replaces the older as a whole, so that forgetting costs nothing in a flood. */
  #newer = new Map<string, Failures>();
  #older = new Map<string, Failures>();

  /** @param now epoch ms @throws RequestError too_many_failures */
  check(address: string, now: number): void {
    const known = this.#find(address);
    if (known === undefined || known.count < limit || isOver(known, now)) return;
    const seconds = Math.ceil((known.sinceAt + windowMs - now) / 1000);
    throw passing("too_many_failures", `Too many wrong credentials; try again in ${seconds} s.`, seconds);
  }

  /** Counts a wrong credential from the address. */
  fail(address: string, now: number): void {
    const known = this.#find(address);
    const failures = known === undefined || isOver(known, now) ? { sinceAt: now, count: 0 } : known;
    failures.count += 1;
    this.#newer.set(address, failures);
    if (this.#newer.size < maxAddresses / 2) return;
    this.#older = this.#newer;
    this.#newer = new Map();
  }

  #find(address: string): Failures | undefined {
    return this.#newer.get(address) ?? this.#older.get(address);
  }

  get size(): number {
    return this.#newer.size + this.#older.size;
  }
}

/** A window that begins in the future is over too: the clock was set back. */
function isOver({ sinceAt }: Failures, now: number): boolean {
  return now >= sinceAt + windowMs || now < sinceAt;
}

/**
 * The caller's address as Cloudflare gives it; of IPv6 the first four groups, since one customer has all addresses below
 * these. Outside of Cloudflare there is none, and all callers share one.
 */
export function addressOf({ headers }: Request): string {
  const address = headers.get("cf-connecting-ip")?.trim().slice(0, 64) ?? "";
  if (!address.includes(":") || address.includes(".")) return address;
  const [left = ""] = address.toLowerCase().split("::");
  const groups = left === "" ? [] : left.split(":");
  const known = address.includes("::") ? [...groups, "0", "0", "0", "0"] : groups;
  return known
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":");
}
