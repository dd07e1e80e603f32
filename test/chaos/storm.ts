/** The chaos itself: a Worker that is killed again and again while runs of all kinds go on, and then is looked at. */
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Client } from "../outside/client.ts";
import { each } from "../outside/concurrency.ts";
import { Ledger } from "../outside/ledger.ts";
import { Runtime } from "../outside/runtime.ts";
import type { Life } from "../outside/runtime.ts";
import { auditFirings, auditLanes, auditPlanned, auditRun, hasCrashed, read } from "./audit.ts";
import type { Ended } from "./audit.ts";
import { auditListing } from "./listing.ts";
import { Driver } from "./drive.ts";
import type { Sight } from "./drive.ts";
import { planLife, planRun } from "./plan.ts";
import type { LifePlan, RunPlan } from "./plan.ts";

export type Goal = {
  /** It goes on until there were so many of each. */
  readonly kills: number;
  readonly runs: number;
  /** And no longer than until then, epoch ms. */
  readonly until: number;
};

export type Violation = { readonly run: string; readonly what: string; readonly evidence: unknown };

export type Figures = {
  readonly kills: number;
  readonly deployments: number;
  readonly jumps: number;
  readonly planned: number;
  readonly children: number;
  readonly firings: number;
  readonly effects: number;
  /** Effects of attempts that a kill interrupted, made once more. */
  readonly repeated: number;
  /** Runs in which a step was cut off by five deaths in a row and rightly held to be their cause. */
  readonly crashed: number;
  /** Calls that got no answer from a dying Worker and were made again. */
  readonly recalled: number;
  /** On average. */
  readonly inFlightAtKill: number;
  readonly entries: number;
};

/** Runs that a life begins with, where there is a number of lives to share them out. */
const runsPerLife = 4;
/** A life that is not brief has this many effects, however slow the machine. */
const minEffects = 8;
/** By then what was interrupted has been taken up again. */
const resumeMs = 1500;
/** Longer than any step takes. */
const calmMs = 600;
const laneLimit = 2;

export class Storm {
  readonly #seed: string;
  readonly #say: (line: string) => void;
  readonly #ledger: Ledger;
  readonly #runtime: Runtime;
  readonly #client: Client;
  readonly #driver: Driver;
  readonly #begun: RunPlan[] = [];
  readonly #driving = new Set<string>();
  readonly #sights: Sight[] = [];
  readonly #violations: Violation[] = [];
  #life = 0;
  #kills = 0;
  #deployments = 0;
  #jumps = 0;
  #planned = 0;
  #aheadMs = 0;
  #inFlight = 0;
  #crashed = 0;

  private constructor(seed: string, say: (line: string) => void, ledger: Ledger, runtime: Runtime) {
    this.#seed = seed;
    this.#say = say;
    this.#ledger = ledger;
    this.#runtime = runtime;
    this.#client = new Client(runtime.origin, 300_000);
    this.#driver = new Driver(this.#client, ledger);
  }

  static async open(seed: string, say: (line: string) => void): Promise<Storm> {
    const ledger = await Ledger.open();
    const runtime = await Runtime.build(join(import.meta.dirname, "worker.ts"), { LEDGER: ledger.url });
    return new Storm(seed, say, ledger, runtime);
  }

  async close(): Promise<void> {
    await this.#runtime.discard();
    await this.#ledger.close();
  }

  /** Lets it rage, then calm down, and looks at everything. */
  async rage(goal: Goal): Promise<{ figures: Figures; violations: readonly Violation[] }> {
    const perLife = Number.isFinite(goal.kills) ? Math.max(1, Math.ceil(goal.runs / goal.kills)) : runsPerLife;
    await this.#start(planLife(this.#seed, 0));
    while ((this.#kills < goal.kills || this.#planned < goal.runs) && Date.now() < goal.until) {
      this.#begin(this.#planned < goal.runs ? perLife : 0);
      await this.#live(planLife(this.#seed, this.#life), this.#life % 4 === 0);
      this.#inFlight += this.#begun.filter((plan) => !this.#hasEnded(plan)).length;
      await this.#runtime.kill();
      this.#kills++;
      this.#life++;
      await this.#start(planLife(this.#seed, this.#life));
      if (this.#kills % 25 === 0)
        this.#say(`${this.#kills} kills, ${this.#planned} runs, ${this.#driving.size} driven`);
    }
    return await this.#calm();
  }

  async #start({ code, fresh, jumpMs }: LifePlan): Promise<void> {
    if (fresh) this.#deployments++;
    if (jumpMs !== 0) this.#jumps++;
    this.#aheadMs += jumpMs;
    const life: Life = {
      variables: { LIFE: String(this.#life), CODE: code },
      deployment: `deployment-${this.#deployments}`,
      aheadMs: this.#aheadMs,
    };
    await this.#runtime.start(life);
  }

  #begin(count: number): void {
    for (let made = 0; made < count; made++) {
      const plan = planRun(this.#seed, this.#planned++);
      this.#begun.push(plan);
      this.#driving.add(plan.id);
      this.#driver
        .drive(plan)
        .then((sight) => this.#sights.push(sight))
        .catch((error: unknown) => this.#failed(plan, error))
        .finally(() => this.#driving.delete(plan.id));
    }
  }

  /** @param calm it is given the time to do what deaths keep interrupting, or steps would rightly be held to be their cause */
  async #live({ ms, brief }: LifePlan, calm: boolean): Promise<void> {
    const own = () => this.#ledger.effects.length - before;
    const before = this.#ledger.effects.length;
    const beganAt = Date.now();
    for (const giveUpAt = Date.now() + 8000; !brief && own() < minEffects && Date.now() < giveUpAt;) await pause(10);
    if (calm)
      await this.#quiet(
        20_000,
        () => Date.now() - Math.max(beganAt + resumeMs, this.#ledger.effects.at(-1)?.at ?? 0) > calmMs,
      );
    await pause(ms);
    if (this.#runtime.isOver) this.#fault("", "the process ended by itself", this.#runtime.tail());
  }

  /** From here on nothing dies, and all code is there: everything comes to its end, and nobody asks it to. */
  async #calm(): Promise<{ figures: Figures; violations: readonly Violation[] }> {
    this.#say("calm: everything is to end by itself");
    await this.#runtime.kill();
    this.#life++;
    await this.#start({ ...planLife(this.#seed, 0), code: "both", fresh: false, jumpMs: 0 });
    await this.#quiet(240_000, () => this.#driving.size === 0);
    for (const id of this.#driving) this.#fault(id, "(4) what it was asked was not answered", null);
    await this.#quiet(60_000, () => this.#unfinished().length === 0);
    for (const id of this.#unfinished()) {
      const ended = await this.#read(id);
      if (ended !== null && !hasCrashed(ended)) this.#fault(id, "(4) it did not go on by itself", ended);
    }
    this.#say("calm: everything is looked at");
    const { children, entries } = await this.#auditRuns();
    const firings = await this.#auditFirings();
    for (const what of auditLanes(this.#ledger.effects, laneLimit)) this.#fault("", what, null);
    const known = new Set([...this.#sights.map(({ plan }) => plan.id), ...children]);
    for (const what of await auditListing(this.#client, known)) this.#fault("", what, null);
    return { figures: this.#figures(children.size, firings, entries), violations: this.#violations };
  }

  async #quiet(withinMs: number, isDone: () => boolean): Promise<void> {
    for (const giveUpAt = Date.now() + withinMs; !isDone() && Date.now() < giveUpAt;) await pause(100);
  }

  /** Runs that tell the ledger of their end, and have not. One whose code was gone looks for it ever more rarely. */
  #unfinished(): string[] {
    return this.#sights
      .filter(({ plan }) => plan.input.end !== "park" && plan.workflow !== "pinned" && !this.#hasEnded(plan))
      .map(({ plan }) => plan.id);
  }

  /** As far as the ledger knows. */
  #hasEnded({ id, input }: RunPlan): boolean {
    return new Set(this.#ledger.of(id, "end").map(({ key }) => key)).size > input.rounds;
  }

  async #auditRuns(): Promise<{ children: Set<string>; entries: number }> {
    const children = new Set<string>();
    let entries = 0;
    await each(this.#sights, async (sight) => {
      const ended = await this.#read(sight.plan.id);
      if (ended === null) return;
      entries += ended.entries.length;
      if (hasCrashed(ended)) this.#crashed++;
      for (const what of auditPlanned(sight, ended)) this.#fault(sight.plan.id, what, { sight, ...ended });
      for (const child of childrenOf(ended)) children.add(child);
    });
    for (let next = [...children]; next.length > 0;) {
      const found: string[] = [];
      await each(next, async (id) => {
        const ended = await this.#read(id);
        if (ended === null) return;
        entries += ended.entries.length;
        for (const what of auditRun(ended)) this.#fault(id, what, ended);
        found.push(...childrenOf(ended).filter((child) => !children.has(child)));
      });
      for (const child of found) children.add(child);
      next = found;
    }
    return { children, entries };
  }

  async #auditFirings(): Promise<number> {
    const effects = this.#ledger.effects.filter(({ slotAt }) => slotAt !== null);
    for (const what of auditFirings(effects)) this.#fault("", what, null);
    const runs = [...new Set(effects.map(({ run }) => run))];
    await each(runs, async (id) => {
      const ended = await this.#read(id);
      if (ended !== null) for (const what of auditRun(ended)) this.#fault(id, what, ended);
    });
    if (runs.length === 0) this.#fault("", "(6) no schedule fired", null);
    return runs.length;
  }

  async #read(id: string): Promise<Ended | null> {
    try {
      return await read(this.#client, this.#ledger, id);
    } catch (error) {
      this.#fault(id, `(1) ${String(error)}`, this.#ledger.of(id));
      return null;
    }
  }

  /** What a run that has ended is asked for, it refuses. */
  async #failed(plan: RunPlan, error: unknown): Promise<void> {
    const ended = await read(this.#client, this.#ledger, plan.id).catch(() => null);
    if (ended !== null && hasCrashed(ended)) this.#sights.push({ plan, updates: new Map(), seen: [], wrong: [] });
    else this.#fault(plan.id, `(1) ${String(error)}`, { plan, ...ended });
  }

  #fault(run: string, what: string, evidence: unknown): void {
    this.#say(`VIOLATION ${run}: ${what}`);
    this.#violations.push({ run, what, evidence });
  }

  #figures(children: number, firings: number, entries: number): Figures {
    const { effects } = this.#ledger;
    const attempts = new Set(effects.map(({ key, attempt }) => `${key} ${attempt}`)).size;
    return {
      kills: this.#kills,
      deployments: this.#deployments,
      jumps: this.#jumps,
      planned: this.#sights.length,
      children,
      firings,
      effects: effects.length,
      repeated: effects.length - attempts,
      crashed: this.#crashed,
      recalled: this.#client.repeated,
      inFlightAtKill: Math.round(this.#inFlight / Math.max(1, this.#kills)),
      entries,
    };
  }
}

function childrenOf({ entries }: Ended): string[] {
  return entries.flatMap(({ kind, child }) => (kind === "child.started" && child !== undefined ? [child.id] : []));
}
