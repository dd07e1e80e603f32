/** Executes a random program of a run and its children in virtual time, with its faults. */
import { expect } from "vitest";
import type { Entry, EntryOf } from "../../src/core/history/entry.ts";
import type { Order } from "../../src/core/courier/order.ts";
import { planFork } from "../../src/core/lifecycle/fork.ts";
import { firstCreatedAt } from "../../src/core/run/origin.ts";
import { createRandom } from "../../src/core/random.ts";
import { encode } from "../../src/core/value/value.ts";
import type { Run } from "../../src/engine/run.ts";
import { Progress } from "./effects.ts";
import { Family } from "./family.ts";
import type { Process } from "./family.ts";
import { startAt } from "./host.ts";
import type { Fault, FamilyProgram } from "./familyprogram.ts";
import { isRestart } from "./lives.ts";
import { define } from "./memory.ts";
import { surroundingsOf } from "./processes.ts";
import type { Lived } from "./processes.ts";
import { interpret, newLife } from "./player.ts";
import type { Life, Surroundings } from "./player.ts";
import { SimulatedCouriers } from "./simulatedcouriers.ts";
import type { ReplyTo } from "./simulatedcouriers.ts";
import { inquire } from "./question.ts";
import type { Question } from "./question.ts";
import { payloadOf, valueOf } from "./values.ts";
import { Visitor, unlessRefused } from "./visitor.ts";
import { replyTo, requested } from "./crash.ts";

const hourMs = 3_600_000;
/** How long calls between runs take. */
const ways: readonly number[] = [0, 0, 0, 1, 40, 300, 3000];

type ObservedLife = Lived & { readonly run: Run; readonly questions: Question[] };

export class FaultyFamily {
  readonly family: Family;
  readonly program: FamilyProgram;
  /** By run, in their order. */
  readonly lived = new Map<string, ObservedLife[]>();
  /** Those of runs that were deleted, in the order of `Family.deleted`. */
  readonly buried: (readonly ObservedLife[])[] = [];
  /** Who called upon each. */
  readonly visitors = new Map<string, Visitor>();
  readonly #progress = new Map<string, Progress>();
  readonly #blows: Fault[];
  readonly #lags;
  #forks = 0;

  constructor(program: FamilyProgram) {
    this.program = program;
    this.#blows = [...program.blows];
    this.#lags = createRandom(`lags ${program.seed}`);
    const { timeoutMs } = program;
    const handler = (input: never, step: { readonly info: { readonly id: string } }): unknown => {
      const { id } = step.info;
      return interpret(program, this.#lifeOf(id), this.#around(id))(input, step as never);
    };
    this.family = new Family(define(handler, { timeoutMs }));
    this.family.wrote = (id, writes) => this.#wrote(id, writes);
    const { family } = this;
    const couriers = new SimulatedCouriers(
      {
        clock: family.clock,
        latency: () => family.clock.after(family.lag("courier")),
        loses: (what, to) => family.fails(what, to),
        reach: (id, act) => family.reach(id, act),
      },
      (id, order) => this.#request(id, order),
    );
    family.couriers = (id, isDead) => couriers.of(id, isDead);
    const network = createRandom(`network ${program.seed}`);
    let left = 12;
    this.family.lag = () => (program.seed % 2 === 0 ? 0 : (ways[Math.floor(network.next() * ways.length)] ?? 0));
    this.family.fails = () => network.next() < program.lost && left-- > 0;
  }

  /** Until all of them have ended, for good. */
  async play(): Promise<void> {
    const { family, program } = this;
    for (const { at, name, payload, key } of program.signals) {
      family.plan(startAt + at, () => this.#signal("root", name, payload, key));
    }
    for (const { at, argument } of program.asks ? program.updates : []) {
      family.plan(startAt + at, () => this.#visit("root", (visitor, run) => visitor.update(run, argument)));
    }
    family.begin("flow", { round: 0, sum: 0 }, "root");
    for (let [fed, retried] = [0, 0]; ; fed++) {
      await this.#settle();
      this.#checkStopped();
      const open = family.ids().filter((id) => family.run(id).state.end === null);
      if (open.length === 0 && retried < program.retries && family.snapshot("root").status === "failed") {
        retried++;
        family.plan(family.clock.at + 60_000, () => family.act("root", "retry"));
        continue;
      }
      if (open.length === 0) return;
      if (fed > 100) throw new Error(`stranded: ${JSON.stringify(open.map((id) => family.snapshot(id)))}`);
      for (const id of open) this.#feed(id, fed);
    }
  }

  /** Until nothing is written any more: nothing of a program takes longer. */
  async #settle(): Promise<void> {
    const { family } = this;
    const written = (): number => [...family.archives.values()].reduce((sum, { writes }) => sum + writes.length, 0);
    for (let before = -1; before !== written();) {
      before = written();
      await family.drive(family.clock.at + 31 * 24 * hourMs);
    }
  }

  /** Moves a run that only the world can move. */
  #feed(id: string, fed: number): void {
    const { family } = this;
    const { status, waitingFor } = family.snapshot(id);
    const { open, listeners } = family.run(id).state;
    family.plan(family.clock.at + hourMs, () => {
      if (status === "paused") return family.act(id, [...open].some(({ exhausted }) => exhausted) ? "retry" : "resume");
      const wait = waitingFor.find(({ kind, name, until }) => {
        return kind === "signal" && until === null && !listeners.has(name);
      });
      if (wait !== undefined) return this.#signal(id, wait.name, `fed ${fed}`, `fed ${fed}`);
      const hook = [...open].find(({ kind, until }) => kind === "webhook" && until === null);
      return hook === undefined ? undefined : this.#visit(id, (visitor, run) => visitor.call(run, hook.id, fed));
    });
  }

  #lifeOf(id: string): Life {
    const run = this.family.run(id);
    const lived = this.lived.get(id) ?? [];
    this.lived.set(id, lived);
    const last = lived.at(-1);
    if (last?.run === run) return last.life;
    const life = newLife();
    // As of now: it is called on in its first handler.
    const earlier = this.family.archives.get(id)?.entries.length ?? 0;
    lived.push({ run, life, earlier, journal: this.family.journal(id), questions: [] });
    return life;
  }

  /** Asked so many turns behind its write, if its process has not died meanwhile. */
  async #ask(id: string, turns: number): Promise<void> {
    const { family, program } = this;
    for (let turn = 0; turn <= turns; turn++) await family.clock.turn();
    const lived = this.lived.get(id)?.at(-1);
    if (!family.has(id) || lived?.run !== family.run(id) || lived.journal.closed) return;
    const own = newLife();
    const asked = define(interpret(program, own, this.#around(id)));
    const question = await inquire(family.codeOf(id), this.#progressOf(id).outcome, asked, own);
    if (question !== null) lived.questions.push(question);
  }

  #request(id: string, order: Order): ReturnType<ReplyTo> {
    const { outcome, episode } = this.#progressOf(id);
    // It may have been deleted since it asked for that.
    const sent = this.family.has(id) ? this.family.entries(id, "step.dispatched") : [];
    const attempt = sent.find(({ seq }) => seq === order.id.seq)?.attempt ?? 0;
    this.lived
      .get(id)
      ?.at(-1)
      ?.life.effects.push({ ...requested(order), attempt, outcome, episode });
    return replyTo(order, attempt + episode);
  }

  #around(id: string): Surroundings {
    const { clock } = this.family;
    const journal = this.family.journal(id);
    return surroundingsOf(
      () => ({ clock, journal }),
      () => this.#progressOf(id),
      this.#lags,
    );
  }

  #progressOf(id: string): Progress {
    const known = this.#progress.get(id) ?? new Progress();
    this.#progress.set(id, known);
    return known;
  }

  #wrote(id: string, writes: number): void {
    this.#progressOf(id).see(...(this.family.archives.get(id)?.writes.at(-1)?.entries ?? []));
    const place = [...this.family.archives.keys()].indexOf(id);
    if ((writes + this.program.seed) % 6 === 0) void this.#ask(id, writes % 3);
    for (const blow of this.#blows.filter(({ run, write }) => run === place && write === writes)) {
      this.#blows.splice(this.#blows.indexOf(blow), 1);
      if (blow.what === "death" && blow.turns === 0) this.family.at(id).die();
      else void this.#strike(id, blow);
    }
  }

  async #strike(id: string, { turns, what, write }: Fault): Promise<void> {
    const { family } = this;
    for (let turn = 0; turn <= turns; turn++) await family.clock.turn();
    if (!family.has(id) || family.journal(id).closed) return;
    await unlessRefused(async () => {
      switch (what) {
        case "death":
          return family.at(id).die();
        case "eviction":
          return this.#evict(id);
        case "restart":
          return this.#restart(id, write % 2 === 0);
        case "delete":
          return this.#delete(id, bornOf(family.run(id)));
        case "fork":
          return this.#fork(id, write);
        case "signal":
        case "heard":
          return this.#signal(id, what === "heard" ? what : "go", `struck ${write}`, `struck ${write}`);
        case "update":
          return await this.#visit(id, (visitor, run) => visitor.update(run, write));
        default:
          await family.act(id, what);
      }
    });
    if (what !== "pause") return;
    family.plan(family.clock.at + 5000, () => unlessRefused(() => family.act(id, "resume")));
  }

  /** Once it has ended, and has had stopped whom it was to stop. */
  #delete(id: string, born: number | undefined, afterMs = 1): void {
    const { family } = this;
    family.plan(family.clock.at + afterMs, () => {
      if (!family.has(id) || id === "root" || bornOf(family.run(id)) !== born) return;
      const { run, outbox } = family.at(id);
      const { end, orphans } = run.state;
      const owes = [...outbox.values()].some(({ dueAt }) => dueAt < Infinity);
      const isFree = orphans.size === 0 || (!owes && end !== null && family.clock.at > end.at + 120_000);
      if (end === null || !isFree) return afterMs > 100 * hourMs ? undefined : this.#delete(id, born, 2 * afterMs);
      family.remove(id);
      this.buried.push(this.lived.get(id) ?? []);
      this.lived.delete(id);
      this.visitors.delete(id);
      this.#progress.delete(id);
    });
  }

  /** From its start, or from one of its calls on; some of these are given another result. */
  #fork(id: string, write: number): void {
    const { family } = this;
    const { entries } = family.journal(id);
    const { rerun } = planFork(entries, { from: null, given: [] });
    const from = write % 3 === 0 ? null : (rerun[write % Math.max(1, rerun.length)] ?? null);
    const as = `fork-${++this.#forks}`;
    const given = rerun.filter((step, i) => (write + i) % 4 === 0 && isGivable(entries, step));
    const results = given.map((step) => [step, encode([step, valueOf(step)], "a result")] as const);
    family.fork(id, as, from, new Map(results));
  }

  /** From its start, or from a child on. */
  #restart(id: string, isWhole: boolean): void {
    const from = isWhole ? null : ({ id: "flow", kinds: ["child"] } as const);
    this.family.run(id).prepareRestart("1", { by: "test", reason: null }, from)();
    this.family.wake(id);
  }

  /** Where it has nothing to do, and owes nobody anything. */
  #evict(id: string): void {
    const { run, woken, ended } = this.family.at(id);
    if (run.execution?.busy === false && !woken && !ended && run.state.orphans.size === 0) this.family.evict(id);
  }

  #signal(id: string, name: string, payload: string, key: string): void {
    const request = { name, payload: encode(payloadOf(payload), "a payload"), by: "test", key };
    this.family.wake(id);
    void unlessRefused(() => this.family.run(id).signal(request));
  }

  async #visit(id: string, act: (visitor: Visitor, visited: Process) => Promise<void>): Promise<void> {
    const { family, visitors } = this;
    const visitor = visitors.get(id) ?? new Visitor();
    visitors.set(id, visitor);
    const process = family.at(id);
    process.woken = true;
    await act(visitor, process);
    process.woken = true;
  }

  /** Another run, which had waited for it too and was tried again, has it go on. */
  #goesOnForAnother(id: string, parent: string): boolean {
    const { family } = this;
    if (family.archives.get(id)?.entries.some(({ kind }) => kind === "run.retried") !== true) return false;
    const others = [...family.archives].filter(([other]) => other !== parent);
    return others.some(([, { entries }]) =>
      entries.some((entry) => entry.kind === "child.started" && entry.child.id === id),
    );
  }

  /** Nobody is left whom nobody waits for and who was to be stopped (guarantee 8). */
  #checkStopped(): void {
    const { family } = this;
    for (const id of family.ids()) {
      const { end, created, paused } = family.run(id).state;
      const parent = created?.parent?.id;
      // What a person begins once more, goes on.
      const isAnother = created !== null && isRestart(created);
      if (end !== null || paused !== null || isAnother || parent === undefined) continue;
      if (family.has(parent) && family.run(parent).state.end === null) continue;
      if (this.#goesOnForAnother(id, parent)) continue;
      // A start that was under way for seconds, of a process that died over it, has made anew what a person had deleted.
      if (family.deleted.some((one) => one.id === id)) continue;
      const started = family
        .histories(parent)
        .flatMap(({ lives }) => lives.at(-1) ?? [])
        .findLast((entry): entry is EntryOf<"child.started"> => {
          return entry.kind === "child.started" && entry.child.id === id;
        });
      if (started !== undefined) expect({ id, policy: started.policy }).toEqual({ id, policy: "abandon" });
    }
  }
}

/** A step, or a child that was waited for. */
function isGivable(entries: readonly Entry[], step: string): boolean {
  try {
    planFork(entries, { from: null, given: [step] });
    return true;
  } catch {
    return false;
  }
}

function bornOf({ state: { created } }: Run): number | undefined {
  return created === null ? undefined : firstCreatedAt(created);
}
