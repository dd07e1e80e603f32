/**
 * Owns: the Durable Object of one run, as it is called by the Worker and by its alarm.
 * Does not own: anything else: it forwards to the host and turns refusals into answers.
 */
import { DurableObject } from "cloudflare:workers";
import { HoldfastError } from "../core/error.ts";
import type { HistoryPage } from "../core/run.ts";
import type { HookAnswer, HookRequest, RunAction, SignalRequest } from "../core/service.ts";
import { checkSameStart, refuseKey } from "../core/start.ts";
import type { Stored } from "../core/value.ts";
import { receiveHook } from "../engine/hook.ts";
import type { Find, Run } from "../engine/run.ts";
import { answer } from "./answer.ts";
import { Host } from "./host.ts";
import { pack } from "./parcel.ts";
import type { Answer, CheckedStart, HookAddress, Parcel, RunRpc, ValueField } from "./rpc.ts";

export type RunObjectClass = new (ctx: DurableObjectState, env: unknown) => DurableObject & RunRpc;

export function createRunObject(find: Find): RunObjectClass {
  return class RunObject extends HostedRun {
    constructor(ctx: DurableObjectState, env: unknown) {
      super(ctx, env, find);
    }
  };
}

class HostedRun extends DurableObject implements RunRpc {
  readonly #host: Host;

  constructor(ctx: DurableObjectState, env: unknown, find: Find) {
    super(ctx, env as never);
    this.#host = new Host(ctx, find);
  }

  start(request: CheckedStart): Promise<Answer<{ run: Parcel; created: boolean }>> {
    return answer(async () => {
      const { run } = this.#host;
      const { created } = run.state;
      if (created !== null) checkSameStart(created, request);
      else if (request.key !== undefined && this.ctx.storage.kv.get(boundTo) !== undefined) refuseKey();
      else create(run, request);
      this.#host.proceed();
      const waitMs = request.waitMs ?? 0;
      const snapshot = waitMs > 0 ? await this.#host.settled(waitMs) : run.snapshot();
      return { run: pack(snapshot), created: created === null };
    });
  }

  /** Keeps which run id an Idempotency-Key came with; this object stands for the key. */
  bind(id: string): Promise<Answer<null>> {
    return answer(async () => {
      const bound = this.#host.run.state.created?.id ?? this.ctx.storage.kv.get<string>(boundTo);
      if (bound !== undefined && bound !== id) refuseKey();
      if (bound === undefined) {
        this.ctx.storage.kv.put(boundTo, id);
        await this.ctx.storage.setAlarm(Date.now() + boundMs);
      }
      return null;
    });
  }

  read(waitMs: number): Promise<Answer<Parcel>> {
    return answer(async () => {
      const run = this.#existing();
      this.#host.wake();
      return pack(waitMs > 0 ? await this.#host.settled(waitMs) : run.snapshot());
    });
  }

  value(field: ValueField): Promise<Answer<Stored | null>> {
    return answer(() => this.#existing().snapshot()[field]);
  }

  history(after: number, limit: number): Promise<Answer<HistoryPage>> {
    return answer(() => {
      const { seq } = this.#existing().state;
      const entries = this.#host.journal.page(after, limit);
      const last = entries.at(-1)?.seq ?? seq;
      return { entries, next: last < seq ? last : null };
    });
  }

  signal(signal: SignalRequest, onlyIfWaiting: boolean): Promise<Answer<{ duplicate: boolean }>> {
    return answer(() => {
      this.#existing();
      return this.#host.signal(signal, onlyIfWaiting);
    });
  }

  act(action: RunAction): Promise<Answer<Parcel>> {
    return answer(async () => {
      const run = this.#existing();
      const { kind } = action;
      if (kind === "delete") return await this.#delete(run);
      run.act({ ...action, kind });
      this.#host.proceed();
      return pack(run.snapshot());
    });
  }

  hook({ call, createdAt }: HookAddress, request: HookRequest): Promise<Answer<HookAnswer>> {
    return answer(async () => {
      const { run } = this.#host;
      if (run.state.created?.at !== createdAt)
        throw new HoldfastError("webhook_not_found", "the run of this webhook is gone");
      const received = receiveHook(run, call, request);
      this.#host.proceed();
      // Whoever judges a call may take time, and the run rest meanwhile: what is accepted then needs a watch again.
      return await received.finally(() => this.#host.proceed());
    });
  }

  override async alarm(info?: AlarmInvocationInfo): Promise<void> {
    await this.#host.alarm(info);
  }

  #existing(): Run {
    const { run } = this.#host;
    if (run.state.created === null) throw new HoldfastError("run_not_found", "no run has this id");
    return run;
  }

  async #delete(run: Run): Promise<Parcel> {
    // What was too large to travel with the answer is gone with the run.
    const snapshot = { ...pack(run.snapshot()), apart: [] };
    if (run.state.end === null) throw new HoldfastError("run_not_ended", "only a run that has ended can be deleted");
    await this.#host.remove();
    return snapshot;
  }
}

const boundTo = "bound-to";
/** As long as a run is kept unless its workflow says otherwise. */
const boundMs = 30 * 24 * 3_600_000;

function create(run: Run, request: CheckedStart): void {
  const { id, workflow, version, input, sent, labels, parent, schedule, startAt, notAfter, origin, key, by } = request;
  run.create({
    id,
    workflow,
    version,
    input,
    labels,
    parent,
    schedule,
    startAt: startAt ?? null,
    notAfter: notAfter ?? null,
    origin: origin ?? null,
    by,
    ...(sent === undefined ? {} : { sent }),
    ...(key === undefined ? {} : { key }),
  });
}
