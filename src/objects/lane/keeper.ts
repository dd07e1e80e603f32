/**
 * Owns: one lane in its object: its state in memory, its single alarm, when to call runs that were granted a slot, when to
 * check holders, and registering with the roll of lanes.
 * Does not own: who is next (core/lane), the presentation (core/service/lanes), the storage (store/lanes), the calls (holder).
 *
 * Invariants
 * 1. Memory and storage change together: after an error in between, the memory is given up.
 * 2. A slot is granted in storage before its holder is called, and the call is repeated until it is answered.
 * 3. If there is something to do later, an alarm is set for then or earlier. Its handler never throws, and it is never set to
 *    now or earlier.
 * 4. The lane's work never waits for the roll.
 */
import { decideClaim } from "../../core/lane/claim.ts";
import type { KeyHolder } from "../../core/lane/claim.ts";
import { Lane } from "../../core/lane/lane.ts";
import { infoOf } from "../../core/service/lanes.ts";
import type { OverrideRequest, LaneInfo } from "../../core/service/lanes.ts";
import type { CodeTerms, Followed, Slot } from "../../core/lane/slot.ts";
import { kindOf } from "../../core/lane/ticket.ts";
import type { Claim, Claimed } from "../../core/lane/ticket.ts";
import { LaneStore } from "../../store/lanes.ts";
import type { LaneState } from "../../store/lanes.ts";
import { laneRoll } from "../address.ts";
import { Alarm } from "../alarm.ts";
import { findHolder, holdsSlot, grantSlot } from "./holder.ts";
import { vaultOf } from "../deployment/keys.ts";
import { describe } from "../patience.ts";

/** The limit of simultaneous calls. */
const atOnce = 50;
/** The pause when that many calls are in progress. */
const fullMs = 5_000;
/** How long an unused lane is kept. */
const idleMs = 3_600_000;
/** The number of holders and waiters in an answer, if the caller gives none. */
const shown = 20;
/** How long the idempotency key of a request is remembered. */
const keyKeptMs = 86_400_000;
/** The pause before another call of the roll. */
const rollRetryMs = 5_000;

type Opened = { readonly lane: Lane; readonly store: LaneStore };

export class Keeper {
  readonly #ctx: DurableObjectState;
  readonly #name: string;
  readonly #code: CodeTerms | null;
  #memory: Opened | null = null;
  #calls = 0;
  #registering = false;
  #registerAt = 0;
  /** Whether the roll may still list this lane, because it was not reached after the lane was removed. */
  #mayBeListed = false;
  #usedAt = 0;
  readonly #alarm: Alarm;

  /** @param code the lane's terms in the code of this deployment; null for none */
  constructor(ctx: DurableObjectState, name: string, code: CodeTerms | null) {
    this.#ctx = ctx;
    this.#alarm = new Alarm(ctx.storage);
    this.#name = name;
    this.#code = code;
  }

  /** Changes the lane, with all effects. @param listed whether the lane has to be on the roll then */
  change<Value>(how: (lane: Lane, now: number) => Value, listed: boolean): Value {
    const now = Date.now();
    this.#usedAt = now;
    const value = this.#write(({ lane }) => how(lane, now));
    this.#attend(now);
    if (listed) this.#register();
    return value;
  }

  /** Sets or removes (null) the limit that replaces the code's. Returns null if the key was used for another limit. */
  async override(limit: number | null, request?: OverrideRequest, key?: string): Promise<LaneInfo | null> {
    const { store } = this.#open();
    const since = Date.now() - keyKeptMs;
    const known = key === undefined ? undefined : store.requests(since, key)[0];
    if (known !== undefined && known.limit !== limit) return null;
    // Removing the limit of an unused lane does not create the lane, which would write the terms of the code.
    if (known === undefined && (limit !== null || key !== undefined || store.exists)) {
      this.change((lane, now) => {
        lane.override(limit, now, request);
        if (key !== undefined) store.remember({ key, limit, at: now }, since);
      }, limit !== null);
    }
    const holder = await this.#keyHolder();
    return infoOf(this.#name, this.#open().lane, shown, holder);
  }

  /** Applies the override for all keys of a limit; ignored by an unused lane. */
  follow(followed: Followed): void {
    if (this.#open().store.exists) this.change((lane, now) => lane.follow(followed, now), false);
  }

  /** Null for an unused lane. */
  async read(limit: number): Promise<LaneInfo | null> {
    if (!this.#open().store.exists) return null;
    const holder = await this.#keyHolder();
    const now = Date.now();
    this.#write(({ lane }) => lane.advance(now));
    this.#attend(now);
    return infoOf(this.#name, this.#open().lane, limit, holder);
  }

  async claim(claim: Claim): Promise<Claimed> {
    for (;;) {
      const held = this.#open().store.state.holder;
      const holds =
        held !== null && (held.runId === claim.runId || (await findHolder(this.#name, held, claim.until)) !== null);
      // Another run may have claimed it meanwhile.
      if (this.#open().store.state.holder !== held) continue;
      const { claimed, holder } = decideClaim(holds ? held : null, claim, Date.now());
      if (holder !== held) this.#save({ holder });
      this.#usedAt = Date.now();
      this.#arm();
      return claimed;
    }
  }

  release(runId: string): void {
    if (this.#open().store.state.holder?.runId === runId) this.#save({ holder: null });
  }

  /** Encrypts the author of the limit again, with the newest key. */
  rekey(): ReturnType<LaneStore["reseal"]> {
    return this.#write(({ store }) => store.reseal());
  }

  async alarm(scheduledAt: number): Promise<void> {
    this.#alarm.fired(scheduledAt);
    try {
      const now = Date.now();
      if (this.#open().store.exists) {
        this.#write(({ lane }) => lane.advance(now));
        this.#attend(now);
        const { registered } = this.#open().store.state;
        if (!registered && this.#isListed()) this.#register();
        if (now - this.#usedAt >= idleMs) await this.#tidy();
      }
    } catch (error) {
      console.error(`lane ${this.#name}: ${describe(error)}`);
      this.#alarm.arm(Date.now() + rollRetryMs);
    }
    this.#alarm.over();
  }

  #open(): Opened {
    if (this.#memory === null) {
      const store = new LaneStore(this.#ctx.storage.sql, vaultOf(this.#ctx));
      this.#memory = { store, lane: new Lane(store.state.terms, store.slots(), store, this.#code) };
    }
    return this.#memory;
  }

  #write<Value>(how: (memory: Opened) => Value): Value {
    const memory = this.#open();
    try {
      return this.#ctx.storage.transactionSync(() => how(memory));
    } catch (error) {
      this.#memory = null;
      throw error;
    }
  }

  #save(change: Partial<LaneState>): void {
    this.#write(({ store }) => store.save({ ...store.state, ...change }));
  }

  /** Makes the calls that are due, and sets the alarm for the others. */
  #attend(now: number): void {
    const { lane } = this.#open();
    for (const slot of lane.toNotify(now, atOnce - this.#calls)) this.#track(this.#grant(slot));
    for (const slot of lane.toCheck(now, atOnce - this.#calls)) this.#track(this.#check(slot));
    this.#arm();
  }

  #track(talk: Promise<void>): void {
    this.#calls++;
    const over = talk
      .finally(() => {
        this.#calls--;
      })
      .then(() => this.#attend(Date.now()))
      .catch((error: unknown) => console.error(`lane ${this.#name}: ${describe(error)}`));
    this.#ctx.waitUntil(over);
  }

  async #grant(slot: Slot): Promise<void> {
    const wanted = await grantSlot(this.#name, slot);
    this.#write(({ lane }) => lane.answered(slot, wanted, Date.now()));
  }

  async #check(slot: Slot): Promise<void> {
    const held = await holdsSlot(this.#name, slot);
    if (held === false) this.#write(({ lane }) => lane.lost(slot, Date.now()));
  }

  /** The present holder of the key. Nothing is written, because the holder may be about to claim it again. */
  async #keyHolder(): Promise<KeyHolder | null> {
    const { holder } = this.#open().store.state;
    if (holder === null) return null;
    return await findHolder(this.#name, holder, kindOf(this.#name) === "debounce" ? "begun" : "ended");
  }

  /** The roll lists lanes with slots, but not claimed keys, because reading the list would wake all their holders. */
  #isListed(): boolean {
    const { lane } = this.#open();
    return !lane.isEmpty || lane.terms.override !== null || lane.terms.followed.limit !== null;
  }

  #register(): void {
    if (this.#registering || this.#open().store.state.registered || Date.now() < this.#registerAt) return;
    this.#registering = true;
    this.#registerAt = Date.now() + rollRetryMs;
    const registered = laneRoll()
      .register(this.#name)
      .then((followed) => {
        this.#save({ registered: true });
        this.#write(({ lane }) => lane.follow(followed, Date.now()));
        this.#attend(Date.now());
      })
      .catch((error: unknown) => console.error(`lane ${this.#name} is not listed yet: ${describe(error)}`))
      .finally(() => {
        this.#registering = false;
      });
    this.#ctx.waitUntil(registered);
  }

  /** Removes a lane that has nothing to remember. */
  async #tidy(): Promise<void> {
    const [{ holder }, usedAt] = [this.#open().store.state, this.#usedAt];
    const held = await this.#keyHolder();
    // Unless the key was claimed meanwhile, also by the same run.
    if (holder !== null && held === null && this.#usedAt === usedAt) this.release(holder.runId);
    const isKnown = this.#open().store.requests(Date.now() - keyKeptMs).length > 0;
    if (this.#isListed() || this.#open().store.state.holder !== null || isKnown) {
      // Checked again after the same time, and not immediately.
      this.#usedAt = Date.now();
      return this.#arm();
    }
    if (this.#open().store.state.registered || this.#mayBeListed) {
      // A later use of the lane registers it again after this.
      this.#save({ registered: false });
      this.#registering = true;
      this.#mayBeListed = true;
      await laneRoll()
        .unregister(this.#name)
        .finally(() => {
          this.#registering = false;
        });
      this.#mayBeListed = false;
    }
    if (this.#isListed() || this.#open().store.state.holder !== null) return this.#register();
    this.#memory = null;
    await this.#ctx.storage.deleteAll();
    this.#memory = null;
    this.#alarm.gone();
  }

  #arm(): void {
    const { lane, store } = this.#open();
    if (!store.exists) return;
    const now = Date.now();
    const registerAt = this.#isListed() && !store.state.registered ? this.#registerAt : null;
    const idleAt = (this.#usedAt === 0 ? now : this.#usedAt) + idleMs;
    const wakeAt = lane.wakeAt(now);
    // At the limit of simultaneous calls, nothing can be done before one is answered.
    const dueAt = wakeAt === null || this.#calls < atOnce ? wakeAt : Math.max(wakeAt, now + fullMs);
    const times = [dueAt, registerAt, idleAt];
    this.#alarm.armBy(Math.min(...times.filter((time) => time !== null)));
  }
}
