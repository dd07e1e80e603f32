/**
 * Owns: what the binding of a Cloudflare Workflow offers, for the runs of one workflow.
 * Does not own: a single instance (instance), starting a run (service).
 */
import type { Definition } from "../core/definition/definition.ts";
import { toMs } from "../core/duration.ts";
import { HoldfastError, hasCode } from "../core/error.ts";
import { checkRunId } from "../core/name.ts";
import { checkOptions } from "../core/option.ts";
import type { Retention } from "../core/run/origin.ts";
import { defined } from "../core/record.ts";
import { encode } from "../core/value/value.ts";
import { checkListed } from "../objects/deployment/catalog.ts";
import { describe } from "../objects/patience.ts";
import { startRun } from "../objects/service.ts";
import { toDuration } from "./config.ts";
import { Instance } from "./instance.ts";

type Start = Parameters<typeof startRun>[1];
type Batch<Params> = WorkflowBatchCreateOptions<Params> | WorkflowInstanceCreateOptions<Params>[];

const largestBatch = 100;
/** `locationHint` has no effect. */
const instanceOptions: readonly string[] = ["id", "params", "retention", "locationHint"];
/** The codes of Cloudflare's batch results. */
const codes = { missing: 10400, exists: 10405, repeated: 10415, internal: 10001 } as const;

export class Binding<Params> implements Workflow<Params> {
  readonly #definition: Definition;

  constructor(definition: Definition) {
    this.#definition = definition;
  }

  /** @throws HoldfastError run_exists, id_invalid, input_invalid, options_invalid, rate_limited, workflow_not_found */
  async create(options: WorkflowInstanceCreateOptions<Params> = {}): Promise<WorkflowInstance> {
    return await this.#start(this.#requestOf(options));
  }

  /**
   * @throws HoldfastError id_invalid, options_invalid, duration_invalid, value_uncloneable, value_too_large,
   * workflow_not_found
   */
  #requestOf(options: WorkflowInstanceCreateOptions<Params>): Start {
    checkListed(this.#definition);
    checkOptions(options, instanceOptions, `an instance of ${this.#definition.name}`);
    const { id, params = {}, retention } = options;
    if (id !== undefined) checkRunId(id);
    const input = encode(params, `the params of ${this.#definition.name}`);
    return { input, by: "worker", ...defined({ id }), ...retentionOf(retention) };
  }

  async #start(start: Start): Promise<WorkflowInstance> {
    const { id } = start;
    const exists = `(instance.already_exists) there is a run ${id} already: ids are those of all workflows of a Worker`;
    const { run, created } = await startRun(this.#definition, start).catch((error: unknown) => {
      throw hasCode(error, "run_exists") ? new HoldfastError("run_exists", exists) : error;
    });
    if (created || run.id !== id) return new Instance(this.#definition, run.id);
    throw new HoldfastError("run_exists", exists);
  }

  /** @throws HoldfastError run_not_found: none of this workflow has the id; id_invalid */
  async get(id: string): Promise<WorkflowInstance> {
    const instance = new Instance(this.#definition, id);
    await instance.status();
    return instance;
  }

  createBatch(options: WorkflowBatchCreateOptions<Params>): Promise<WorkflowBatchCreateResult>;
  createBatch(batch: WorkflowInstanceCreateOptions<Params>[]): Promise<WorkflowInstance[]>;
  async createBatch(given: Batch<Params>): Promise<WorkflowBatchCreateResult | WorkflowInstance[]> {
    const batch = checkBatch(listOf(given));
    // One invalid start means that none is created, as on Cloudflare.
    const requests = batch.map((options) => this.#requestOf(options));
    const ids = requests.map(({ id }) => id);
    const isRepeated = (index: number): boolean => ids[index] !== undefined && ids.indexOf(ids[index]) < index;
    const made = await Promise.allSettled(
      requests.map((request, index) => (isRepeated(index) ? refuseRepeated() : this.#start(request))),
    );
    const created = made.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    const errors = made.flatMap((each, index) => {
      if (each.status === "fulfilled") return [];
      if (!hasCode(each.reason, "run_exists")) throw each.reason;
      const code = isRepeated(index) ? codes.repeated : codes.exists;
      return [{ index, ...defined({ id: ids[index] }), code, message: each.reason.message }];
    });
    return Array.isArray(given) ? created : { created, errors };
  }

  /** Each instance is deleted once, and has a result for every time that it is named. */
  async deleteBatch(ids: string[]): Promise<WorkflowBatchDeleteResult> {
    const unique = [...new Set(checkBatch(ids).map(checkRunId))];
    const gone = await Promise.allSettled(unique.map(async (id) => await (await this.get(id)).delete()));
    const ends = new Map(unique.map((id, index) => [id, gone[index]]));
    const result: WorkflowBatchDeleteResult = { deleted: [], errors: [] };
    for (const id of ids) {
      const end = ends.get(id);
      if (end?.status !== "rejected") result.deleted.push({ id });
      else {
        const code = hasCode(end.reason, "run_not_found") ? codes.missing : codes.internal;
        result.errors.push({ id, code, message: describe(end.reason) });
      }
    }
    return result;
  }
}

type Retained = NonNullable<WorkflowInstanceCreateOptions["retention"]>;

/** @throws HoldfastError options_invalid, duration_invalid */
function retentionOf(given: Retained | undefined): { readonly retention?: Retention } {
  if (given === undefined) return {};
  checkOptions(given, ["successRetention", "errorRetention"], "the retention of an instance");
  const ms = (duration: WorkflowRetentionDuration | undefined, name: keyof Retained): number | undefined => {
    if (duration === undefined) return undefined;
    const span = toMs(toDuration(duration), `the ${name} of an instance`);
    if (span > 0) return span;
    throw new HoldfastError("options_invalid", `the ${name} of an instance must be above 0`);
  };
  const completedMs = ms(given.successRetention, "successRetention");
  const failedMs = ms(given.errorRetention, "errorRetention");
  return { retention: defined({ completedMs, failedMs }) };
}

function refuseRepeated(): Promise<never> {
  return Promise.reject(new HoldfastError("run_exists", "the batch has an instance of this id already"));
}

function listOf<Params>(given: Batch<Params>): readonly WorkflowInstanceCreateOptions<Params>[] {
  if (Array.isArray(given)) return given;
  checkOptions(given, ["count", "instances", "params", "retention", "locationHint"], "a batch");
  const { count, instances, ...same } = given;
  if (instances !== undefined && (count ?? same.params ?? same.retention ?? same.locationHint) !== undefined)
    throw new HoldfastError("options_invalid", "a batch has instances, or a count and what is the same for each");
  if (instances !== undefined) return instances;
  if (Number.isInteger(count) && count > 0)
    return Array.from({ length: Math.min(count, largestBatch + 1) }, () => same);
  throw new HoldfastError("options_invalid", "the count of a batch is a whole number above 0");
}

/** The items, with none left out. @throws HoldfastError options_invalid */
function checkBatch<Item>(batch: readonly Item[]): Item[] {
  if (Array.isArray(batch) && batch.length > 0 && batch.length <= largestBatch) return Array.from(batch);
  throw new HoldfastError("options_invalid", `a batch is an array of 1 to ${largestBatch} instances`);
}
