/**
 * Owns: one lane in its object: its memory, its one alarm, when runs are told that a slot is granted, when holders are
 * asked whether they still hold theirs, and registering with the roll of lanes.
 * Does not own: who is next (core/lane), how it looks (core/lanes), how it is stored (store/lanes), speaking to runs
 * (holder).
 *
 * Invariants
 * 1. Memory and storage change together or not at all: what throws in between gives the memory up.
 * 2. A slot is granted in storage before its holder is told, and the message is sent until answered.
 * 3. Whenever there is something to do later, an alarm is set for then or before; it never throws,
 *    and is never set at or before now.
 * 4. The roll is told beside the lane's work, never before it.
 */
import { decideClaim } from "../core/claim.ts";
import type { KeyHolder } from "../core/claim.ts";
import { Lane } from "../core/lane.ts";
import { infoOf } from "../core/lanes.ts";
import type { OverrideRequest, LaneInfo } from "../core/lanes.ts";
import type { CodeTerms, Followed, Slot } from "../core/slot.ts";
import { kindOf } from "../core/ticket.ts";
import type { Claim, Claimed } from "../core/ticket.ts";
import { LaneStore } from "../store/lanes.ts";
import type { LaneState } from "../store/lanes.ts";
import { laneRoll } from "./address.ts";
import { Alarm } from "./alarm.ts";
import { askHolder, askHolds, tellGranted } from "./holder.ts";
import { vaultOf } from "./keys.ts";
import { describe, within } from "./patience.ts";

/** Longer than any healthy call of the roll takes. */
const rollLimitMs = 30_000;
/** Messages and questions under way at once. */
const atOnce = 50;
/** When to look again where that many do not answer. */
const fullMs = 5_000;
/** How long an unused lane is remembered. */
const idleMs = 3_600_000;
/** Holders and waiters in an answer that nobody asked them for. */
const shown = 20;
/** How long a request for a limit is known by its key. */
const keyKeptMs = 86_400_000;
/** When the roll is tried again. */
const rollRetryMs = 5_000;

type Memory = { readonly lane: Lane; readonly store: LaneStore };

export class Keeper {
  readonly #ctx: DurableObjectState;
  readonly #name: string;
  readonly #code: CodeTerms | null;
  #memory: Memory | null = null;
  #talks = 0;
  #registering = false;
  #registerAt = 0;
  /** The roll could not be told that it is forgotten, and may have its name. */
  #lingers = false;
  #usedAt = 0;
  readonly #alarm: Alarm;

  /** @param code what this deployment says of the lane; null where it does not name it */
  constructor(ctx: DurableObjectState, name: string, code: CodeTerms | null) {
    this.#ctx = ctx;
    this.#alarm = new Alarm(ctx.storage);
    this.#name = name;
    this.#code = code;
  }

  /** One change of the lane, with all that follows from it. @param listed it is one the roll must know */
  change<Value>(how: (lane: Lane, now: number) => Value, listed: boolean): Value {
    const now = Date.now();
    this.#usedAt = now;
    const value = this.#write(({ lane }) => how(lane, now));
    this.#attend(now);
    if (listed) this.#register();
    return value;
  }

  /** The limit that counts instead of the code's; null for the code's. Answers null where its key came with another. */
  async override(limit: number | null, request?: OverrideRequest, key?: string): Promise<LaneInfo | null> {
    const { store } = this.#open();
    const since = Date.now() - keyKeptMs;
    const known = key === undefined ? undefined : store.requests(since, key)[0];
    if (known !== undefined && known.limit !== limit) return null;
    // Nothing to go back from: a lane that nobody has used stays so.
    if (known === undefined && (limit !== null || key !== undefined || store.exists)) {
      this.change((lane, now) => {
        lane.override(limit, now, request);
        if (key !== undefined) store.remember({ key, limit, at: now }, since);
      }, limit !== null);
    }
    const holder = await this.#keyHolder();
    return infoOf(this.#name, this.#open().lane, shown, holder);
  }

  /** The override of all keys of this one's kind; of no use to a lane that is forgotten. */
  follow(followed: Followed): void {
    if (this.#open().store.exists) this.change((lane, now) => lane.follow(followed, now), false);
  }

  /** Null for a lane that nobody has used. */
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
        held !== null && (held.runId === claim.runId || (await askHolder(this.#name, held, claim.until)) !== null);
      // Somebody else may have claimed it meanwhile.
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

  /** Seals who set the limit anew, with the newest key. */
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
      this.#memory = null;
      this.#alarm.arm(Date.now() + rollRetryMs);
    }
    this.#alarm.over();
  }

  #open(): Memory {
    if (this.#memory === null) {
      const store = new LaneStore(this.#ctx.storage.sql, vaultOf(this.#ctx));
      this.#memory = { store, lane: new Lane(store.state.terms, store.slots(), store, this.#code) };
    }
    return this.#memory;
  }

  #write<Value>(how: (memory: Memory) => Value): Value {
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

  /** Tells and asks whom it is time to tell and ask, and sees to it that the rest comes in its time. */
  #attend(now: number): void {
    const { lane } = this.#open();
    for (const slot of lane.toNotify(now, atOnce - this.#talks)) this.#talk(this.#tell(slot));
    for (const slot of lane.toAsk(now, atOnce - this.#talks)) this.#talk(this.#ask(slot));
    this.#arm();
  }

  #talk(talk: Promise<void>): void {
    this.#talks++;
    const over = talk
      .finally(() => {
        this.#talks--;
      })
      .then(() => this.#attend(Date.now()))
      .catch((error: unknown) => console.error(`lane ${this.#name}: ${describe(error)}`));
    this.#ctx.waitUntil(over);
  }

  async #tell(slot: Slot): Promise<void> {
    const wanted = await tellGranted(this.#name, slot);
    this.#write(({ lane }) => lane.answered(slot, wanted, Date.now()));
  }

  async #ask(slot: Slot): Promise<void> {
    const held = await askHolds(this.#name, slot);
    if (held === false) this.#write(({ lane }) => lane.lost(slot, Date.now()));
  }

  /** Who has the key, asked now. Nothing is written: it may be about to claim it again. */
  async #keyHolder(): Promise<KeyHolder | null> {
    const { holder } = this.#open().store.state;
    if (holder === null) return null;
    return await askHolder(this.#name, holder, kindOf(this.#name) === "debounce" ? "begun" : "ended");
  }

  /** Slots are what the roll lists, not keys that are claimed: who looks at the list would wake all their runs. */
  #isListed(): boolean {
    const { lane } = this.#open();
    return !lane.isEmpty || lane.terms.override !== null || lane.terms.followed.limit !== null;
  }

  #register(): void {
    if (this.#registering || this.#open().store.state.registered || Date.now() < this.#registerAt) return;
    this.#registering = true;
    this.#registerAt = Date.now() + rollRetryMs;
    this.#arm();
    const registered = within(laneRoll().register(this.#name), rollLimitMs)
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

  /** Removes a lane of which nothing must be remembered any more. */
  async #tidy(): Promise<void> {
    const [{ holder }, usedAt] = [this.#open().store.state, this.#usedAt];
    const held = await this.#keyHolder();
    // It may have been claimed meanwhile, also by the same run.
    if (holder !== null && held === null && this.#usedAt === usedAt) this.release(holder.runId);
    const isKnown = this.#open().store.requests(Date.now() - keyKeptMs).length > 0;
    if (this.#isListed() || this.#open().store.state.holder !== null || isKnown) {
      // Looked at again in as long, and not at once.
      this.#usedAt = Date.now();
      return this.#arm();
    }
    if (this.#open().store.state.registered || this.#lingers) {
      // Whoever comes from here on registers it again, after this.
      this.#save({ registered: false });
      this.#registering = true;
      this.#lingers = true;
      await within(laneRoll().unregister(this.#name), rollLimitMs).finally(() => {
        this.#registering = false;
      });
      this.#lingers = false;
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
    // While as many are spoken to as may be, nothing can be done at once; whoever answers makes room.
    const dueAt = wakeAt === null || this.#talks < atOnce ? wakeAt : Math.max(wakeAt, now + fullMs);
    const times = [dueAt, registerAt, idleAt];
    this.#alarm.armBy(Math.min(...times.filter((time) => time !== null)));
  }
}
