/**
 * Owns: the limits that a start passes before there is a run: the rate limit, the debounce and the singleton of its
 * workflow, in this order; and finding the run that answered a repeated start before.
 * Does not own: what the limits are (core/flow), who has a key (the lane objects), the run itself, what a run passes
 * that has ended and is retried (reclaim).
 *
 * Invariants
 * 1. A start whose run exists finds it, whatever the limits say.
 * 2. Whoever has claimed a key starts its run next, or gives the key back; one that does neither has
 *    died, and loses it after `startingMs`.
 * 3. Which other run answers a start is on record before that run is told of the start (guarantee 1): repeated, the
 *    start asks the same run, which knows whether it was told.
 */
import { authorOf } from "../core/author.ts";
import { startingMs } from "../core/claim.ts";
import { beginAt } from "../core/debounce.ts";
import type { DebouncedStart } from "../core/debounce.ts";
import { describeMs } from "../core/duration.ts";
import { HoldfastError } from "../core/error.ts";
import type { Gates } from "../core/flow.ts";
import { objectName } from "../core/key.ts";
import { defined, sortedEntries } from "../core/record.ts";
import { isEnded } from "../core/run.ts";
import type { Made } from "../core/run.ts";
import type { Claimed } from "../core/ticket.ts";
import { laneObject, runObject } from "./address.ts";
import { unwrap } from "./answer.ts";
import { digestOf } from "./digest.ts";
import { describe } from "./patience.ts";
import type { Answer } from "./answer.ts";
import type { Parcel } from "./rpc/run.ts";
import type { Answering, CheckedStart, StartToken } from "./rpc/start.ts";
import { isOverloaded } from "./witness.ts";

/**
 * Starts the run as its workflow's limits allow, or answers the run that stands for it.
 * @param isNew the id was made for this start, so that nothing can be known of it
 * @throws HoldfastError rate_limited, run_exists, idempotency_conflict
 */
export async function admit(start: CheckedStart, gates: Gates, isNew: boolean): Promise<Made<Parcel>> {
  if (gates.rateLimit === null && gates.debounce === null && gates.singleton === null) return await create(start);
  const token = await tokenOf(start);
  const admission = new Admission(start, gates, token);
  return (isNew ? null : await admission.recall()) ?? (await admission.pass());
}

type Repeated = Parameters<typeof tokenOf>[0] & Pick<CheckedStart, "waitMs">;

/** The run that answered this very start when it came before, whatever its code makes of it by now; null where none did. */
export async function findAnswering(start: Repeated): Promise<Parcel | null> {
  const { id, waitMs = 0 } = start;
  const token = await tokenOf(start);
  const known = token === null ? null : unwrap(await runObject(id).recall(token));
  if (token === null || known?.kind !== "answered") return null;
  const object = runObject(known.runId);
  // Of a debounce only the run knows whether it has heard of the start.
  return found(await (known.by === "singleton" ? object.read(waitMs) : object.debounced(token.token, waitMs)));
}

/** Starts the run. Where the object dies under that, nothing of the run may be on record: it is started again, with care. */
async function create(start: CheckedStart): Promise<Made<Parcel>> {
  try {
    return unwrap(await runObject(start.id).start(start));
  } catch (error) {
    if (error instanceof HoldfastError || start.fork !== undefined || isOverloaded(error)) throw error;
    console.warn(`run ${start.id} is started again, for its object died: ${describe(error)}`);
    return unwrap(await runObject(start.id).start({ ...start, died: true }));
  }
}

/** One start on its way. */
class Admission {
  readonly #start: CheckedStart;
  /** The name under which it claims keys: that of its object, which is the same however often the start is repeated. */
  readonly #name: string;
  readonly #gates: Gates;
  readonly #token: StartToken | null;

  constructor(start: CheckedStart, gates: Gates, token: StartToken | null) {
    this.#start = start;
    this.#name = objectName(start.id);
    this.#gates = gates;
    this.#token = token;
  }

  /** What became of this start when it came before; null when it has not. */
  async recall(): Promise<Made<Parcel> | null> {
    const known = unwrap(await runObject(this.#start.id).recall(this.#token));
    switch (known.kind) {
      case "new":
        return null;
      case "decided":
        return await create(this.#start);
      case "answered": {
        const { debounce } = this.#gates;
        if (known.by === "singleton") return await this.#read(known.runId);
        return debounce === null ? null : await this.#merge(known.runId, debounce);
      }
      default:
        return known satisfies never;
    }
  }

  async pass(): Promise<Made<Parcel>> {
    const { rateLimit, debounce, singleton } = this.#gates;
    if (rateLimit !== null) await this.#count(rateLimit);
    try {
      const joined = debounce === null ? null : await this.#join(debounce);
      if (joined !== null) return joined;
      const other = singleton === null ? null : await this.#single(singleton);
      if (other === null) return await create(this.#claimed());
      await this.#release(debounce);
      return other;
    } catch (error) {
      // The start was refused. After any other error the run may have been started: then the key is its own.
      if (error instanceof HoldfastError) await this.#giveBack();
      throw error;
    }
  }

  async #count({ lane, limit, periodMs }: NonNullable<Gates["rateLimit"]>): Promise<void> {
    const { workflow } = this.#start;
    const admission = await laneObject(lane).admit({ id: this.#name, limit, periodMs });
    if (admission.ok) return;
    const { retryAfterMs } = admission;
    const starts = limit === 1 ? "one start" : `${limit} starts`;
    const message = `${workflow} takes ${starts} in ${describeMs(periodMs)}; this one may be made in ${describeMs(retryAfterMs)}`;
    throw new HoldfastError("rate_limited", message, { retryAfterMs });
  }

  /** The run that this start becomes part of; null when it makes the first of a period. */
  async #join(debounce: NonNullable<Gates["debounce"]>): Promise<Made<Parcel> | null> {
    const claim = { runId: this.#name, until: "begun", force: false } as const;
    for (const patience = new Patience(); ; await patience.next()) {
      const { claimed, holder } = await laneObject(debounce.lane).claim(claim);
      if (claimed || holder === null) return null;
      await this.#remember("debounce", holder);
      const merged = await this.#merge(holder, debounce);
      if (merged !== null) return merged;
    }
  }

  /** Null where the run has begun, or is not there. */
  async #merge(holder: string, { periodMs, maxMs }: NonNullable<Gates["debounce"]>): Promise<Made<Parcel> | null> {
    const { workflow, version, input, sent, labels, lanes, notify } = this.#start;
    const { retention, startAt, notAfter, reason, waitMs = 0 } = this.#start;
    const start: DebouncedStart = {
      workflow,
      version,
      input,
      labels,
      periodMs,
      maxMs,
      ...authorOf(this.#start),
      ...defined({ reason, sent, lanes, notify, retention, startAt, notAfter, key: this.#token?.token }),
    };
    const run = found(await runObject(holder).debounce(start, waitMs));
    return run === null ? null : { run, created: false };
  }

  /** The start with the keys it has claimed; the first of a period begins at its end. */
  #claimed(): CheckedStart {
    const { debounce, singleton } = this.#gates;
    const claims = [debounce, singleton].flatMap((gate) => (gate === null ? [] : [gate.lane]));
    if (debounce === null) return { ...this.#start, claims };
    const now = Date.now();
    return { ...this.#start, claims, startAt: beginAt({ ...this.#start, ...debounce }, now, now) };
  }

  /** The run that is in the way of this one; null once none is. */
  async #single({ lane, mode }: NonNullable<Gates["singleton"]>): Promise<Made<Parcel> | null> {
    return mode === "skip" ? await this.#skip(lane) : await this.#replace(lane);
  }

  async #skip(lane: string): Promise<Made<Parcel> | null> {
    for (const patience = new Patience(); ; await patience.next()) {
      const { claimed, holder } = await this.#claim(lane, null);
      if (claimed || holder === null) return null;
      const seen = await this.#read(holder, 0);
      // The lane could not ask it, and took it to go on.
      if (seen === null || isEnded(seen.run.status)) continue;
      // By its run id: when this start is repeated, the object that is the holder may have another run.
      await this.#remember("singleton", seen.run.id);
      const other = await this.#read(seen.run.id);
      if (other !== null) return other;
    }
  }

  /**
   * The key is taken only from a run that was cancelled before: of many starts at once the last to
   * take it is the one that goes on, and one that dies on its way leaves nobody going on beside it.
   */
  async #replace(lane: string): Promise<null> {
    const patience = new Patience();
    for (let cancelled: string | null = null; ;) {
      const { claimed, holder } = await this.#claim(lane, cancelled);
      if (claimed || holder === null) return null;
      cancelled = (await this.#cancel(holder)) ? holder : null;
      if (cancelled === null) await patience.rest();
    }
  }

  /** @param from the run from which it may be taken */
  #claim(lane: string, from: string | null): Promise<Claimed> {
    const claim = { runId: this.#name, until: "ended" } as const;
    return laneObject(lane).claim(from === null ? { ...claim, force: false } : { ...claim, force: true, from });
  }

  /** False where there is no such run: it is about to be started, or was removed; its lane knows which. */
  async #cancel(holder: string): Promise<boolean> {
    const reason = `replaced by ${this.#start.id}`;
    const answer = await runObject(holder).act({ kind: "cancel", ...authorOf(this.#start), reason });
    if (answer.ok || answer.refusal.code === "run_ended") return true;
    if (answer.refusal.code !== "run_not_found") unwrap(answer);
    return false;
  }

  async #read(runId: string, waitMs = this.#start.waitMs ?? 0): Promise<Made<Parcel> | null> {
    const run = found(await runObject(runId).read(waitMs));
    return run === null ? null : { run, created: false };
  }

  /** Puts on record which run answers this start, where the start may be repeated. */
  async #remember(by: Answering["by"], runId: string): Promise<void> {
    if (this.#token === null) return;
    const { token, print } = this.#token;
    unwrap(await runObject(this.#start.id).remember({ token, print, by, runId }));
  }

  /** Gives the claimed keys back, unless the run is there after all: then they are its own. */
  async #giveBack(): Promise<void> {
    if (found(await runObject(this.#name).read(0)) !== null) return;
    await Promise.all([this.#release(this.#gates.debounce), this.#release(this.#gates.singleton)]);
  }

  async #release(gate: { readonly lane: string } | null): Promise<void> {
    if (gate !== null) await laneObject(gate.lane).release(this.#name);
  }
}

/** Null for a run that is not there. */
function found<Value>(answer: Answer<Value>): Value | null {
  return !answer.ok && answer.refusal.code === "run_not_found" ? null : unwrap(answer);
}

const longestRestMs = 100;

/** How long a start waits for another that has claimed the key before it and is about to make its run. */
class Patience {
  readonly #until = Date.now() + startingMs + 2 * longestRestMs;
  #restMs = 5;

  get isOver(): boolean {
    return Date.now() > this.#until;
  }

  /** @throws when it is over: the caller may ask again, as it may when an object cannot be reached */
  async next(): Promise<void> {
    await this.rest();
    if (this.isOver) throw Object.assign(new Error("another start of this workflow is under way"), { retryable: true });
  }

  async rest(): Promise<void> {
    await scheduler.wait(this.#restMs);
    this.#restMs = Math.min(1.5 * this.#restMs, longestRestMs);
  }
}

/** By its Idempotency-Key; children and firings by their ids, which were made for them alone. */
async function tokenOf(
  start: Pick<CheckedStart, "id" | "key" | "workflow" | "sent" | "input" | "wish" | "labels"> &
    Partial<Pick<CheckedStart, "parent" | "schedule">>,
): Promise<StartToken | null> {
  const { id, key, parent = null, schedule = null, workflow, sent, input, wish, labels } = start;
  if (key === undefined && parent === null && schedule === null) return null;
  const text = JSON.stringify([workflow, sent ?? input, sortedEntries(wish?.labels ?? labels)]);
  return { token: key ?? id, print: await digestOf(text), isKey: key !== undefined };
}
