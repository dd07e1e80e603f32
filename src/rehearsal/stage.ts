/**
 * Owns: the runs of a rehearsal: the process that they are in, which may die, and its virtual time.
 * Does not own: a run's behaviour (engine), messages between runs (relatives), the calls of the test (control).
 * Invariant 1: virtual time passes only on request, and never while work is under way in real time.
 * Invariant 2: a run is advanced again only when it rests, at a deadline that it named, or after an event from outside, as by
 * a Durable Object: so a forgotten wake-up shows.
 */
import type { Definition } from "../core/definition/definition.ts";
import type { Entry } from "../core/history/entry.ts";
import { HoldfastError } from "../core/error.ts";
import type { Find } from "../engine/drive.ts";
import { Run } from "../engine/run.ts";
import { onlyDeployment } from "../engine/world.ts";
import type { World } from "../engine/world.ts";
import { substitute } from "./substitution.ts";
import { ManualClock, pauseFor } from "./clock.ts";
import { hookUrl } from "./hook.ts";
import { MemoryJournal } from "./journal.ts";
import { Relatives } from "./relatives.ts";
import { Mutex } from "./mutex.ts";
import { couriers } from "./courier.ts";
import { RehearsalError } from "./error.ts";
import { Life, Process, processOf } from "./process.ts";
import type { Peers, Creation } from "./process.ts";
import type { Script } from "./script.ts";

/** A commit of one run, and when; `anew`: it replaced all entries before. */
export type Commit = {
  readonly id: string;
  readonly texts: readonly string[];
  readonly anew: boolean;
  readonly at: number;
};

/** Limits of rounds without time passing, and of steps of time: beyond these, the runs would never come to rest. */
const maxRounds = 100_000;
const maxWakes = 10_000;
/** How often time may pass without any commit: then only parents ask for their children. */
const idleWakes = 25;
/** How long a handler without open calls may wait in real time for a promise of its own. */
const graceMs = 10;
const longestNapMs = 50;

export class Stage implements Peers {
  readonly clock: ManualClock;
  readonly script: Script;
  /** Every commit of every run, in order. */
  readonly log: Commit[];
  /** Serialises the calls of the test. */
  readonly mutex = new Mutex();
  life = new Life();
  #processes = new Map<string, Process>();
  readonly #relatives = new Relatives(this);

  /** @param log the commits of an earlier process */
  constructor(script: Script, at: number, log: readonly Commit[] = []) {
    this.script = script;
    this.clock = new ManualClock(at);
    this.log = [...log];
    this.#reopen();
  }

  get ids(): string[] {
    return [...this.#processes.keys()];
  }

  find(id: string): Process | undefined {
    return this.#processes.get(id);
  }

  create(creation: Creation): void {
    this.#open(creation.id, []).run.create(creation);
  }

  /** The process dies with all that it had in memory; a new one begins with the commits. */
  die(): void {
    this.life.dead = true;
    for (const { journal } of this.#processes.values()) journal.closed = true;
    this.life = new Life();
    this.#reopen();
  }

  /**
   * Lets everything happen that can without time passing.
   * @param isOver a condition that has to hold as well
   * @throws RehearsalError if a step takes too long in real time, and for wrong use
   */
  async settle(isOver: () => boolean = () => true): Promise<void> {
    let [pauseMs, pausedMs] = [0, 0];
    for (let rounds = 0; rounds < maxRounds; rounds++) {
      for (const process of [...this.#processes.values()]) if (process.woken) this.#advance(process);
      await this.clock.idle();
      if (this.script.misuse !== null) throw this.script.misuse;
      if ([...this.#processes.values()].some(({ woken }) => woken)) {
        [pauseMs, pausedMs] = [0, 0];
        continue;
      }
      const isQuiet = this.#atWork.length === 0 && isOver();
      if (isQuiet && (pausedMs >= graceMs || !this.#mayResume())) return;
      if (!isQuiet && pausedMs >= this.script.patienceMs) throw this.#impatient();
      await pauseFor(pauseMs);
      pausedMs += pauseMs;
      pauseMs = Math.min(longestNapMs, 2 * pauseMs + 1);
    }
    throw new RehearsalError("the runs go on without end, and no time passes");
  }

  /** Lets time pass until this instant, with everything that is due on the way. */
  async pass(until: number): Promise<void> {
    await this.settle();
    while (this.#nextAt <= until) await this.#wake();
    this.clock.set(Math.max(this.clock.at, until));
    await this.settle();
  }

  /** Lets time pass until `isOver`; false if that never happens by itself. */
  async passUntil(isOver: () => boolean): Promise<boolean> {
    await this.settle();
    let [idle, known] = [0, this.log.length];
    for (let wakes = 0; !isOver(); wakes++) {
      if (wakes > maxWakes)
        throw new RehearsalError(`the run has woken ${maxWakes} times and goes on: use skip for one that never ends`);
      if (this.#nextAt === Infinity || idle > idleWakes) return false;
      await this.#wake();
      idle = this.log.length === known ? idle + 1 : 0;
      known = this.log.length;
    }
    return true;
  }

  get #nextAt(): number {
    let first = this.clock.nextAt;
    for (const { dueAt } of this.#processes.values()) first = Math.min(first, dueAt);
    return first;
  }

  async #wake(): Promise<void> {
    this.clock.set(Math.max(this.#nextAt, this.clock.at));
    for (const process of this.#processes.values()) if (process.dueAt <= this.clock.at) process.woken = true;
    await this.settle();
  }

  #advance(process: Process): void {
    process.advance(this.clock.at);
    this.#relatives.settle(process);
  }

  /** Whether a handler may be waiting for a promise of its own, because it has no open calls. */
  #mayResume(): boolean {
    return [...this.#processes.values()].some(({ run, ended }) => {
      if (ended || run.state.startedAt === null || run.state.paused !== null) return false;
      return run.glance().waitingFor.length === 0;
    });
  }

  /** Work in real time: functions of steps, schemas, and other promises of handlers. */
  get #atWork(): string[] {
    const elsewhere = [...this.#processes.values()].filter(({ run: { state, execution } }) => {
      // A handler that was cancelled is given up after some virtual time.
      if (state.end !== null || state.paused !== null || state.cancelling !== null) return false;
      return execution?.course.over === false && execution.awaitsItsOwn;
    });
    const own = elsewhere.map(
      ({ run }) => `what the handler of ${run.state.created?.workflow} awaits besides its steps`,
    );
    const validating = [...this.#processes.values()].filter(({ run: { execution } }) => {
      return execution?.course.over === false && execution.course.validations.count > 0;
    });
    const schemas = validating.map(({ run }) => `a schema of ${run.state.created?.workflow}`);
    return [...this.life.atWork.values(), ...own, ...schemas];
  }

  #impatient(): RehearsalError {
    const work = this.#atWork.join(", ") || "what was asked of the run";
    const why = `${work} took more than ${this.script.patienceMs} ms of real time`;
    return new RehearsalError(`${why}: replace it (with hang, where it is to come to its timeout), or set patience`);
  }

  #reopen(): void {
    const journals = new Map<string, string[]>();
    for (const { id, texts, anew } of this.log) journals.set(id, [...(anew ? [] : (journals.get(id) ?? [])), ...texts]);
    this.#processes.clear();
    for (const [id, commits] of journals) this.#open(id, commits);
  }

  #open(id: string, commits: readonly string[]): Process {
    const { life } = this;
    const journal = new StageJournal(commits, (texts, anew) => {
      this.log.push({ id, texts, anew, at: this.clock.at });
    });
    const roles = new Map<Definition, Definition>();
    const find: Find = (name, version) => {
      const definition = this.script.find(name);
      if (definition === undefined || (version !== null && definition.version !== version)) return undefined;
      const role = roles.get(definition) ?? substitute(definition, this.script, life);
      roles.set(definition, role);
      return role;
    };
    const process = new Process(id, journal, new Run(journal, this.#world(id), find));
    this.#processes.set(id, process);
    return process;
  }

  #world(id: string): World {
    return {
      clock: this.clock,
      deployment: onlyDeployment,
      hookUrl: (call) => Promise.resolve(hookUrl({ run: id, call, createdAt: beginningOf(runOf(this, id)) })),
      children: this.#relatives.children(id, this.life),
      couriers: couriers(this, this.life),
    };
  }
}

/** A journal that reports every commit. */
class StageJournal extends MemoryJournal {
  readonly #onCommit: (texts: readonly string[], anew: boolean) => void;

  constructor(commits: readonly string[], told: (texts: readonly string[], anew: boolean) => void) {
    super(commits);
    this.#onCommit = told;
  }

  override append(entries: readonly Entry[]): void {
    const before = this.commits.length;
    super.append(entries);
    if (this.commits.length > before) this.#onCommit(this.commits.slice(before), false);
  }

  override restart(entries: readonly Entry[]): void {
    super.restart(entries);
    if (!this.closed) this.#onCommit([...this.commits], true);
  }
}

/** Epoch ms; no two incarnations of a run have the same. */
export function beginningOf({ state }: Run): number {
  return state.created?.at ?? 0;
}

/** @throws RehearsalError if the rehearsal has no such run */
export function runOf(stage: Stage, id: string): Run {
  try {
    return processOf(stage, id).run;
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    throw new RehearsalError(`${error.message}; there are ${stage.ids.join(", ")}`);
  }
}
