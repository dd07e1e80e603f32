/**
 * Owns: handling a start in its object: it creates a run, finds the run that it created before, or is refused because of
 * another run or key.
 * Does not own: the limits before (admission), what the workflow derives from it (preparation), driving the run (host).
 */
import type { Entry, EntryOf } from "../../core/history/entry.ts";
import type { DebouncedStart } from "../../core/lane/debounce.ts";
import type { Made } from "../../core/run/run.ts";
import type { SignalRequest } from "../../core/service/service.ts";
import { checkOwnId, checkSameRun, isSameStart, refuseKey } from "../../core/lifecycle/start.ts";
import type { Run } from "../../engine/run.ts";
import { findAnswering } from "../start/admission.ts";
import { isSameAnswerer } from "../start/marks.ts";
import type { Marks } from "../start/marks.ts";
import { creationOf, fittedSignal, forkOf } from "./creation.ts";
import { fetchHistory } from "./fork.ts";
import type { Host } from "./host.ts";
import type { Memory } from "./memory.ts";
import { patienceMs } from "./view.ts";
import { pack } from "../packing.ts";
import type { PackedRun } from "../rpc/run.ts";
import type { Answerer, Branch, CheckedStart, RepeatedStart } from "../rpc/start.ts";

export class Intake {
  readonly #storage: DurableObjectStorage;
  readonly #memory: Memory;
  readonly #host: Host;
  readonly #marks: Marks;

  constructor(storage: DurableObjectStorage, memory: Memory, host: Host, marks: Marks) {
    this.#storage = storage;
    this.#memory = memory;
    this.#host = host;
    this.#marks = marks;
  }

  /**
   * Also finds the run that answered this start before: a start without limits does not look for it itself, and one with limits
   * looked before it claimed its keys.
   * @throws HoldfastError run_exists, idempotency_conflict, and errors of a signal
   */
  async take(request: CheckedStart): Promise<Made<PackedRun>> {
    const { key, claims } = request;
    const isRepeatable = key !== undefined || claims !== undefined;
    // A simultaneous repetition may record another one while this one is asked.
    for (let asked: Answerer | null = null; isRepeatable && !isSameAnswerer(this.#marks.answerer, asked);) {
      asked = this.#marks.answerer;
      const other = await findAnswering(request);
      if (other !== null) return other;
    }
    const created = this.#begin(request) || (await this.#startOver(request));
    return { run: await this.#started(request), created };
  }

  /** The run that this start created before; null for none. */
  async repeat(request: RepeatedStart): Promise<PackedRun | null> {
    const created = this.#firstStart();
    const { id = created?.id } = request;
    if (created === null || id !== created.id || !isSameStart(created, request)) return null;
    await this.#deliverSignal(created, request.signal);
    return await this.#started(request);
  }

  /** The run, if the start was merged into it; else null. */
  async debounce(start: DebouncedStart, waitMs: number): Promise<PackedRun | null> {
    return this.#memory.existing().debounce(start) ? await this.#started({ waitMs }) : null;
  }

  /** The run, if the start with this token was merged into it before; else null. */
  async debounced(token: string, waitMs: number): Promise<PackedRun | null> {
    return this.#memory.run.state.debounceKeys.has(token) ? await this.#started({ waitMs }) : null;
  }

  /** The run that a start created or found, at its end if that is waited for. */
  async #started({ waitMs = 0, fork }: Partial<Pick<RepeatedStart, "waitMs" | "fork">>): Promise<PackedRun> {
    this.#host.proceed();
    if (waitMs > 0) return pack(await this.#host.view.settled(waitMs));
    if (fork !== undefined) await this.#host.view.replayed(patienceMs);
    return pack(this.#memory.run.snapshot());
  }

  /** Creates the run in the common case that the object is empty. */
  #begin(request: CheckedStart): boolean {
    const { fork, key, died } = request;
    if (fork !== undefined || (key !== undefined && this.#marks.isBound)) return false;
    return this.#memory.begin((run) => run.create(creationOf(request, run.now()), fittedSignal(request), died));
  }

  /** Handles a start in an object that is not empty. */
  async #startOver(request: CheckedStart): Promise<boolean> {
    const { fork } = request;
    const isNew = this.#memory.run.state.created === null;
    const history = fork === undefined || !isNew ? [] : await fetchHistory(fork);
    const { run } = this.#memory;
    const created = this.#firstStart();
    if (created !== null) await this.#join(created, request);
    else if (request.key !== undefined && this.#marks.isBound) refuseKey();
    else if (fork !== undefined) this.#branch(run, request, fork, history);
    else run.create(creationOf(request, run.now()), fittedSignal(request), request.died);
    return created === null;
  }

  /** Handles a start whose run exists. */
  async #join(created: EntryOf<"run.created">, request: CheckedStart): Promise<void> {
    checkOwnId(created, request);
    checkSameRun(created, request);
    if (request.signal === undefined) return;
    const { fitted: _fitted, ...signal } = request.signal;
    await this.#deliverSignal(created, signal);
  }

  /** Delivers the signal of a start whose run exists. */
  async #deliverSignal(created: EntryOf<"run.created">, signal: SignalRequest | undefined): Promise<void> {
    if (signal === undefined) return;
    const { key } = signal;
    // The key was used for a start without a signal.
    if (key !== undefined && key === created.key && !this.#memory.run.state.signalKeys.has(key)) refuseKey();
    await this.#host.signal(signal, false);
  }

  /** The creation as the first start made it, which a debounce may have changed since; repeated starts are compared with it. */
  #firstStart(): EntryOf<"run.created"> | null {
    const { created } = this.#memory.run.state;
    if (created === null) return null;
    const [first] = this.#memory.journal.page(0, 1);
    return first?.kind === "run.created" ? first : created;
  }

  #branch(run: Run, request: CheckedStart, branch: Branch, history: readonly Entry[]): void {
    const { created, facts } = forkOf(request, branch, history, run.now());
    try {
      this.#storage.transactionSync(() => run.fork(created, facts));
    } catch (error) {
      this.#memory.forget();
      throw error;
    }
  }
}
