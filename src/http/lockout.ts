/**
 * Owns: locking out an address that presents too many wrong credentials: past so many in a minute none of them is checked
 * any more, so that the answers tell it nothing.
 * Does not own: what is a wrong credential.
 *
 * It is kept in the memory of one isolate: an address that reaches several has so many tries at each, and a new
 * deployment forgets. Tokens are to be long enough to be guessed by nobody; this keeps a flood of guesses cheap.
 */
import { RequestError } from "./problem.ts";

const limit = 100;
const windowMs = 60_000;
/** Addresses that are known at a time, at most; past half of them, those that failed the longest ago are forgotten. */
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
    throw new RequestError("too_many_failures", `Too many wrong credentials; try again in ${seconds} s.`, {
      headers: { "retry-after": String(seconds) },
    });
  }

  /** A credential from there was wrong. */
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

/** The clock may have been set back: a window that begins in the future is none. */
function isOver({ sinceAt }: Failures, now: number): boolean {
  return now >= sinceAt + windowMs || now < sinceAt;
}

/**
 * Who is calling, as Cloudflare says; of IPv6 the first four groups, which one customer has to themself.
 * Elsewhere nobody says, and all share one.
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
