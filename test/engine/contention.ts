/** Runs that contend for slots of lanes, over one virtual time, with what comes upon each of them. */
import { expect } from "vitest";
import type { Order } from "../../src/core/courier/order.ts";
import { limitsOf } from "../../src/core/lane/flow.ts";
import { createRandom } from "../../src/core/random.ts";
import type { Step } from "../../src/core/definition/step.ts";
import { encode } from "../../src/core/value/value.ts";
import type { Run } from "../../src/engine/run.ts";
import { Archive } from "./archive.ts";
import type { Contender, Contention, Stroke } from "./contenders.ts";
import { Progress } from "./effects.ts";
import { act, signal } from "./host.ts";
import { define } from "./memory.ts";
import { interpret, newLife } from "./player.ts";
import type { Carried } from "./player.ts";
import { replyTo, requested } from "./crash.ts";
import { inquire } from "./question.ts";
import type { Question } from "./question.ts";
import { surroundingsOf } from "./processes.ts";
import type { Lived } from "./processes.ts";
import { LaneSimulation } from "./simulation.ts";
import type { SimulatedRun } from "./simulation.ts";
import { SimulatedCouriers } from "./simulatedcouriers.ts";
import type { ReplyTo } from "./simulatedcouriers.ts";
import { payloadOf } from "./values.ts";
import { Visitor, unlessRefused } from "./visitor.ts";
import { Workload } from "./workload.ts";

const hourMs = 3_600_000;

/** One run with all that it ever was. */
export class Contestant {
  readonly contender: Contender;
  readonly simulated: SimulatedRun;
  readonly archive = new Archive();
  readonly progress = new Progress();
  readonly lived: Lived[] = [];
  readonly visitor = new Visitor();
  deaths = 0;

  constructor(contender: Contender, simulated: SimulatedRun) {
    this.contender = contender;
    this.simulated = simulated;
  }
}

export class Contest {
  readonly contention: Contention;
  readonly simulation: LaneSimulation;
  readonly workload = new Workload();
  readonly runs = new Map<string, Contestant>();
  readonly #lags;
  readonly #strokes: Stroke[];

  constructor(contention: Contention) {
    const { seed, lost, strokes } = contention;
    this.contention = contention;
    this.simulation = new LaneSimulation(`contention ${seed}`);
    this.#lags = createRandom(`lags ${seed}`);
    this.#strokes = [...strokes];
    const network = createRandom(`network ${seed}`);
    this.simulation.loses = () => network.next() < lost;
    const couriers = new SimulatedCouriers(this.simulation, (id, order) => this.#request(id, order));
    this.simulation.couriers = (id, isDead) => couriers.of(id, isDead);
  }

  /** Until all of them have ended, for good. */
  async play(): Promise<void> {
    const { simulation, contention } = this;
    for (const [i, contender] of contention.contenders.entries()) {
      simulation.at(contender.startMs, () => this.#begin(`run-${i}`, contender));
    }
    for (let fed = 0; ; fed++) {
      await this.#settle();
      const open = [...this.runs.values()].filter(({ simulated }) => simulated.run.state.end === null);
      const retried = [...this.runs.values()].filter((run) => this.#retry(run));
      if (open.length === 0 && retried.length === 0) return;
      this.#checkParked();
      const moved = open.filter((run) => this.#feed(run, fed));
      if (fed > 100 || moved.length + retried.length === 0)
        throw new Error(`stranded: ${JSON.stringify(open.map(({ simulated }) => simulated.run.snapshot()))}`);
    }
  }

  /** Until nothing is written any more: nothing of a program takes longer. */
  async #settle(): Promise<void> {
    const { simulation, runs } = this;
    const written = (): number => [...runs.values()].reduce((sum, { archive }) => sum + archive.writes.length, 0);
    for (let before = -1; before !== written();) {
      before = written();
      await simulation.drive(simulation.now + hourMs);
    }
  }

  #begin(id: string, contender: Contender): void {
    const { program, workflow: name, flow } = contender;
    const { timeoutMs, steps, perStep } = program;
    const input = encode({ round: 0, sum: 0 }, "the input");
    const definition = define(nothing, { name, flow, timeoutMs, limits: { steps, perStep } });
    const { lanes } = limitsOf(definition, input);
    const simulated = this.simulation.add(id, definition, lanes, { workflow: name, input });
    const contestant = new Contestant(contender, simulated);
    this.runs.set(id, contestant);
    contestant.archive.see(simulated.journal, simulated.journal.entries);
    contestant.progress.see(...simulated.journal.entries);
    this.#board(id, contestant);
    this.#happen(contestant);
  }

  /** The process that it is in from now on: what it begins, and what it writes. */
  #board(id: string, { simulated, contender: { program }, archive, progress, lived }: Contestant): void {
    const { journal, definition } = simulated;
    if (definition === undefined) throw new Error(`${id} has no code`);
    const life = newLife();
    const questions: Question[] = [];
    lived.push({ life, earlier: archive.entries.length, journal, questions });
    const { clock } = this.simulation;
    const around = surroundingsOf(
      () => ({ clock, journal }),
      () => progress,
      this.#lags,
    );
    const handler = async (input: Carried, step: Step): Promise<unknown> =>
      await interpret(program, life, around)(input, this.workload.watch(simulated, step));
    simulated.definition = { ...definition, handler };
    const ask = async (turns: number): Promise<void> => {
      for (let turn = 0; turn <= turns; turn++) await clock.turn();
      if (journal.closed) return;
      const own = newLife();
      const asked = { ...definition, handler: interpret(program, own, around) };
      const question = await inquire(simulated, progress.outcome, asked, own);
      if (question !== null) questions.push(question);
    };
    journal.onAppend = (entries) => {
      archive.see(journal, entries);
      progress.see(...entries);
      if ((archive.writes.length + program.seed) % 6 === 0) void ask(archive.writes.length % 3);
      const place = [...this.runs.keys()].indexOf(id);
      for (const stroke of this.#strokes.filter(({ run, write }) => run === place && write === archive.writes.length)) {
        this.#strokes.splice(this.#strokes.indexOf(stroke), 1);
        if (stroke.what === "death" && stroke.turns === 0) journal.closed = true;
        void this.#strike(id, stroke);
      }
    };
  }

  #happen({ simulated, visitor, contender: { program }, progress: { episode } }: Contestant): void {
    const { simulation } = this;
    const plan = (offset: number, what: (run: Run) => unknown): void => {
      simulation.at(simulation.now + offset, () => simulated.act(what));
    };
    for (const { at, name, payload, key } of program.signals)
      plan(at, (run) => signal(run, name, payloadOf(payload), `${key} ${episode}`));
    for (const { at, ms } of program.pauses) {
      plan(at, (run) => unlessRefused(() => act(run, "pause")));
      plan(at + ms, (run) => unlessRefused(() => act(run, "resume")));
    }
    for (const { at, argument } of program.asks ? program.updates : [])
      plan(at, () => visitor.update(simulated, argument));
    for (const { at, webhook } of program.calls) plan(at, () => visitor.call(simulated, webhook, at));
    if (program.cancelAt !== null) plan(program.cancelAt, (run) => unlessRefused(() => act(run, "cancel")));
  }

  /** Made for the process that it is in now, if that has not died meanwhile. */
  #request(id: string, order: Order): ReturnType<ReplyTo> {
    const { simulated, progress, lived } = this.#runOf(id);
    const sent = simulated.entries("step.dispatched").find(({ seq }) => seq === order.id.seq);
    const [attempt, { outcome, episode }] = [sent?.attempt ?? 0, progress];
    lived.at(-1)?.life.effects.push({ ...requested(order), attempt, outcome, episode });
    return replyTo(order, attempt + episode);
  }

  #runOf(id: string): Contestant {
    const contestant = this.runs.get(id);
    if (contestant === undefined) throw new Error(`no run ${id}`);
    return contestant;
  }

  /** Somebody has a failed run tried again. */
  #retry(contestant: Contestant): boolean {
    const { simulated, progress, contender } = contestant;
    if (simulated.status !== "failed" || progress.episode >= contender.program.retries) return false;
    void simulated.act((run) => act(run, "retry"));
    this.#happen(contestant);
    return true;
  }

  /** Moves a run that only the world can move; false where others can. */
  #feed({ simulated, visitor }: Contestant, fed: number): boolean {
    const { paused, open, listeners } = simulated.run.state;
    if (paused !== null) {
      const isExhausted = [...open].some(({ exhausted }) => exhausted);
      void simulated.act((run) => act(run, isExhausted ? "retry" : "resume"));
      return true;
    }
    const { waitingFor } = simulated.run.snapshot();
    if (waitingFor.some(({ kind }) => kind === "lane")) return false;
    const waits = waitingFor.filter(({ kind, until }) => kind === "signal" && until === null);
    const wait = waits.find(({ name }) => !listeners.has(name));
    const hook = [...open].find(({ kind, until }) => kind === "webhook" && until === null);
    if (wait !== undefined) simulated.act((run) => signal(run, wait.name, payloadOf(`fed ${fed}`)));
    else if (hook !== undefined) void simulated.act(() => visitor.call(simulated, hook.id, fed));
    else if (waits.length > 0) void simulated.act((run) => unlessRefused(() => act(run, "cancel")));
    return wait !== undefined || hook !== undefined || waits.length > 0;
  }

  async #strike(id: string, { turns, what, write }: Stroke): Promise<void> {
    const contestant = this.runs.get(id);
    if (contestant === undefined) return;
    const { simulated, visitor } = contestant;
    const { journal } = simulated;
    for (let turn = journal.closed ? turns : 0; turn <= turns; turn++) await this.simulation.clock.turn();
    // It has died of something else.
    if (simulated.journal !== journal) return;
    if (what === "death" || what === "eviction") return this.#end(id, contestant, what);
    await unlessRefused(async () => {
      if (what === "signal" || what === "heard")
        simulated.act((run) => signal(run, what === "heard" ? what : "go", payloadOf(`struck ${write}`)));
      else if (what === "update") await simulated.act(() => visitor.update(simulated, write));
      else if (what === "call") await simulated.act(() => visitor.call(simulated, "paid", write));
      else await simulated.act((run) => act(run, what));
    });
    if (what !== "pause") return;
    this.simulation.at(this.simulation.now + 5000, () =>
      simulated.act((run) => unlessRefused(() => act(run, "resume"))),
    );
  }

  /** Its process dies, or its memory goes. */
  #end(id: string, contestant: Contestant, what: "death" | "eviction"): void {
    const { simulated } = contestant;
    const { journal } = simulated;
    const isWriting = journal.closed;
    if (what === "death") {
      contestant.deaths++;
      simulated.kill();
      // Whatever it would have come to behind that write, an alarm is set for its death.
      if (isWriting) simulated.wakeAt = this.simulation.clock.at + 1000;
    } else simulated.evict();
    if (simulated.journal !== journal) this.#board(id, contestant);
  }

  /** A run that is parked has given its slots back, but for those up to the last that it holds on to; one that has ended, all. */
  #checkParked(): void {
    if (this.contention.lost > 0) return;
    for (const [name, lane] of this.simulation.lanes) {
      for (const { ticket } of lane.holders(100)) {
        const contestant = this.runs.get(ticket.runId);
        // What a dead process held, its lane asks after once others want it.
        if (contestant === undefined || contestant.deaths > 0) continue;
        const { end, created, queued } = contestant.simulated.run.state;
        // A step whose turn came while its run was parked waits for the slots of the run.
        if (ticket.step !== null && queued.size > 0) continue;
        const needs = created?.lanes ?? [];
        const place = needs.findIndex((need) => need.lane === name);
        const isKept = end === null && place <= needs.findLastIndex(({ hold }) => hold);
        if (needs[place]?.periodMs === null) expect({ name, ticket, isKept }).toEqual({ name, ticket, isKept: true });
      }
    }
  }
}

function nothing(): void {}
