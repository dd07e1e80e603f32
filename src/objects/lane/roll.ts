/**
 * Owns: the list of all lanes in use, and passing an override for all lanes of one base on to each of them.
 * Does not own: the lanes.
 *
 * Invariants
 * 1. An override is stored, and an alarm set, before its request is answered. It is passed on until all registered lanes of
 *    its base have accepted it.
 * 2. Registering a lane returns the override of its base, so that later lanes also get it.
 */
import type { Followed } from "../../core/lane/slot.ts";
import { baseOf } from "../../core/lane/ticket.ts";
import { RollStore } from "../../store/roll.ts";
import { laneObject } from "../address.ts";
import { setAlarm } from "../alarm.ts";
import { describe, within } from "../patience.ts";

const callLimitMs = 30_000;
/** The limit of simultaneous calls. */
const atOnce = 50;
/** The pause before lanes that did not answer are called again. */
const retryMs = 5_000;

export class Roll {
  readonly #ctx: DurableObjectState;
  readonly #store: RollStore;
  #passing: Promise<void> | null = null;

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
    this.#store = new RollStore(ctx.storage.sql);
  }

  register(lane: string): Followed {
    const base = baseOf(lane);
    const followed = base === null ? { limit: null, version: 0 } : this.#store.override(base);
    this.#store.add(lane, followed.version);
    return followed;
  }

  unregister(lane: string): void {
    this.#store.remove(lane);
  }

  names(after: string, limit: number): string[] {
    return this.#store.names(after, limit);
  }

  /** Resolves when the lanes in use have the override, or after a time limit. */
  async overrideAll(base: string, limit: number | null): Promise<void> {
    const now = Date.now();
    this.#store.setOverride(base, { limit, version: Math.max(now, this.#store.override(base).version + 1) });
    await this.#ctx.storage.setAlarm(now + retryMs);
    await within(this.#passOn(), callLimitMs).catch(() => undefined);
  }

  /** Never throws. */
  async alarm(): Promise<void> {
    try {
      await setAlarm(this.#ctx.storage, Date.now() + retryMs, () => true);
      await this.#passOn();
      if (this.#store.unsettled().length === 0) await this.#ctx.storage.deleteAlarm();
    } catch (error) {
      console.error(`roll of lanes: ${describe(error)}`);
    }
  }

  /** Rounds run one after another, so that a later one passes on overrides that came meanwhile. */
  #passOn(): Promise<void> {
    const round = (this.#passing ?? Promise.resolve()).then(async () => {
      for (const base of this.#store.unsettled()) await this.#passOnBase(base);
    });
    this.#passing = round.catch(() => undefined);
    return round;
  }

  async #passOnBase(base: string): Promise<void> {
    const override = this.#store.override(base);
    let complete = true;
    for (let after = ""; ;) {
      const lanes = this.#store.behind(base, override.version, after, atOnce);
      const last = lanes.at(-1);
      if (last === undefined) break;
      after = last;
      const told = await Promise.all(lanes.map((lane) => this.#tell(lane, override)));
      complete &&= told.every(Boolean);
    }
    if (complete) this.#store.settle(base, override.version);
  }

  async #tell(lane: string, override: Followed): Promise<boolean> {
    try {
      await laneObject(lane).follow(override);
      this.#store.keepUp(lane, override.version);
      return true;
    } catch (error) {
      console.error(`lane ${lane} could not be told its limit: ${describe(error)}`);
      return false;
    }
  }
}
