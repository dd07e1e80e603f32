/**
 * Owns: the calls of a rehearsal by its test.
 * Does not own: the runs and their time (stage), repeating the calls after deaths (crash).
 */
import { readReason } from "../core/author.ts";
import { checkSignal } from "../core/definition/payload.ts";
import { toMs } from "../core/duration.ts";
import type { Duration } from "../core/duration.ts";
import { reviveError } from "../core/error.ts";
import { checkName } from "../core/name.ts";
import { isPlain } from "../core/option.ts";
import type { RunSnapshot, RunStatus, Waiting } from "../core/run/run.ts";
import type { RunAction } from "../core/service/service.ts";
import { decode, encode } from "../core/value/value.ts";
import { checkIncarnation, receiveHook } from "../engine/wait/hook.ts";
import { receiveUpdate } from "../engine/ask/update.ts";
import { workflowName } from "../engine/call/invocation.ts";
import { crashEverywhere } from "./crash.ts";
import type { Interaction } from "./crash.ts";
import { RehearsalError, checkKnown } from "./error.ts";
import { readHookUrl } from "./hook.ts";
import type { CrashOptions, HistoryEntry, HookCall, HookReply, Rehearsal } from "./rehearsal.ts";
import { beginningOf, runOf } from "./stage.ts";
import type { Stage } from "./stage.ts";
import { legible, standing, toBody } from "./view.ts";

const by = "rehearsal";

export class RehearsalControl<Output> implements Rehearsal<Output> {
  readonly id: string;
  readonly #stage: Stage;
  /** All calls so far, in order. */
  readonly #interactions: Interaction[];

  constructor(stage: Stage, id: string, interactions: Interaction[]) {
    this.id = id;
    this.#stage = stage;
    this.#interactions = interactions;
  }

  get #snapshot(): RunSnapshot {
    return runOf(this.#stage, this.id).snapshot();
  }

  get status(): RunStatus {
    return this.#snapshot.status;
  }

  get output(): Output | null {
    const { output } = this.#snapshot;
    return output === null ? null : (decode(output) as Output);
  }

  get error(): Rehearsal["error"] {
    const { error } = this.#snapshot;
    return error === null ? null : reviveError(error);
  }

  get waitingFor(): readonly Waiting[] {
    return this.#snapshot.waitingFor;
  }

  get reason(): string | null {
    return this.#snapshot.reason;
  }

  get progress(): unknown {
    const { progress } = this.#snapshot;
    return progress === null ? null : decode(progress);
  }

  get labels(): Readonly<Record<string, string>> {
    return this.#snapshot.labels;
  }

  get history(): readonly HistoryEntry[] {
    return this.#stage.find(this.id)?.journal.entries.map(legible) ?? [];
  }

  get sent(): Rehearsal["sent"] {
    return this.#stage.script.sent;
  }

  get now(): Date {
    return new Date(this.#stage.clock.at);
  }

  async signal(name: string, payload?: unknown): Promise<void> {
    const stored = encode(payload, `the payload of signal ${checkName(name, "signal")}`);
    await this.#act(async (stage, key) => {
      const run = runOf(stage, this.id);
      run.signal(await run.fitSignal(checkSignal({ name, payload: stored, key, by })));
    });
  }

  async call(webhook: string, call: HookCall = {}): Promise<HookReply> {
    checkName(webhook, "webhook");
    checkKnown(call, ["method", "headers", "query", "body"], "call");
    const { method = "POST", headers = {}, query = {}, body } = call;
    if (!isPlain(headers) || !isPlain(query))
      throw new RehearsalError("call: headers and query must be objects of texts");
    if (typeof method !== "string") throw new RehearsalError("call: method must be text, such as POST");
    const [type, bytes] = toBody(body);
    const typed = type === null ? {} : { "content-type": type };
    const sent = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
    const address = readHookUrl(webhook) ?? { run: this.id, call: webhook, createdAt: null, query: {} };
    const request = { method, headers: { ...typed, ...sent }, query: { ...address.query, ...query }, body: bytes };
    let { createdAt } = address;
    return await this.#act(async (stage) => {
      const run = runOf(stage, address.run);
      // A name means the present incarnation of the run, also when the call is made once more after a death.
      checkIncarnation(run, (createdAt ??= beginningOf(run)));
      return await receiveHook(run, address.call, request);
    }, address.run);
  }

  query<Result>(name: string): Promise<Result> {
    return this.#stage.mutex.take(async () => {
      checkName(name, "query");
      const answer = await runOf(this.#stage, this.id).replica().answer(name);
      if (answer.kind === "failed") throw reviveError(answer.error);
      return decode(answer.result) as Result;
    });
  }

  async update<Result>(name: string, argument?: unknown): Promise<Result> {
    const stored = encode(argument, `the argument of update ${checkName(name, "update")}`);
    return await this.#act(async (stage, key) => {
      const request = { name, argument: stored, key, by };
      const { end } = await during(
        stage,
        receiveUpdate(runOf(stage, this.id), request, () => true),
      );
      let isOver = false;
      const answered = end.finally(() => (isOver = true));
      answered.catch(() => {});
      if (!(await stage.passUntil(() => isOver))) throw stuck(stage, this.id, `update ${name} is not answered`);
      const answer = await answered;
      if (answer.kind === "open") throw stuck(stage, this.id, `update ${name} is not answered`);
      if (answer.kind === "failed") throw reviveError(answer.error);
      return decode(answer.result) as Result;
    });
  }

  cancel(reason?: string): Promise<void> {
    return this.#move("cancel", reason);
  }

  terminate(reason?: string): Promise<void> {
    return this.#move("terminate", reason);
  }

  pause(reason?: string): Promise<void> {
    return this.#move("pause", reason);
  }

  resume(reason?: string): Promise<void> {
    return this.#move("resume", reason);
  }

  retry(reason?: string): Promise<void> {
    return this.#move("retry", reason);
  }

  skip(duration: Duration): Promise<void> {
    return this.#stage.mutex.take(async () => {
      await this.#stage.pass(this.#stage.clock.at + toMs(duration, "skip"));
      await this.settle();
    });
  }

  end(): Promise<void> {
    return this.#stage.mutex.take(async () => {
      const { reason } = this.#snapshot;
      const run = () => runOf(this.#stage, this.id);
      if (!(await this.#stage.passUntil(() => run().state.end !== null))) {
        throw stuck(this.#stage, this.id, `run ${this.id} does not end by itself`, reason);
      }
      await this.settle();
    });
  }

  async result(): Promise<Output> {
    await this.end();
    const { error, output } = this;
    if (error !== null) throw error;
    return output as Output;
  }

  child<ChildOutput>(workflow: string | { readonly name: string }, n = 0): Rehearsal<ChildOutput> {
    const name = workflowName(workflow);
    const children = this.#stage.ids.filter((id) => {
      const { created } = runOf(this.#stage, id).state;
      return created?.workflow === name && created.parent !== null;
    });
    const id = children[n];
    if (id === undefined) throw new RehearsalError(`${children.length} children of workflow ${name} were started`);
    return new RehearsalControl<ChildOutput>(this.#stage, id, this.#interactions);
  }

  crash(): Promise<void> {
    return this.#stage.mutex.take(async () => {
      this.#stage.die();
      await this.settle();
    });
  }

  crashEverywhere(options: CrashOptions = {}): Promise<{ readonly deaths: number }> {
    return this.#stage.mutex.take(async () => {
      checkKnown(options, ["compare"], "crashEverywhere");
      const { compare = standing } = options;
      if (typeof compare !== "function") throw new RehearsalError("crashEverywhere: compare must be a function");
      await this.settle();
      const view = (stage: Stage): unknown => compare(new RehearsalControl(stage, this.id, []));
      return { deaths: await crashEverywhere(this.#stage, this.#interactions, view) };
    });
  }

  /** Lets everything happen that can without time passing. */
  async settle(): Promise<void> {
    await this.#stage.settle();
    const states = this.#stage.ids.map((id) => runOf(this.#stage, id).state);
    this.#stage.script.checkUsed((workflow) =>
      states.filter(({ created }) => created?.workflow === workflow).map(({ end }) => end?.kind ?? null),
    );
  }

  async #move(kind: Exclude<RunAction["kind"], "delete">, given?: string): Promise<void> {
    const reason = readReason(given);
    await this.#act(async (stage, key) => {
      await runOf(stage, this.id).act({ kind, by, reason, key });
    });
  }

  /** Makes a call of the run and remembers it, so that it can be repeated after a death, with the same key. */
  #act<Value>(ask: (stage: Stage, key: string) => Promise<Value>, id = this.id): Promise<Value> {
    return this.#stage.mutex.take(() => this.#actNow(ask, id));
  }

  async #actNow<Value>(ask: (stage: Stage, key: string) => Promise<Value>, id: string): Promise<Value> {
    await this.#stage.settle();
    const key = `${by} ${this.#interactions.length + 1}`;
    const perform = (stage: Stage): Promise<Value> => {
      const asked = (): Promise<Value> => ask(stage, key);
      return during(stage, stage.find(id)?.visit(asked) ?? asked());
    };
    const act: Interaction = { at: this.#stage.clock.at, upTo: Infinity, refusal: null, perform };
    this.#interactions.push(act);
    try {
      return await perform(this.#stage);
    } catch (error) {
      if (error instanceof Error) act.refusal = error;
      throw error;
    } finally {
      act.upTo = this.#stage.log.length;
      await this.settle();
    }
  }
}

/** Waits for the promise, while letting everything else happen. */
async function during<Value>(stage: Stage, work: Promise<Value>): Promise<Value> {
  let isOver = false;
  const done = work.finally(() => (isOver = true));
  done.catch(() => {});
  await stage.settle(() => isOver);
  return await done;
}

function stuck(stage: Stage, id: string, what: string, reason = runOf(stage, id).snapshot().reason): RehearsalError {
  return new RehearsalError(`${what}: ${reason ?? "nothing moves it"}`);
}
