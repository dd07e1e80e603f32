/**
 * Owns: carrying out an action (cancel, retry, delete …) in the object of a run: checking that it is for the present run,
 * admitting an ended run before it is reopened, and removing a run once for all repetitions of a request.
 * Does not own: the fact that an action records (core/lifecycle/action), the limits for reopening a run (reclaim), the removal (host).
 */
import { decide } from "../../core/lifecycle/action.ts";
import type { Action } from "../../core/lifecycle/action.ts";
import { HoldfastError } from "../../core/error.ts";
import { firstCreatedAt } from "../../core/run/origin.ts";
import type { StepRef } from "../../core/lifecycle/restart.ts";
import type { RunAction } from "../../core/service/service.ts";
import type { Run } from "../../engine/run.ts";
import { removalOf } from "../start/marks.ts";
import type { Marks, RemovalMark } from "../start/marks.ts";
import { isOther, noRun } from "../callee.ts";
import { remainsOf } from "./damage.ts";
import type { Host } from "./host.ts";
import { gone } from "./memory.ts";
import type { Memory } from "./memory.ts";
import { pack } from "../packing.ts";
import { reclaim } from "../start/reclaim.ts";
import type { PackedRun } from "../rpc/run.ts";
import type { Restart } from "../rpc/start.ts";
import { patienceMs } from "./view.ts";

export class Control {
  readonly #id: string;
  readonly #memory: Memory;
  readonly #host: Host;
  readonly #marks: Marks;
  #retrying: Promise<unknown> = Promise.resolve();
  /** The removal in progress: a simultaneous repetition of the request is answered like a later one. */
  #removing: Promise<unknown> = Promise.resolve();

  /** @param id the name of the object, which is the id of most runs */
  constructor(id: string, memory: Memory, host: Host, marks: Marks) {
    this.#id = id;
    this.#memory = memory;
    this.#host = host;
    this.#marks = marks;
  }

  /** Resolves when no retry is in progress: until then it is open whether the ended run goes on. */
  get decided(): Promise<unknown> {
    return this.#retrying;
  }

  /** @param callee the addressed run, if given @throws HoldfastError run_not_found, and errors of the action */
  async act(action: RunAction, callee?: string): Promise<PackedRun> {
    const { kind } = action;
    if (kind === "delete") return await this.#delete(action, callee);
    if (callee !== undefined && isOther(callee, this.#memory.id)) throw noRun(callee);
    if (kind === "retry") await this.#retry({ ...action, kind });
    else await this.#target(action).act({ ...action, kind });
    this.#host.proceed();
    // The handler may have to clean up; usually the run ends in this time.
    if (kind === "cancel") return pack(await this.#host.view.settled(patienceMs));
    if (kind === "resume" || kind === "retry") await this.#host.view.replayed(patienceMs);
    return pack(this.#memory.run.snapshot());
  }

  /** Restarts the run, from the start if no step is given. @throws HoldfastError run_not_found, fork_invalid, and what a retry throws */
  async restart({ workflow, version, ...request }: Restart, from: StepRef | null): Promise<void> {
    const run = this.#present();
    // The id may belong to a run of another workflow, after a deletion.
    if (this.#memory.creation().workflow !== workflow) {
      throw new HoldfastError("run_not_found", `no run of ${workflow} has this id`);
    }
    // Before the run claims its singleton key again, which one that cannot be restarted must not hold.
    const begin = run.prepareRestart(version, request, from);
    if (run.state.end === null) begin();
    else await this.#revive((ended) => ended.prepareRestart(version, request, from)());
    this.#host.proceed();
  }

  async #retry(action: Action & Pick<RunAction, "createdBefore">): Promise<void> {
    const run = this.#target(action);
    if (decide(run.state, action, run.now())?.effect !== "reopen") return run.act(action);
    await this.#revive((ended) => ended.act(action));
  }

  /** Reopens an ended run: it needs its singleton key again, and its schedule has to know that it goes on. */
  async #revive(move: (run: Run) => void | Promise<void>): Promise<void> {
    const { firstCreatedAt } = this.#memory;
    const revived = reclaim(this.#memory.creation())
      .then(() => this.#host.revive())
      .then(() => {
        const run = this.#present();
        if (this.#memory.firstCreatedAt !== firstCreatedAt) throw gone();
        return move(run);
      });
    this.#retrying = Promise.allSettled([this.#retrying, revived]);
    await revived;
  }

  #present(): Run {
    const run = this.#memory.existing();
    if (this.#host.removal.underWay) throw new HoldfastError("run_not_found", "the run is being removed");
    return run;
  }

  /** The run that the action is for. @throws HoldfastError run_not_found */
  #target({ createdBefore = Infinity }: Pick<RunAction, "createdBefore">): Run {
    const run = this.#present();
    const created = this.#memory.creation();
    if (firstCreatedAt(created) < createdBefore) return run;
    throw new HoldfastError("run_not_found", `the run that was called ${created.id} is gone, and another has its id`);
  }

  async #delete(action: RunAction, callee?: string): Promise<PackedRun> {
    const removal = await removalOf(action, callee);
    const removed = this.#removing.then(() => this.#removeOnce(action, removal, callee));
    this.#removing = Promise.allSettled([removed]);
    return await removed;
  }

  async #removeOnce(action: RunAction, removal: RemovalMark | null, callee = this.#id): Promise<PackedRun> {
    const createdAt = this.#memory.firstCreatedAt;
    if (this.#marks.hasRemoved(removal, createdAt)) return remainsOf(callee, null, "the run was deleted");
    // A run that cannot be read can still be removed.
    const damage = this.#memory.damage();
    if (isOther(callee, this.#memory.id)) throw noRun(callee);
    const note = (): Promise<void> => this.#marks.noteRemoval(removal, createdAt);
    if (damage !== null) return await this.#host.removal.discard(this.#memory.id ?? callee, damage, note);
    return await this.#remove(this.#target(action), action, note);
  }

  async #remove(run: Run, action: RunAction, note: () => Promise<void>): Promise<PackedRun> {
    // Values that are too large for one answer are deleted with the run.
    const snapshot = { ...pack(run.snapshot()), apart: [] };
    if (run.state.end === null) throw new HoldfastError("run_not_ended", "only a run that has ended can be deleted");
    await this.#host.removal.remove(action, note);
    return snapshot;
  }
}
