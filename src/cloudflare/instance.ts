/**
 * Owns: a run as an instance of a Cloudflare Workflow.
 * Does not own: its actions (handle, service).
 */
import type { Definition } from "../core/definition/definition.ts";
import { HoldfastError, hasCode, messageOf } from "../core/error.ts";
import type { RevivedError } from "../core/error.ts";
import type { RunHandle, RunView } from "../core/definition/handle.ts";
import { checkOptions, refused } from "../core/option.ts";
import { isEnded } from "../core/run/run.ts";
import type { StepRef } from "../core/lifecycle/restart.ts";
import type { RunStatus } from "../core/run/run.ts";
import { runObject } from "../objects/address.ts";
import { unwrap } from "../objects/answer.ts";
import { getRun } from "../objects/deployment/handle.ts";
import { labelOf } from "./step.ts";
import { subscribe } from "./subscription.ts";

const by = "worker";

const statuses = {
  queued: "queued",
  running: "running",
  waiting: "waiting",
  paused: "paused",
  completed: "complete",
  failed: "errored",
  cancelled: "terminated",
} as const satisfies Record<RunStatus, InstanceStatus["status"]>;

/** What became of the rollbacks of a run that has ended; null where it had none. */
type Rollback = { readonly outcome: "complete" | "failed"; readonly error: InstanceStatus["error"] | null } | null;

export class Instance implements WorkflowInstance {
  readonly id: string;
  readonly #definition: Definition;
  readonly #run: RunHandle;

  /** @throws HoldfastError id_invalid */
  constructor(definition: Definition, id: string) {
    this.id = id;
    this.#definition = definition;
    this.#run = getRun(id);
  }

  /** As Cloudflare documents it; its types lack `rollback`. @throws HoldfastError run_not_found */
  async status(): Promise<InstanceStatus & { rollback: Rollback }> {
    const { status, output, error } = await this.#view();
    const failed = status === "failed" && error !== null ? { error: { name: error.name, message: error.message } } : {};
    return { status: statuses[status], ...failed, output: output ?? null, rollback: rollbackOf(error) };
  }

  /** @throws HoldfastError run_not_found, run_ended, value_uncloneable, value_too_large */
  async sendEvent(event: { type: string; payload: unknown }): Promise<void> {
    checkOptions(event, ["type", "payload"], "an event");
    const { type, payload } = event;
    if (typeof type !== "string") throw refused("an event", "type", "must be text");
    // The whole event and not only its payload, which may be null; the event also has the time when it was sent.
    await this.#run.signal(type, { payload, timestamp: new Date(), type });
  }

  /** @throws HoldfastError run_not_found, run_ended */
  async pause(): Promise<void> {
    await this.#run.pause();
  }

  /** @throws HoldfastError run_not_found, run_ended */
  async resume(): Promise<void> {
    await this.#run.resume();
  }

  /** @throws HoldfastError run_not_found, run_ended */
  async terminate(options: WorkflowInstanceTerminateOptions = {}): Promise<void> {
    checkOptions(options, ["rollback"], "terminate");
    const { rollback = false } = options;
    if (typeof rollback !== "boolean") throw refused("terminate", "rollback", "must be true or false");
    await (rollback ? this.#run.cancel() : this.#run.terminate());
  }

  /**
   * Begins the run once more, with its id, its input and its given labels. With `from` it keeps its history up to that
   * step.
   * @throws HoldfastError run_not_found, options_invalid, fork_invalid, singleton_held, label_invalid
   */
  async restart(options: WorkflowInstanceRestartOptions = {}): Promise<void> {
    checkOptions(options, ["from"], "restart");
    const step = options.from === undefined ? null : stepOf(options.from);
    await this.#view();
    const { name: workflow, version } = this.#definition;
    const request = { workflow, version, by, reason: null };
    const run = runObject(this.id);
    try {
      unwrap(await (step === null ? run.restart(request) : run.restartFrom(request, step)));
    } catch (error) {
      if (!hasCode(error, "fork_invalid")) throw error;
      throw new HoldfastError("fork_invalid", `(instance.cannot_restart) ${messageOf(error)}`);
    }
  }

  /** @throws HoldfastError run_not_found */
  async delete(): Promise<void> {
    const { status } = await this.#view();
    if (!isEnded(status)) await this.#run.terminate().catch(passEnded);
    unwrap(await runObject(this.id).act({ kind: "delete", by, reason: null }));
  }

  /** @throws HoldfastError run_not_found, options_invalid */
  async subscribe(options: WorkflowInstanceSubscribeOptions = {}): Promise<WorkflowInstanceSubscription> {
    await this.#view();
    return await subscribe(this.id, options);
  }

  async #view(): Promise<RunView> {
    const view = await this.#run.status().catch((error: unknown) => {
      throw hasCode(error, "run_not_found") ? this.#missing() : error;
    });
    // Ids are shared by all workflows, so the run may be of another one.
    if (view.workflow !== this.#definition.name) throw this.#missing();
    return view;
  }

  #missing(): HoldfastError {
    return new HoldfastError("run_not_found", `(instance.not_found) no run of ${this.#definition.name} is ${this.id}`);
  }
}

function rollbackOf(error: RevivedError | null): Rollback {
  const { undone = [], notUndone = [] } = error ?? {};
  const [first] = notUndone;
  if (first !== undefined) return { outcome: "failed", error: { name: "Error", message: first.message } };
  return undone.length === 0 ? null : { outcome: "complete", error: null };
}

type Place = NonNullable<WorkflowInstanceRestartOptions["from"]>;

const kinds = { do: ["run"], sleep: ["sleep"], waitForEvent: ["wait"] } as const;

/** @throws HoldfastError options_invalid */
function stepOf(from: Place): StepRef {
  checkOptions(from, ["name", "count", "type"], "the step to restart from");
  const { name, count = 1, type } = from;
  const refuse = (why: string) => new HoldfastError("options_invalid", `the step to restart from is not valid: ${why}`);
  if (typeof name !== "string") throw refuse("its name must be a string");
  if (!Number.isInteger(count) || count < 1) throw refuse("its count must be a whole number above 0");
  if (type === undefined)
    return { id: labelOf(name, count), kinds: [...kinds.do, ...kinds.sleep, ...kinds.waitForEvent] };
  if (!Object.hasOwn(kinds, type)) throw refuse(`its type must be one of ${Object.keys(kinds).join(", ")}`);
  return { id: labelOf(name, count), kinds: kinds[type] };
}

/** Whether the refusal says that the run has ended meanwhile, as was wanted. */
function passEnded(error: unknown): void {
  if (!hasCode(error, "run_ended")) throw error;
}
