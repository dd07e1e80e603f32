/**
 * Owns: what runs of a rehearsal say to each other: starts, ends, stops, signals.
 * Does not own: what they make of it (engine).
 */
import { HoldfastError } from "../core/error.ts";
import { labelsOf } from "../core/label.ts";
import type { ChildPolicy } from "../core/origin.ts";
import { validate } from "../core/schema.ts";
import type { SignalRequest } from "../core/service.ts";
import { decode, encode, isSame } from "../core/value.ts";
import { childEnd, receiveNews } from "../engine/news.ts";
import type { ChildEnd, ChildStart, ChildStarted, Children, FormerChild } from "../engine/world.ts";
import { processOf } from "./process.ts";
import type { Company, Life, Process } from "./process.ts";

const firstPauseMs = 500;
const longestPauseMs = 3_600_000;

export class Kin {
  readonly #company: Company;

  constructor(company: Company) {
    this.#company = company;
  }

  /** The port of the run `id`. */
  children(id: string, life: Life): Children {
    return {
      start: (request) => life.alive(() => this.#start(id, request)),
      end: (child) => life.alive(() => this.#endOf(child)),
      stop: (child, policy) => life.alive(() => this.#stop(id, child, policy)),
      signal: (to, request) => life.alive(() => this.#signal(to, request)),
    };
  }

  /** What a run owes: news of its end to its parent, and an end to children that nobody waits for. */
  settle(process: Process): void {
    const { run } = process;
    for (const { child, policy } of run.state.orphans.values()) {
      void this.#pay(process, `stop ${child.id} ${run.state.retriedSeq}`, async () => {
        await this.#stop(process.id, child.id, policy);
        run.noteStopped(child, policy);
      });
    }
    const { created, end } = run.state;
    if (created?.reply === undefined || created.parent === null || end === null) return;
    const { parent, reply } = created;
    void this.#pay(process, `tell ${end.seq}`, async () => {
      const news = { ...reply, child: process.id, end: childEnd(end) };
      await this.#ask(parent.id, ({ run }) => receiveNews(run, news));
    });
  }

  async #pay(process: Process, name: string, pay: () => Promise<void>): Promise<void> {
    const debt = process.debts.get(name) ?? { dueAt: 0, tries: 0 };
    process.debts.set(name, debt);
    const { clock } = this.#company;
    if (debt.dueAt > clock.at) return;
    debt.dueAt = Infinity;
    try {
      await pay();
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      if (error.code === "run_not_found" || error.code === "run_ended") return;
      debt.dueAt = clock.at + Math.min(longestPauseMs, firstPauseMs * 2 ** debt.tries++);
    }
    process.woken = true;
  }

  async #start(parent: string, request: ChildStart): Promise<ChildStarted> {
    const { workflow, id, labels, reply, former, trace } = request;
    const { clock, script } = this.#company;
    const of = processOf(this.#company, parent).run.snapshot();
    const isOwn = (child: string) => processOf(this.#company, child).run.state.created?.parent?.id === parent;
    if (former !== null && (await this.#goesOn(former))) {
      return { child: former.child, existed: true, own: isOwn(former.child.id), createdAt: null };
    }
    const definition = script.child(workflow);
    const given = decode(request.input);
    const fitted = await validate(definition.input, given, "input_invalid", `the input of ${workflow}`);
    const input = encode(fitted, `the input of ${workflow}`);
    await clock.turn();
    const before = this.#company.find(id)?.run.state.created;
    if (before !== undefined && before !== null) {
      const same = before.workflow === workflow && isSame(before.input, input);
      if (!same) throw new HoldfastError("run_exists", `there is another run with the id ${id}`);
    } else {
      const own = {
        id,
        workflow,
        version: definition.version,
        input,
        labels: labelsOf(definition, input, labels),
      };
      const from = { parent: { id: parent, workflow: of.workflow }, by: `parent ${parent}`, trace };
      const rest = { schedule: null, startAt: null, notAfter: null, origin: null };
      this.#company.create({ ...own, ...from, ...rest, ...(reply === null ? {} : { reply }) });
    }
    await clock.turn();
    const { createdAt } = processOf(this.#company, id).run.snapshot();
    return { child: { id, workflow }, existed: before !== undefined, own: isOwn(id), createdAt };
  }

  async #goesOn({ child, key, kept }: FormerChild): Promise<boolean> {
    try {
      await this.#ask(child.id, ({ run }) => run.act({ kind: "retry", by: "parent", reason: null, key }));
      return true;
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
    }
    const { end } = this.#company.find(child.id)?.run.state ?? {};
    return end?.kind === "run.completed" || (kept && end === null);
  }

  async #endOf(id: string): Promise<ChildEnd | null> {
    await this.#company.clock.turn();
    const { end } = processOf(this.#company, id).run.state;
    return end === null ? null : childEnd(end);
  }

  async #stop(by: string, id: string, policy: ChildPolicy): Promise<void> {
    if (policy === "abandon") return;
    const action = { kind: policy, by: `parent ${by}`, parent: by, reason: null };
    await this.#ask(id, ({ run }) => run.act(action)).catch((error: unknown) => {
      if (!(error instanceof HoldfastError)) throw error;
    });
  }

  async #signal(to: string, request: SignalRequest): Promise<void> {
    await this.#company.clock.turn();
    // A run that is elsewhere: what it is sent can be looked at.
    if (this.#company.find(to) === undefined) return this.#company.script.send(to, request);
    await this.#ask(to, async ({ run }) => void run.signal(await run.fitSignal(request)));
  }

  /** A call to another run, which gets there a turn later. */
  async #ask(id: string, ask: (target: Process) => void | Promise<void>): Promise<void> {
    await this.#company.clock.turn();
    const target = processOf(this.#company, id);
    target.woken = true;
    try {
      await ask(target);
    } finally {
      target.woken = true;
    }
  }
}
