/**
 * Owns: the methods of the Durable Object of one run: it reads the memory, calls the host, and converts refusals to answers.
 * Does not own: their implementation; objects of this class that are not runs (auxiliary).
 * Long because it has every method of the object.
 */
import type { DurableObject } from "cloudflare:workers";
import type { RequestMetadata } from "../../core/author.ts";
import type { DebouncedStart } from "../../core/lane/debounce.ts";
import { isEnd } from "../../core/history/end.ts";
import type { Entry } from "../../core/history/entry.ts";
import { HoldfastError, hasCode } from "../../core/error.ts";
import { planFork } from "../../core/lifecycle/fork.ts";
import type { ForkCut } from "../../core/lifecycle/fork.ts";
import { isKeyName } from "../../core/run/key.ts";
import { noticeOf } from "../../core/notice/notice.ts";
import type { Order, OrderId } from "../../core/courier/order.ts";
import type { StepRef } from "../../core/lifecycle/restart.ts";
import type { HistoryPage, Made } from "../../core/run/run.ts";
import type { HookAnswer, HookRequest } from "../../core/service/hooks.ts";
import type {
  ForkPreview,
  ForkRequest,
  QueryAnswer,
  RunAction,
  SignalRequest,
  UpdateAnswer,
  UpdateRequest,
} from "../../core/service/service.ts";
import type { Ticket } from "../../core/lane/ticket.ts";
import type { Story, Timeline, Window } from "../../core/timeline/timeline.ts";
import type { Stored } from "../../core/value/value.ts";
import { receiveAnswer, repeatOrder } from "../../engine/courier/dispatch.ts";
import type { OrderNews } from "../../engine/courier/dispatch.ts";
import { checkIncarnation, lookAtHook, receiveHook, revokeHook } from "../../engine/wait/hook.ts";
import { receiveNews } from "../../engine/child/news.ts";
import type { ChildNews } from "../../engine/child/news.ts";
import type { Find } from "../../engine/drive.ts";
import type { Run } from "../../engine/run.ts";
import { isCourier } from "../address.ts";
import { Marks } from "../start/marks.ts";
import { AuxiliaryObject } from "./auxiliary.ts";
import { exportOf, linesOf } from "../transfer/export.ts";
import { acknowledge, answer } from "../answer.ts";
import { calleeHeader, isOther, refuseOthers } from "../callee.ts";
import { Queries, takeUpdate } from "./ask.ts";
import type { StartRun } from "../start/preparation.ts";
import { Control } from "./control.ts";
import { startFork } from "./fork.ts";
import { fitted, readHistory } from "./history.ts";
import { Host } from "./host.ts";
import { importText } from "../transfer/import.ts";
import { Intake } from "./intake.ts";
import { digestOf } from "../deployment/digest.ts";
import { newestKey } from "../deployment/keys.ts";
import { logDelivery } from "../deployment/logline.ts";
import { Memory } from "./memory.ts";
import { meterCalls } from "../meter.ts";
import { pack } from "../packing.ts";
import { authorLimit } from "../patience.ts";
import { drawTimeline, tellStory } from "./timeline.ts";
import { hookUrl } from "../webhook/token.ts";
import type { Answer } from "../answer.ts";
import type { HolderRpc } from "../rpc/lane.ts";
import type {
  Arrival,
  Callee,
  ExportPage,
  ExportPlan,
  PageRequest,
  HookAddress,
  PackedRun,
  RunRpc,
  ValueField,
} from "../rpc/run.ts";
import type { CheckedStart, Recalled, Recording, RepeatedStart, Restart, StartClue } from "../rpc/start.ts";
import type { Resealing } from "../../store/reseal.ts";

export type RunObjectClass = new (ctx: DurableObjectState, env: unknown) => DurableObject & RunRpc & HolderRpc;

export function createRunObject(find: Find, startRun: StartRun): RunObjectClass {
  return class RunObject extends HostedRun {
    constructor(ctx: DurableObjectState, env: unknown) {
      super(ctx, env, find, startRun);
    }
  };
}

class HostedRun extends AuxiliaryObject implements RunRpc, HolderRpc {
  static {
    refuseOthers(this.prototype, (object) => object.#memory.id);
    meterCalls(this.prototype, (object) => object.#memory.meter);
  }

  readonly #memory: Memory;
  readonly #host: Host;
  readonly #marks: Marks;
  readonly #intake: Intake;
  readonly #control: Control;
  readonly #queries = new Queries();
  readonly #find: Find;
  readonly #startRun: StartRun;

  constructor(ctx: DurableObjectState, env: unknown, find: Find, startRun: StartRun) {
    super(ctx, env);
    this.#memory = new Memory(ctx, find, startRun);
    this.#host = new Host(ctx, this.#memory);
    this.#marks = new Marks(ctx.storage);
    this.#intake = new Intake(ctx.storage, this.#memory, this.#host, this.#marks);
    this.#control = new Control(ctx.id.name ?? "", this.#memory, this.#host, this.#marks);
    this.#find = find;
    this.#startRun = startRun;
  }

  start(request: CheckedStart): Promise<Answer<Made<PackedRun>>> {
    return answer(() => this.#intake.take(request));
  }

  repeat(request: RepeatedStart): Promise<Answer<PackedRun | null>> {
    return answer(() => this.#intake.repeat(request));
  }

  died(): Promise<void> {
    this.#host.noteDeath();
    return Promise.resolve();
  }

  /** In the object of an Idempotency-Key: stores the run id that was given with the key. */
  bind(id: string): Promise<Answer<{ isNew: boolean }>> {
    return answer(async () => ({ isNew: await this.#marks.bind(id, this.#memory.run.state.created?.id) }));
  }

  unbind(id: string): Promise<Answer<null>> {
    return acknowledge(() => this.#marks.unbind(id, this.#memory.run.state.created?.id));
  }

  recall(start: StartClue | null): Promise<Answer<Recalled>> {
    return answer(async () => {
      // First, because a run may be made here meanwhile.
      const digest = start === null ? "" : await digestOf(start.token, 16);
      if (this.#memory.run.state.created !== null) return { kind: "decided" };
      return start === null ? { kind: "new" } : this.#marks.recall(start, digest);
    });
  }

  remember(answering: Recording): Promise<Answer<Recalled>> {
    return answer(async () => {
      const digest = await digestOf(answering.token, 16);
      if (this.#memory.run.state.created !== null) return { kind: "decided" };
      return await this.#marks.remember(answering, digest);
    });
  }

  debounce(start: DebouncedStart, waitMs: number): Promise<Answer<PackedRun | null>> {
    return answer(() => this.#intake.debounce(start, waitMs));
  }

  debounced(token: string, waitMs: number): Promise<Answer<PackedRun | null>> {
    return answer(() => this.#intake.debounced(token, waitMs));
  }

  read(waitMs: number): Promise<Answer<PackedRun>> {
    return answer(async () => {
      // A lane that checks whether the run still has its key must see the result of a retry in progress.
      await this.#control.decided;
      this.#memory.existing();
      await this.#host.view.woken();
      if (waitMs > 0) await this.#host.view.settled(waitMs);
      return pack(await this.#host.view.located());
    });
  }

  granted(lane: string, ticket: Ticket, turn: number): Promise<Answer<boolean>> {
    return answer(() => {
      const wanted = this.#memory.existing().lanes.granted(lane, ticket, turn);
      if (wanted) this.#host.proceed();
      return wanted;
    });
  }

  holds(lane: string, ticket: Ticket, turn: number): Promise<Answer<boolean>> {
    return answer(() => {
      const holds = this.#memory.existing().lanes.holds(lane, ticket, turn);
      if (holds) this.#host.wake();
      return holds;
    });
  }

  value(field: ValueField): Promise<Answer<Stored | null>> {
    return answer(() => this.#memory.existing().snapshot()[field]);
  }

  history(after: number, limit: number): Promise<Answer<HistoryPage>> {
    return answer(() => readHistory(this.#memory, after, limit));
  }

  timeline(window: Window): Promise<Answer<Timeline>> {
    return answer(() => drawTimeline(this.#memory.existing(), this.#memory.journal, window));
  }

  story(key: string): Promise<Answer<Story>> {
    return answer(() => tellStory(this.#memory.existing(), this.#memory.journal, key));
  }

  signal(signal: SignalRequest, onlyIfWaiting: boolean): Promise<Answer<{ duplicate: boolean }>> {
    return answer(() => {
      this.#memory.existing();
      return this.#host.signal(signal, onlyIfWaiting);
    });
  }

  act(action: RunAction, to?: Callee): Promise<Answer<PackedRun>> {
    return answer(() => this.#control.act(action, to?.callee));
  }

  restart(request: Restart): Promise<Answer<null>> {
    return acknowledge(() => this.#control.restart(request, null));
  }

  restartFrom(request: Restart, from: StepRef): Promise<Answer<null>> {
    return acknowledge(() => this.#control.restart(request, from));
  }

  fork(request: ForkRequest): Promise<Answer<Made<PackedRun>>> {
    return answer(async () => {
      const original = this.#memory.creation();
      const made = this.#find(original.workflow, original.version)?.labels;
      const { run, created } = await startFork(this.#startRun, original, made, this.#memory.journal.read(), request);
      return { run: pack(run), created };
    });
  }

  previewFork(cut: ForkCut): Promise<Answer<ForkPreview>> {
    return answer(() => {
      this.#memory.existing();
      const { kept, rerun } = planFork(this.#memory.journal.read(), cut);
      return { kept, rerun };
    });
  }

  copy(createdAt: number, after: number): Promise<Answer<readonly Entry[]>> {
    return answer(() => {
      if (this.#memory.creation().at === createdAt) return this.#memory.journal.page(after, Infinity).map(fitted);
      throw new HoldfastError("run_not_found", "the run that is being forked has gone on as new, or is gone");
    });
  }

  depart(): Promise<Answer<ExportPlan>> {
    return answer(() => exportOf(this.#memory.existing(), this.#memory.journal));
  }

  lines(page: PageRequest): Promise<Answer<ExportPage>> {
    return answer(() => linesOf(this.#memory.creation(), this.#memory.journal, page));
  }

  arrive(text: ReadableStream<Uint8Array>, asked: Arrival): Promise<Answer<Made<PackedRun>>> {
    return answer(async () => {
      const target = { memory: this.#memory, marks: this.#marks, find: this.#find };
      const created = await importText(target, text, asked);
      if (created) this.#host.proceed();
      return { run: pack(this.#memory.run.snapshot()), created };
    });
  }

  notice(createdAt: number, end: number): Promise<Answer<string>> {
    return answer(() => {
      const [entry] = this.#memory.journal.page(end - 1, 1);
      const created = this.#memory.creation();
      if (created.at === createdAt && entry !== undefined && isEnd(entry)) return noticeOf(created, entry);
      throw new HoldfastError("run_not_found", "the run that has ended is gone, or has gone on as new");
    });
  }

  query(name: string): Promise<Answer<QueryAnswer>> {
    return answer(() => this.#queries.answer(() => this.#memory.existing(), name));
  }

  update(update: UpdateRequest): Promise<Answer<UpdateAnswer>> {
    return answer(() => takeUpdate(this.#memory.existing(), this.#host, update));
  }

  hook({ call, createdAt, generation }: HookAddress, request: HookRequest): Promise<Answer<HookAnswer>> {
    return answer(async () => {
      const run = this.#incarnationOf(createdAt);
      const { id, workflow } = this.#memory.creation();
      const received = this.#host.during(receiveHook(run, call, request, generation, authorLimit));
      return await received.catch((error: unknown) => {
        // What a `verify` threw: the history has the refusal, but not what may be a secret.
        if (hasCode(error, "webhook_rejected") && error.cause !== undefined)
          logDelivery({ name: call, workflow, run: id }, error, Date.now());
        throw error;
      });
    });
  }

  /** The run, if a webhook's address belongs to its present incarnation. */
  #incarnationOf(createdAt: number): Run {
    const { run } = this.#memory;
    // An entry would be deleted with the run.
    if (this.#host.removal.underWay) throw new HoldfastError("webhook_not_found", "the run of this webhook is gone");
    checkIncarnation(run, createdAt);
    return run;
  }

  lookAtHook({ call, createdAt, generation }: HookAddress): Promise<Answer<null>> {
    return acknowledge(() => lookAtHook(this.#incarnationOf(createdAt), call, generation));
  }

  revokeHook(call: string, request: RequestMetadata): Promise<Answer<{ url: string }>> {
    return answer(async () => {
      const addressOf = (generation: number): Promise<string> => hookUrl(this.#memory.creation(), call, generation);
      const revoked = await revokeHook(this.#memory.existing(), call, request, addressOf);
      this.#host.proceed();
      return revoked;
    });
  }

  childEnded(news: ChildNews): Promise<Answer<null>> {
    return acknowledge(() => this.#host.during(receiveNews(this.#memory.run, news)));
  }

  orderEnded(news: OrderNews): Promise<Answer<null>> {
    return acknowledge(() => this.#host.during(receiveAnswer(this.#memory.run, news)));
  }

  repeatOrder(id: OrderId): Promise<Answer<Order | null>> {
    return answer(() => this.#host.during(repeatOrder(this.#memory.run, id)));
  }

  override async fetch(request: Request): Promise<Response> {
    const callee = request.headers.get(calleeHeader);
    if (callee !== null && isOther(callee, this.#memory.id)) return new Response(null, { status: 404 });
    const followed = await answer(() => this.#host.view.follow(request));
    return followed.ok ? followed.value : Response.json(followed.refusal, { status: 503 });
  }

  rekey(from: number): Promise<Answer<Resealing<number>>> {
    return answer(() => {
      newestKey();
      return this.#memory.openJournal().reseal(from, rekeyRows);
    });
  }

  relist(): Promise<Answer<null>> {
    return acknowledge(() => {
      this.#memory.existing();
      return this.#host.relist();
    });
  }

  override async alarm(info?: AlarmInvocationInfo): Promise<void> {
    if (isCourier(this.ctx.id.name)) return await super.alarm(info);
    if (isKeyName(this.ctx.id.name) && (await this.#outlasts())) return;
    await this.#host.alarm(info);
  }

  /** Whether this object has no run, but the mark of a key whose run still exists. */
  async #outlasts(): Promise<boolean> {
    try {
      return this.#memory.run.state.created === null && (await this.#marks.outlasts());
    } catch {
      // A mark that cannot be read is checked again later, like a run.
      return false;
    }
  }
}

/** How many rows are encrypted again in one call. */
const rekeyRows = 500;
