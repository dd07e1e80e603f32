/** Runs that share lanes, of every kind there is, and whatever comes upon each of them. */
import { expect, onTestFinished, test, vi } from "vitest";
import { Contest } from "./contention.ts";
import type { Contestant } from "./contention.ts";
import { makeContention } from "./contenders.ts";
import { checkUndone } from "./effects.ts";
import { checkLives } from "./lives.ts";
import { checkProcesses, checkPublished } from "./processes.ts";

const programs = Number(process.env["CRASH_PROGRAMS"] ?? 170);
const firstSeed = Number(process.env["CRASH_SEED"] ?? 1);

/** @returns how many processes died */
async function check(seed: number): Promise<number> {
  const contest = new Contest(makeContention(seed));
  await contest.play();
  for (const contestant of contest.runs.values()) checkRun(contestant);
  expect(contest.workload.excess).toEqual([]);
  checkRates(contest);
  return [...contest.runs.values()].reduce((deaths, { deaths: own }) => deaths + own, 0);
}

/** How long a message may take, there and back. */
const latencyMs = 10;

/** No more begin in a period than may. */
function checkRates({ runs, simulation, contention: { lost } }: Contest): void {
  for (const [name, { terms }] of lost > 0 ? [] : simulation.lanes) {
    const begun = [...runs.values()].flatMap(({ archive: { entries } }) => {
      const [created] = entries;
      const isLimited = created?.kind === "run.created" && created.lanes?.some(({ lane }) => lane === name);
      const started = entries.find(({ kind }) => kind === "run.started");
      return isLimited && started !== undefined ? [started.at] : [];
    });
    begun.sort((one, other) => one - other);
    const { limit, periodMs } = terms;
    if (limit === null || periodMs === null) continue;
    for (const [i, at] of begun.slice(limit).entries())
      expect(at - (begun[i] ?? 0)).toBeGreaterThanOrEqual(periodMs - latencyMs);
  }
}

function checkRun({ archive: { lives, entries }, lived, visitor, simulated }: Contestant): void {
  visitor.check(entries);
  checkLives(lives);
  checkProcesses(entries, lived);
  const effects = lived.flatMap(({ life }) => life.effects);
  checkUndone(entries, effects, simulated.run.state);
  const last = lived.at(-1);
  if (last !== undefined) checkPublished(lives, last.life, simulated.run);
}

test("guarantees 2, 3, 4, 8: runs that share lanes survive what comes upon each", { timeout: 3_600_000 }, async () => {
  // What a webhook's author throws is told there.
  const told = vi.spyOn(console, "error").mockReturnValue();
  onTestFinished(() => told.mockRestore());
  let deaths = 0;
  for (let seed = firstSeed; seed < firstSeed + programs; seed++) {
    try {
      deaths += await check(seed);
    } catch (error) {
      throw new Error(`seed ${seed} fails: CRASH_SEED=${seed} CRASH_PROGRAMS=1 tries it alone`, { cause: error });
    }
  }
  // Of a few programs it may be that hardly any dies.
  expect(deaths).toBeGreaterThan(programs < 50 ? -1 : programs / 4);
});
