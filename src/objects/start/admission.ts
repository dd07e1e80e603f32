/**
 * Owns: the limits that a start has to pass before its run is created: the rate limit, the debounce and the singleton of its
 * workflow, in this order; and finding the run for a repeated start.
 * Does not own: the limits themselves (core/lane/flow), the holders of keys (the lane objects), the run, the limits for a retry of
 * an ended run (reclaim).
 *
 * Invariants
 * 1. A start whose run exists finds it, regardless of the limits.
 * 2. A start that claimed a key then creates its run or releases the key. If it does neither, its process has died, and it
 *    loses the key after `startingMs`.
 * 3. If another run answers a start, this is recorded before that run gets the start (guarantee 1). A repeated start asks the
 *    same run, which knows whether it got it. So does a simultaneous one: it records another run only instead of one that it
 *    has asked in vain.
 */
import { authorOf } from "../../core/author.ts";
import { startingMs } from "../../core/lane/claim.ts";
import { beginAt } from "../../core/lane/debounce.ts";
import type { DebouncedStart } from "../../core/lane/debounce.ts";
import { describeMs } from "../../core/duration.ts";
import { HoldfastError } from "../../core/error.ts";
import type { Gates } from "../../core/lane/flow.ts";
import { objectName } from "../../core/run/key.ts";
import { defined, sortedEntries } from "../../core/record.ts";
import { isEnded } from "../../core/run/run.ts";
import type { Made } from "../../core/run/run.ts";
import type { Claimed } from "../../core/lane/ticket.ts";
import { laneObject, runObject } from "../address.ts";
import { unwrap } from "../answer.ts";
import { digestOf } from "../deployment/digest.ts";
import { describe } from "../patience.ts";
import type { Answer } from "../answer.ts";
import type { PackedRun } from "../rpc/run.ts";
import type { Answerer, CheckedStart, Recalled, StartToken } from "../rpc/start.ts";
import { isOverloaded } from "../run/witness.ts";

/**
 * Starts the run if its workflow's limits allow it; otherwise returns the run that takes its place.
 * @param isNew the id was generated for this start, so it cannot be a repetition
 * @throws HoldfastError rate_limited, run_exists, idempotency_conflict
 */
export async function admit(start: CheckedStart, gates: Gates, isNew: boolean): Promise<Made<PackedRun>> {
  if (gates.rateLimit === null && gates.debounce === null && gates.singleton === null) return await create(start);
  const token = await tokenOf(start);
  const admission = new Admission(start, gates, token);
  return (isNew ? null : await admission.recall()) ?? (await admission.pass());
}

type Repeated = Parameters<typeof tokenOf>[0] & Pick<CheckedStart, "waitMs">;

/** The run that answered this start before, even if the code would treat it differently now; null for none. */
export async function findAnswering(start: Repeated): Promise<Made<PackedRun> | null> {
  const { id, waitMs = 0 } = start;
  const token = await tokenOf(start);
  const known = token === null ? null : unwrap(await runObject(id).recall(token));
  if (token === null || known?.kind !== "answered") return null;
  const object = runObject(known.runId);
  // For a debounce, only the run knows whether it got the start.
  return found(await (known.by === "singleton" ? object.read(waitMs) : object.debounced(token.token, waitMs)));
}

/** Starts the run. If the object dies meanwhile, the run may not be recorded, so the call is repeated. */
async function create(start: CheckedStart): Promise<Made<PackedRun>> {
  try {
    return unwrap(await runObject(start.id).start(start));
  } catch (error) {
    if (error instanceof HoldfastError || start.fork !== undefined || isOverloaded(error)) throw error;
    console.warn(`run ${start.id} is started again, for its object died: ${describe(error)}`);
    return unwrap(await runObject(start.id).start({ ...start, died: true }));
  }
}

/** A start that is being admitted. */
class Admission {
  readonly #start: CheckedStart;
  /** Keys are claimed under the name of the run's object, which is the same for every repetition of the start. */
  readonly #name: string;
  readonly #gates: Gates;
  readonly #token: StartToken | null;
  /** The run that is recorded as the answer, as far as this start knows. */
  #recorded: Answerer | null = null;

  constructor(start: CheckedStart, gates: Gates, token: StartToken | null) {
    this.#start = start;
    this.#name = objectName(start.id);
    this.#gates = gates;
    this.#token = token;
  }

  /** The result of this start, if it is a repetition; else null. */
  async recall(): Promise<Made<PackedRun> | null> {
    return await this.#resolve(unwrap(await runObject(this.#start.id).recall(this.#token)));
  }

  /** The result of this start, by what is known of it; null if nothing is, or the recorded run does not answer it. */
  async #resolve(known: Recalled): Promise<Made<PackedRun> | null> {
    switch (known.kind) {
      case "new":
        return null;
      case "decided":
        return await create(this.#start);
      case "answered": {
        this.#recorded = { by: known.by, runId: known.runId };
        const { debounce } = this.#gates;
        if (known.by === "singleton") return await this.#read(known.runId);
        if (debounce !== null) return await this.#merge(known.runId, debounce);
        // The code has no debounce any more; the run may have got the start before.
        return await findAnswering(this.#start);
      }
      default:
        return known satisfies never;
    }
  }

  async pass(): Promise<Made<PackedRun>> {
    const { rateLimit, debounce, singleton } = this.#gates;
    if (rateLimit !== null) await this.#count(rateLimit);
    try {
      const joined = debounce === null ? null : await this.#join(debounce);
      if (joined !== null) return joined;
      const other = singleton === null ? null : await this.#single(singleton);
      const answer = other ?? (await create(this.#claimed()));
      if (objectName(answer.run.id) === this.#name) return answer;
      await this.#release(debounce);
      // Also this one was claimed, and then it turned out that a simultaneous repetition was answered before.
      if (other === null) await this.#release(singleton);
      return answer;
    } catch (error) {
      // A refusal. After any other error the run may have been started, and then holds the key.
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

  /** The run that this start is merged into by the debounce; null if it is the first of a period. */
  async #join(debounce: NonNullable<Gates["debounce"]>): Promise<Made<PackedRun> | null> {
    const claim = { runId: this.#name, until: "begun", force: false } as const;
    for (const backoff = new Backoff(); ; await backoff.next()) {
      const { claimed, holder } = await laneObject(debounce.lane).claim(claim);
      if (claimed || holder === null) return null;
      const merged = await this.#answer("debounce", holder);
      if (merged !== null) return merged;
    }
  }

  /** Null if the run has begun already, or does not exist. */
  async #merge(holder: string, { periodMs, maxMs }: NonNullable<Gates["debounce"]>): Promise<Made<PackedRun> | null> {
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
    return found(await runObject(holder).debounce(start, waitMs));
  }

  /** The start with its claimed keys; the first of a debounce period is delayed to the end of the period. */
  #claimed(): CheckedStart {
    const { debounce, singleton } = this.#gates;
    const claims = [debounce, singleton].flatMap((gate) => (gate === null ? [] : [gate.lane]));
    if (debounce === null) return { ...this.#start, claims };
    const now = Date.now();
    return { ...this.#start, claims, startAt: beginAt({ ...this.#start, ...debounce }, now, now) };
  }

  /** The run that answers this start because of the singleton; null if the start may go on. */
  async #single({ lane, mode }: NonNullable<Gates["singleton"]>): Promise<Made<PackedRun> | null> {
    return mode === "skip" ? await this.#skip(lane) : await this.#replace(lane);
  }

  async #skip(lane: string): Promise<Made<PackedRun> | null> {
    for (const backoff = new Backoff(); ; await backoff.next()) {
      const { claimed, holder } = await this.#claim(lane, null);
      if (claimed || holder === null) return null;
      const seen = await this.#read(holder, 0);
      // The lane could not reach the run, and assumed that it goes on.
      if (seen === null || isEnded(seen.run.status)) continue;
      // By its run id, because the holder's object may have another run when this start is repeated.
      const other = await this.#answer("singleton", seen.run.id);
      if (other !== null) return other;
    }
  }

  /**
   * Takes the key only from a run that it has cancelled before. So of many starts at once only the last one to take the key goes
   * on, and if the process of one dies, no second run goes on beside it.
   */
  async #replace(lane: string): Promise<null> {
    const backoff = new Backoff();
    for (let cancelled: string | null = null; ;) {
      const { claimed, holder } = await this.#claim(lane, cancelled);
      if (claimed || holder === null) return null;
      cancelled = (await this.#cancel(holder)) ? holder : null;
      if (cancelled === null) await backoff.rest();
    }
  }

  /** @param from the run that the key may be taken from */
  #claim(lane: string, from: string | null): Promise<Claimed> {
    const claim = { runId: this.#name, until: "ended" } as const;
    return laneObject(lane).claim(from === null ? { ...claim, force: false } : { ...claim, force: true, from });
  }

  /** False if there is no such run: it is about to be created, or was removed, which the lane knows. */
  async #cancel(holder: string): Promise<boolean> {
    const reason = `replaced by ${this.#start.id}`;
    const answer = await runObject(holder).act({ kind: "cancel", ...authorOf(this.#start), reason });
    if (answer.ok || answer.refusal.code === "run_ended") return true;
    if (answer.refusal.code !== "run_not_found") unwrap(answer);
    return false;
  }

  async #read(runId: string, waitMs = this.#start.waitMs ?? 0): Promise<Made<PackedRun> | null> {
    return found(await runObject(runId).read(waitMs));
  }

  /**
   * The answer of that run, which is recorded before if the start can be repeated; or what a simultaneous repetition was
   * answered meanwhile, because one key is one run. Null if the run does not answer.
   */
  async #answer(by: Answerer["by"], runId: string): Promise<Made<PackedRun> | null> {
    const answered = { kind: "answered", by, runId } as const;
    if (this.#token === null) return await this.#resolve(answered);
    const answering = { ...this.#token, by, runId, former: this.#recorded };
    // Older code answers null.
    return await this.#resolve(unwrap(await runObject(this.#start.id).remember(answering)) ?? answered);
  }

  /** Releases the claimed keys, unless the run exists after all and holds them. */
  async #giveBack(): Promise<void> {
    if (found(await runObject(this.#name).read(0)) !== null) return;
    await Promise.all([this.#release(this.#gates.debounce), this.#release(this.#gates.singleton)]);
  }

  async #release(gate: { readonly lane: string } | null): Promise<void> {
    if (gate !== null) await laneObject(gate.lane).release(this.#name);
  }
}

/** The run that answers, which another start made; null if it does not exist, or does not answer. */
function found(answer: Answer<PackedRun | null>): Made<PackedRun> | null {
  const run = !answer.ok && answer.refusal.code === "run_not_found" ? null : unwrap(answer);
  return run === null ? null : { run, created: false };
}

const longestRestMs = 100;

/** Limits how long a start waits for another one that claimed the key before and is creating its run. */
class Backoff {
  readonly #until = Date.now() + startingMs + 2 * longestRestMs;
  #restMs = 5;

  /** @throws when the time is over: the caller may retry, as when an object cannot be reached */
  async next(): Promise<void> {
    await this.rest();
    if (Date.now() > this.#until)
      throw Object.assign(new Error("another start of this workflow is under way"), { retryable: true });
  }

  async rest(): Promise<void> {
    await scheduler.wait(this.#restMs);
    this.#restMs = Math.min(1.5 * this.#restMs, longestRestMs);
  }
}

/** Identifies a start by its Idempotency-Key, or, for children and firings, by the id that was generated for it. */
async function tokenOf(
  start: Pick<CheckedStart, "id" | "key" | "workflow" | "sent" | "input" | "wish" | "labels"> &
    Partial<Pick<CheckedStart, "parent" | "schedule">>,
): Promise<StartToken | null> {
  const { id, key, parent = null, schedule = null, workflow, sent, input, wish, labels } = start;
  if (key === undefined && parent === null && schedule === null) return null;
  const text = JSON.stringify([workflow, sent ?? input, sortedEntries(wish?.labels ?? labels)]);
  return { token: key ?? id, print: await digestOf(text), isKey: key !== undefined };
}
