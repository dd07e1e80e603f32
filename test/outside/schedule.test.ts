/** A schedule in workerd, which delivers no cron ticks: the scheduler's own alarm does, also after a kill. */
import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "vitest";
import { build, client, ledger, runtime } from "./stage.ts";

const periodMs = 4000;
const slackMs = 500;

build("worker.ts");

test(
  "a schedule fires by its own alarm after the first call, each firing one run, also across kills (6)",
  { timeout: 300_000 },
  async () => {
    await runtime.start();
    await client.call({ method: "GET", path: "/health" });
    const down: Down[] = [];
    const told = new Set<number>();
    await firings(2);
    // In the middle of a firing, and between two; a slow machine may come too late to the one that was missed.
    for (let kills = 0; kills < 2 || (kills < 8 && !down.some(isMadeUp)); kills++) {
      const beforeMs = (kills % 2) * (periodMs / 2);
      await pause(periodMs - (Date.now() % periodMs) + periodMs - beforeMs);
      hear(told);
      await runtime.kill();
      const fromAt = Date.now();
      ledger.life++;
      await pause(periodMs * 1.5);
      // From here on nobody calls.
      down.push({ fromAt, toAt: await runtime.start() });
      await firings(2);
    }
    const slots = firedSlots();
    hear(told);

    for (const slotAt of slots) {
      const runs = new Set(ledger.effects.filter((effect) => effect.slotAt === slotAt).map(({ run }) => run));
      expect(runs.size, `runs of ${new Date(slotAt).toISOString()}`).toBe(1);
      expect(slotAt % periodMs).toBe(0);
    }
    checkMissed(slots, down, told);
    for (const run of new Set(ledger.effects.map(({ run }) => run))) {
      expect(await client.end(run)).toMatchObject({ workflow: "tick", status: "completed" });
    }
  },
);

type Down = { readonly fromAt: number; readonly toAt: number };

/** Resolves when so many more firings have been seen. */
async function firings(count: number): Promise<void> {
  const before = firedSlots().length;
  const isSeen = (): boolean => firedSlots().length >= before + count;
  await ledger.until(`${count} firings`, count * periodMs + 60_000, isSeen);
}

/** Whether a firing that was missed took place, and not only the next one. */
function isMadeUp({ fromAt, toAt }: Down): boolean {
  return (firedSlots().find((slotAt) => slotAt > fromAt) ?? Infinity) < toAt + slackMs;
}

/** In order. */
function firedSlots(): number[] {
  return [...new Set(ledger.effects.flatMap(({ slotAt }) => slotAt ?? []))].toSorted((one, other) => one - other);
}

/** Takes down which firings this life says that it missed: it came to them only when the next was due as well. */
function hear(told: Set<number>): void {
  for (const [, from = "", to = from] of runtime.tail(Infinity).matchAll(/: missed (?:from )?(\S+Z)(?: to (\S+Z))?/g)) {
    for (let slotAt = Date.parse(from); slotAt <= Date.parse(to); slotAt += periodMs) told.add(slotAt);
  }
}

/**
 * Of the firings that were missed while nothing ran the latest was made up for; all others took place. A machine
 * that stands still for a period misses one as well, which is told: such are few.
 */
function checkMissed(slots: readonly number[], down: readonly Down[], told: ReadonlySet<number>): void {
  const [first = 0, last = 0] = [slots[0], slots.at(-1)];
  const absent: number[] = [];
  for (let slotAt = first; slotAt <= last; slotAt += periodMs) if (!slots.includes(slotAt)) absent.push(slotAt);
  // A kill may come just before a firing that is due, and the scheduler a little before or after readiness.
  const isDown = (slotAt: number): boolean =>
    down.some(({ fromAt, toAt }) => slotAt > fromAt - slackMs && slotAt < toAt + slackMs);
  const others = absent.filter((slotAt) => !isDown(slotAt));
  expect(others.filter((slotAt) => !told.has(slotAt))).toEqual([]);
  expect(others.length).toBeLessThanOrEqual(slots.length / 3);
  const next = down.map(({ fromAt }) => slots.find((slotAt) => slotAt > fromAt) ?? Infinity);
  for (const [index, { fromAt, toAt }] of down.entries()) {
    const beforeMs = toAt - (next[index] ?? Infinity);
    console.log(`schedule: down for ${toAt - fromAt} ms; the next firing was that of ${beforeMs} ms before ready`);
  }
  const late = down.filter(({ toAt }, index) => (next[index] ?? Infinity) >= toAt + slackMs);
  expect(late.length, "the latest firing that was missed is made up for").toBeLessThan(down.length);
  const latest = late.map(({ toAt }) => Math.floor(toAt / periodMs) * periodMs);
  expect(latest.filter((slotAt) => !told.has(slotAt))).toEqual([]);
}
