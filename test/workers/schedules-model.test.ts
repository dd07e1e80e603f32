/**
 * Schedules made by requests against a plain reference: what happens to one is drawn from a seed, every
 * thing in a life of its own, and after each the runs that were ever started must be the same.
 */
import { describe, expect, it, vi } from "vitest";
import { createRandom } from "../../src/core/random.ts";
import { firingRunId } from "../../src/core/schedule/schedule.ts";
import type { Overlap } from "../../src/core/service/schedules.ts";
import { live, minuteMs, never, noon, useScheduler, World } from "./world.ts";
import type { Scheduler } from "./world.ts";

useScheduler();

type Pattern = { readonly cron: string; readonly fits: (minute: number) => boolean };

const patterns: readonly Pattern[] = [
  { cron: "* * * * *", fits: () => true },
  { cron: "*/5 * * * *", fits: (minute) => minute % 5 === 0 },
  { cron: "7,37 * * * *", fits: (minute) => minute === 7 || minute === 37 },
  { cron: "0-20/2 * * * *", fits: (minute) => minute <= 20 && minute % 2 === 0 },
  { cron: "0 * * * *", fits: (minute) => minute === 0 },
];
const overlaps: readonly Overlap[] = [
  "skip",
  "buffer-one",
  "buffer-all",
  "cancel-other",
  "terminate-other",
  "allow-all",
];

/** What docs/schedules.md says, with lists and loops only. */
class Reference {
  pattern: Pattern;
  overlap: Overlap;
  paused = false;
  readonly started = new Set<string>();
  readonly catchUpMs: number;
  readonly pauseOnFailure: boolean;
  #seenAt: number;
  #resumedAt: number;
  #lastAt = 0;
  #queue: number[] = [];
  /** Slots whose start has not been acknowledged. */
  #owed: number[] = [];
  #going = new Set<string>();
  readonly #lost = new Set<string>();

  constructor(pattern: Pattern, overlap: Overlap, catchUpMs: number, pauseOnFailure: boolean, now: number) {
    this.pattern = pattern;
    this.overlap = overlap;
    this.catchUpMs = catchUpMs;
    this.pauseOnFailure = pauseOnFailure;
    this.#seenAt = now;
    this.#resumedAt = now;
  }

  slots(fromAt: number, untilAt: number): number[] {
    const slots: number[] = [];
    for (let at = Math.ceil(fromAt / minuteMs) * minuteMs; at < untilAt; at += minuteMs) {
      if (this.pattern.fits(new Date(at).getUTCMinutes())) slots.push(at);
    }
    return slots;
  }

  /** With `crash`, the process dies in the starts: before the runs exist, or before anybody knows. */
  look(now: number, crash: "before" | "after" | null = null): void {
    for (const id of this.#lost) this.#going.delete(id);
    if (this.paused) return;
    const slot = this.slots(Math.max(this.#seenAt, this.#lastAt + 1), now + 1).at(-1);
    if (slot !== undefined) {
      this.#lastAt = slot;
      if (now - slot <= Math.max(this.catchUpMs, 1_000)) this.#take(slot);
    }
    if (this.#stops) this.#queue = this.#queue.slice(-1);
    if (this.#stops && this.#queue.length > 0) {
      this.#going.clear();
      this.#owed = [];
    }
    const free = this.#going.size === 0 && this.#owed.length === 0;
    this.#owed.push(...this.#queue.splice(0, this.overlap === "allow-all" ? Infinity : free ? 1 : 0));
    if (crash !== "before") for (const owed of this.#owed) this.started.add(idOf(owed));
    if (crash !== null) return;
    for (const owed of this.#owed.splice(0)) this.#begin(idOf(owed));
  }

  /** A start waits to be made again, or a run to be asked whether it goes on. */
  get waits(): boolean {
    return this.#owed.length > 0 || [...this.#going].some((id) => this.#lost.has(id));
  }

  get #stops(): boolean {
    return this.overlap === "cancel-other" || this.overlap === "terminate-other";
  }

  #take(slot: number): void {
    const going = this.#going.size + this.#owed.length + this.#queue.length;
    if (this.overlap === "skip" && going > 0) return;
    if (this.overlap === "buffer-one" && this.#queue.length > 0) return;
    this.#queue.push(slot);
  }

  #begin(id: string): void {
    this.#going.add(id);
  }

  trigger(id: string): void {
    this.started.add(id);
    this.revive(id);
  }

  /** Set going by hand, for the first time or again. */
  revive(id: string): void {
    this.#lost.delete(id);
    this.#begin(id);
  }

  /** Removed, and made again under the same id: what waited is gone, and what goes on is in the way as before. */
  remake(pattern: Pattern, overlap: Overlap, now: number): void {
    this.#queue = [];
    this.#owed = [];
    this.paused = false;
    this.#seenAt = now;
    this.#resumedAt = now;
    this.pattern = pattern;
    this.overlap = overlap;
    this.look(now);
  }

  end(id: string, failed: boolean, now: number): void {
    this.#going.delete(id);
    this.#owed = this.#owed.filter((slot) => idOf(slot) !== id);
    if (failed && this.pauseOnFailure && now > this.#resumedAt) this.paused = true;
    if (this.#queue.length > 0) this.look(now);
  }

  /** The scheduler finds out when it asks. */
  lose(id: string): void {
    this.#lost.add(id);
  }

  change(pattern: Pattern, overlap: Overlap, now: number): void {
    if (pattern.cron !== this.pattern.cron) this.#seenAt = now;
    this.pattern = pattern;
    this.overlap = overlap;
    this.look(now);
  }

  resume(now: number): void {
    if (!this.paused) return;
    this.paused = false;
    this.#seenAt = now;
    this.#resumedAt = now;
    this.look(now);
  }
}

const idOf = (slotAt: number): string => firingRunId("modelled", slotAt);
const asked = { by: "admin", reason: null };

/** One schedule, its world and its reference, and everything that may happen to them. */
class Play {
  readonly world = new World();
  /** What happened, for who reads a failure. */
  readonly story: string[] = [];
  readonly #random;
  readonly #reference: Reference;
  #now = noon - 30_000;
  /** The latest it ever was. */
  #latestAt = this.#now;
  #triggers = 0;

  constructor(seed: number) {
    this.#random = createRandom(`modelled ${seed}`);
    const catchUpMs = this.#pick([0, 90_000, 60 * minuteMs]);
    const pauseOnFailure = this.#random.next() < 0.5;
    this.#reference = new Reference(this.#pick(patterns), this.#pick(overlaps), catchUpMs, pauseOnFailure, this.#now);
    this.#setClock(this.#now);
  }

  async begin(): Promise<void> {
    const { pattern, overlap, catchUpMs, pauseOnFailure } = this.#reference;
    this.#tell(`made: ${pattern.cron} ${overlap} ${catchUpMs} ${pauseOnFailure}`);
    await live(this.world, async (scheduler) => {
      const made = await scheduler.create(this.#request(pattern, overlap));
      expect(made).toMatchObject({ ok: true, value: { created: true } });
    });
  }

  #request(pattern: Pattern, overlap: Overlap) {
    const { catchUpMs: catchUp, pauseOnFailure } = this.#reference;
    return { id: "modelled", workflow: "report", cron: pattern.cron, overlap, pauseOnFailure, catchUp, ...asked };
  }

  async step(): Promise<void> {
    this.#setClock(this.#now + 2_000 + this.#below(8) * 1_000);
    // Little happens to a schedule that is paused, or in whose way an old run is.
    if (this.#reference.paused && this.#random.next() < 0.3) return await this.#toggle();
    const what = this.#random.next();
    if (what < 0.3) await this.#advance();
    else if (what < 0.5) await this.#end();
    else if (what < 0.56) await this.#lose();
    else if (what < 0.64) await this.#toggle();
    else if (what < 0.74) await this.#change();
    else if (what < 0.78) await this.#back();
    else if (what < 0.92) await this.#crash(this.#pick(["before", "after"]));
    else if (what < 0.94) await this.#trigger();
    else if (what < 0.96) await this.#revive();
    else if (what < 0.975) await this.#remake();
    else await this.#backfill(this.#random.next() < 0.5);
  }

  async #advance(): Promise<void> {
    this.#setClock(this.#now + this.#below(4) * this.#pick([30_000, minuteMs, 7 * minuteMs]));
    this.#tell("look");
    await this.#check(async (scheduler) => {
      this.#reference.look(this.#now);
      await scheduler.tick();
    });
  }

  async #end(): Promise<void> {
    const running = [...this.world.running];
    const id = this.#random.next() < 0.6 ? running.at(-1) : this.#pick(running);
    if (id === undefined) return;
    const failed = this.#random.next() < 0.3;
    this.#tell(`${id} ${failed ? "failed" : "completed"}`);
    this.#finish(id, failed);
    await this.#check(async (scheduler) => {
      this.#reference.end(id, failed, this.#now);
      const end = { status: failed ? "failed" : "completed", at: this.#now } as const;
      await scheduler.ended({ id: "modelled", at: 0 }, id, end);
      // Reports may come twice.
      await scheduler.ended({ id: "modelled", at: 0 }, id, end);
    });
  }

  /** A run ends and its report does not come; the next look is late enough for every check. */
  async #lose(): Promise<void> {
    const id = this.#pick([...this.world.running]);
    if (id === undefined) return;
    this.#tell(`${id} completed, unreported`);
    this.#finish(id, false);
    this.#setClock(this.#latestAt + 301_000);
    await this.#advance();
  }

  #finish(id: string, failed: boolean): void {
    this.world.running.delete(id);
    this.world.ended.set(id, { status: failed ? "failed" : "completed", finishedAt: this.#now });
    // Whatever is reported: a slot that waits may have its run already, by a backfill, and that has ended.
    this.#reference.lose(id);
  }

  async #toggle(): Promise<void> {
    const paused = !this.#reference.paused;
    if (!paused) {
      this.#setClock(this.#now + this.#below(20) * minuteMs);
      if (this.#random.next() < 0.5) await this.#end();
    }
    this.#tell(paused ? "paused" : "resumed");
    await this.#check(async (scheduler) => {
      if (paused) this.#reference.paused = true;
      else this.#reference.resume(this.#now);
      expect(await scheduler.change("modelled", { paused, ...asked })).toMatchObject({ ok: true });
    });
  }

  async #change(): Promise<void> {
    const [pattern, overlap] = [this.#pick(patterns), this.#pick(overlaps)];
    this.#tell(`changed: ${pattern.cron} ${overlap}`);
    await this.#check(async (scheduler) => {
      this.#reference.change(pattern, overlap, this.#now);
      expect(await scheduler.change("modelled", { cron: pattern.cron, overlap, ...asked })).toMatchObject({ ok: true });
    });
  }

  /** The clock is set back; not while something waits for its time, which then takes a while longer. */
  async #back(): Promise<void> {
    if (this.#reference.waits) return;
    this.#setClock(this.#now - this.#below(240) * 1_000);
    this.#tell("clock set back");
    await this.#check(async (scheduler) => {
      this.#reference.look(this.#now);
      await scheduler.tick();
    });
  }

  async #crash(how: "before" | "after"): Promise<void> {
    if (this.#random.next() < 0.7) await this.#end();
    this.#setClock(this.#latestAt + this.#below(10) * minuteMs);
    this.#tell(`died ${how} its starts`);
    this.#reference.look(this.#now, how);
    await this.#die(how, (scheduler) => scheduler.tick());
    this.#compare();
  }

  /** The process dies in the first start that is made. */
  async #die(how: "before" | "after", act: (scheduler: Scheduler) => Promise<unknown>): Promise<void> {
    let hang = (): void => undefined;
    const hung = new Promise<void>((resolve) => (hang = resolve));
    this.world[how] = () => {
      hang();
      return never();
    };
    await live(this.world, async (scheduler) => {
      await Promise.race([act(scheduler), hung]);
      await turn();
    });
    this.world[how] = () => undefined;
  }

  async #trigger(): Promise<void> {
    const token = `T${++this.#triggers}`;
    this.#tell(`triggered ${token}`);
    await this.#check(async (scheduler) => {
      const answer = await scheduler.trigger("modelled", { token, ...asked });
      if (!answer.ok) throw new Error(answer.refusal.code);
      const { runId } = answer.value;
      this.world.runs.add(runId);
      this.world.running.add(runId);
      this.#reference.trigger(runId);
      this.#reference.look(this.#now);
    });
  }

  /** A run that has ended is retried. */
  async #revive(): Promise<void> {
    const id = this.#pick([...this.world.ended.keys()]);
    if (id === undefined) return;
    this.#tell(`${id} retried`);
    await this.#check(async (scheduler) => {
      this.world.ended.delete(id);
      this.world.running.add(id);
      await scheduler.revived({ id: "modelled", at: 0 }, id);
      this.#reference.revive(id);
      await scheduler.tick();
      this.#reference.look(this.#now);
    });
  }

  async #remake(): Promise<void> {
    const [pattern, overlap] = [this.#pick(patterns), this.#pick(overlaps)];
    this.#tell(`removed and made again: ${pattern.cron} ${overlap}`);
    await this.#check(async (scheduler) => {
      expect(await scheduler.remove("modelled", asked)).toMatchObject({ ok: true });
      expect(await scheduler.create(this.#request(pattern, overlap))).toMatchObject({ value: { created: true } });
      this.#reference.remake(pattern, overlap, this.#now);
    });
  }

  /** Of some of the time that has passed, and a little of that to come. */
  async #backfill(dies: boolean): Promise<void> {
    const fromAt = this.#now - this.#below(90) * minuteMs;
    const untilAt = fromAt + 1 + this.#below(100) * 37_000;
    this.#tell(`backfill from ${new Date(fromAt).toISOString()} to ${new Date(untilAt).toISOString()} ${dies}`);
    const slots = this.#reference.slots(fromAt, Math.min(untilAt, this.#now + 1));
    this.#reference.look(this.#now);
    const act = async (scheduler: Scheduler): Promise<void> => {
      const answer = await scheduler.backfill("modelled", { fromAt, untilAt, ...asked });
      expect(answer).toEqual({ ok: true, value: { firings: slots.length } });
    };
    await live(this.world, (scheduler) => scheduler.tick());
    if (dies) {
      await this.#die("before", async (scheduler) => {
        await act(scheduler);
        await turn();
      });
      this.#setClock(this.#latestAt + 2_000);
    }
    for (const slot of slots) this.#reference.started.add(idOf(slot));
    await this.#check(async (scheduler) => {
      if (!dies) await act(scheduler);
      this.#reference.look(this.#now);
      await scheduler.tick();
      await expect.poll(() => openBackfills(scheduler), { interval: 2 }).toBe(0);
    });
  }

  async #check(act: (scheduler: Scheduler) => Promise<void>): Promise<void> {
    await live(this.world, async (scheduler) => {
      await act(scheduler);
      await turn();
      const found = await scheduler.find("modelled", 0);
      expect({ story: this.story, paused: found.ok && found.value.paused !== null }).toEqual({
        story: this.story,
        paused: this.#reference.paused,
      });
    });
    this.#compare();
  }

  #compare(): void {
    const [runs, started] = [this.world.runs, this.#reference.started].map((ids) => [...ids].toSorted());
    expect({ story: this.story, started: runs }).toEqual({ story: this.story, started });
  }

  #setClock(at: number): void {
    this.#now = at;
    this.#latestAt = Math.max(this.#latestAt, at);
    vi.setSystemTime(at);
  }

  #tell(what: string): void {
    this.story.push(`${new Date(this.#now).toISOString()} ${what}`);
  }

  #pick<Value>(from: readonly Value[]): Value {
    return from[this.#below(from.length)] as Value;
  }

  #below(limit: number): number {
    return Math.floor(this.#random.next() * limit);
  }
}

async function openBackfills(scheduler: Scheduler): Promise<number> {
  const found = await scheduler.find("modelled", 0);
  return found.ok ? found.value.backfills.length : 0;
}

/** Everything that waits for nothing outside is done. */
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

/** Where a firing came between the request to trigger a run and its beginning, it started beside it. */
const found = [1126, 1166, 1293, 1356];

/** Where its overlap changed while several of its runs were open, and the newest ended before the others. */
const changed = [75, 137, 177, 233];

describe("guarantee 6: whatever happens to a schedule, the slots of a plain reference are started, each once", () => {
  it.each([...Array.from({ length: 40 }, (_, seed) => seed), ...found, ...changed])("seed %i", async (seed) => {
    vi.spyOn(console, "warn").mockReturnValue();
    const play = new Play(seed);
    await play.begin();
    for (let step = 0; step < 60; step += 1) await play.step();
  });
});
