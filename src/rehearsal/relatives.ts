/**
 * Owns: messages between the runs of a rehearsal, as between their objects: starts, ends, stops, signals.
 * Does not own: their effect (engine).
 */
import { backoffMs } from "../core/backoff.ts";
import { goneError } from "../core/lifecycle/child.ts";
import { HoldfastError, hasCode } from "../core/error.ts";
import { labelsOf } from "../core/definition/label.ts";
import type { ChildPolicy } from "../core/run/origin.ts";
import { defined } from "../core/record.ts";
import { validate } from "../core/definition/schema.ts";
import type { SignalRequest } from "../core/service/service.ts";
import { isSameStart } from "../core/lifecycle/start.ts";
import { decode, encode } from "../core/value/value.ts";
import { childEnd, receiveNews } from "../engine/child/news.ts";
import { orphansOf, stopOrphan } from "../engine/child/orphans.ts";
import type { Run } from "../engine/run.ts";
import type { ChildEnd, ChildStart, ChildStarted, Children, FormerChild } from "../engine/world.ts";
import { processOf } from "./process.ts";
import type { Peers, Creation, Life, Process } from "./process.ts";
import type { Script } from "./script.ts";

const firstPauseMs = 500;
const longestPauseMs = 3_600_000;

/** What messages need: the runs, the workflows of children, and where signals to runs outside go. */
export type Relations = Pick<Peers, "clock" | "find" | "create"> & {
  readonly script: Pick<Script, "child" | "send">;
};

export class Relatives {
  readonly #relations: Relations;

  constructor(relations: Relations) {
    this.#relations = relations;
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

  /** Sends the pending messages of a run: its end to its parent, and stops to orphaned children. */
  settle(process: Process): void {
    const pending = new Map(this.#pending(process));
    // Messages that are not needed any more, because the run was retried, are dropped.
    for (const [name, { dueAt }] of process.outbox)
      if (dueAt < Infinity && !pending.has(name)) process.outbox.delete(name);
    for (const [name, send] of pending) void this.#send(process, name, send);
  }

  *#pending({ id, run, outbox }: Process): Iterable<[name: string, send: () => Promise<number | null>]> {
    const { created, end, retriedSeq } = run.state;
    const children = { stop: (child: string, policy: ChildPolicy) => this.#stop(id, child, policy) };
    for (const orphan of orphansOf(run)) {
      const name = `stop ${orphan.child.id} ${retriedSeq}`;
      const stop = async (): Promise<number | null> => {
        const againAt = await stopOrphan(run, orphan, children, (child, policy) => run.noteStopped(child, policy));
        // While the run goes on, that is on record or no longer needed: to stop the child again is a new message.
        if (againAt === null && run.state.end === null) outbox.delete(name);
        return againAt;
      };
      yield [name, stop];
    }
    if (created?.reply === undefined || created.parent === null || end === null) return;
    const { parent, reply } = created;
    const report = async (): Promise<null> => {
      const news = { ...reply, child: id, end: childEnd(end) };
      await this.#act("hear", parent.id, (run) => receiveNews(run, news));
      return null;
    };
    yield [`tell ${end.seq}`, report];
  }

  async #send(process: Process, name: string, send: () => Promise<number | null>): Promise<void> {
    const delivery = process.outbox.get(name) ?? { dueAt: 0, tries: 0 };
    process.outbox.set(name, delivery);
    const { clock } = this.#relations;
    if (delivery.dueAt > clock.at) return;
    delivery.dueAt = Infinity;
    try {
      delivery.dueAt = (await send()) ?? Infinity;
    } catch (error) {
      if (hasCode(error, "run_not_found", "run_ended")) return;
      delivery.dueAt = clock.at + backoffMs(++delivery.tries, firstPauseMs, longestPauseMs);
    }
    process.woken = true;
  }

  async #start(parent: string, request: ChildStart): Promise<ChildStarted> {
    const { workflow, id, former } = request;
    const { script } = this.#relations;
    const isOwn = ({ state }: Run): boolean => state.created?.parent?.id === parent;
    if (former !== null && (await this.#goesOn(former))) {
      const own = isOwn(processOf(this.#relations, former.child.id).run);
      return { child: former.child, existed: true, own, createdAt: null };
    }
    const definition = script.child(workflow);
    const what = `the input of ${workflow}`;
    const input = encode(await validate(definition.input, decode(request.input), "input_invalid", what), what);
    const labels = labelsOf(definition, input, request.labels);
    await this.reach("start", id);
    const before = this.#relations.find(id)?.run.state.created;
    if (before === undefined || before === null) {
      this.#create(parent, request, { version: definition.version, input, labels });
    } else if (!isSameStart(before, { workflow, input, labels })) {
      throw new HoldfastError("run_exists", `there is another run with the id ${id}`);
    }
    await this.reach("started", id);
    const { run } = processOf(this.#relations, id);
    const { createdAt } = run.snapshot();
    return { child: { id, workflow }, existed: before !== undefined, own: isOwn(run), createdAt };
  }

  #create(
    parent: string,
    { id, workflow, reply, trace }: ChildStart,
    made: Pick<Creation, "version" | "input" | "labels">,
  ): void {
    const of = processOf(this.#relations, parent).run.snapshot();
    this.#relations.create({
      ...{ id, workflow, ...made, by: `parent ${parent}` },
      parent: { id: parent, workflow: of.workflow },
      ...{ schedule: null, startAt: null, notAfter: null, origin: null },
      ...defined({ trace, reply: reply ?? undefined }),
    });
  }

  async #goesOn({ child, key, kept }: FormerChild): Promise<boolean> {
    try {
      await this.#act("retry", child.id, (run) => run.act({ kind: "retry", by: "parent", reason: null, key }));
      return true;
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
    }
    const { end, cancelling = null, ending = null } = this.#relations.find(child.id)?.run.state ?? {};
    return end?.kind === "run.completed" || (kept && end === null && cancelling === null && ending === null);
  }

  async #endOf(id: string): Promise<ChildEnd | null> {
    try {
      const { end } = await this.call("end", id, ({ state }) => state);
      return end === null ? null : childEnd(end);
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      return { kind: "failed", error: goneError };
    }
  }

  async #stop(by: string, id: string, policy: ChildPolicy): Promise<boolean> {
    if (policy === "abandon") return true;
    const action = { kind: policy, by: `parent ${by}`, parent: by, reason: null };
    try {
      await this.#act("stop", id, (run) => run.act(action));
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      return error.code !== "run_not_found";
    }
    return true;
  }

  async #signal(to: string, request: SignalRequest): Promise<void> {
    const { script } = this.#relations;
    if (this.#relations.find(to) !== undefined) {
      return await this.#act("signal", to, async (run) => void run.signal(await run.fitSignal(request)));
    }
    // A run outside of the rehearsal: the test can look at what was sent.
    await this.reach("signal", to);
    script.send(to, request);
  }

  /** A call that changes a run: it is advanced at once, and when the call is over. */
  async #act(what: string, id: string, act: (run: Run) => void | Promise<void>): Promise<void> {
    await this.call(what, id, () => processOf(this.#relations, id).visit(act));
  }

  /** A call to another run. */
  protected async call<Value>(what: string, id: string, ask: (run: Run) => Value | Promise<Value>): Promise<Value> {
    await this.reach(what, id);
    return await ask(processOf(this.#relations, id).run);
  }

  /** A message arrives a turn later. */
  protected async reach(_what: string, _id: string): Promise<void> {
    await this.#relations.clock.turn();
  }
}
