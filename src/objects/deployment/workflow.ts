/**
 * Owns: `defineWorkflow`: its types, and validating its options.
 * Does not own: running workflows; calls of handles (service).
 */
import type { Definition, Flow, Limits, ScheduleRule } from "../../core/definition/definition.ts";
import { toMs } from "../../core/duration.ts";
import type { Duration } from "../../core/duration.ts";
import { HoldfastError } from "../../core/error.ts";
import { checkFlow, flowOptions } from "../../core/lane/flow.ts";
import type { RunHandle, StartOptions } from "../../core/definition/handle.ts";
import { checkSegment } from "../../core/name.ts";
import { checkOptions, isPlain, refused } from "../../core/option.ts";
import { retryOf } from "../../core/definition/retry.ts";
import type { Retry } from "../../core/definition/retry.ts";
import { checkRule } from "../../core/schedule/schedule.ts";
import { isSchema } from "../../core/definition/schema.ts";
import type { Schema } from "../../core/definition/schema.ts";
import type { SignalTypes, Step } from "../../core/definition/step.ts";
import { getRun, startWorkflow } from "./handle.ts";

/** Validators of a workflow's signals, by name. */
export type SignalSchemas = Readonly<Record<string, Schema>>;

type Types<S extends Schema> = NonNullable<S["~standard"]["types"]>;
type InputOf<S extends Schema> = Types<S>["input"];
type OutputOf<S extends Schema> = Types<S>["output"];
/** The payloads as they are sent, and, below, as they are after validation. */
type Sent<Signals extends SignalSchemas> = { readonly [Name in keyof Signals]: InputOf<Signals[Name]> };
type Payloads<Signals extends SignalSchemas> = { readonly [Name in keyof Signals]: OutputOf<Signals[Name]> };

/** A workflow: given to `createWorker`, and started from anywhere in the Worker. */
export interface Workflow<Input, Output, Signals extends SignalTypes = SignalTypes> {
  readonly name: string;
  readonly definition: Definition;
  /**
   * Starts a run, or finds the one with the same `id`, workflow and input.
   * @throws HoldfastError input_invalid, id_invalid, label_invalid, duration_invalid, run_exists, rate_limited
   * (its `retryAfterMs` says when it is worth another try), workflow_not_found: the Worker does not list it
   */
  start(
    ...args: undefined extends Input ? [input?: Input, options?: StartOptions] : [input: Input, options?: StartOptions]
  ): Promise<RunHandle<Output, Signals>>;
  /** The handle of a run by its id; makes no call. */
  get(id: string): RunHandle<Output, Signals>;
}

type Schedules<Input> = string | ScheduleRule<Input> | readonly (string | ScheduleRule<Input>)[];

/** The options of every workflow, all optional. `Input` is the type of the input of a start. */
export type CommonOptions<Signals extends SignalSchemas, Input> = {
  /** Validate payloads on arrival, and give `step.waitFor` its types. */
  readonly signals?: Signals;
  /** Shorthand for `retry.limit`: 4 means 4 retries, 5 attempts. */
  readonly retries?: number;
  /** The policy of its steps; unless set, 5 retries after 1 s, doubling, ±20 %, at most 1 hour. */
  readonly retry?: Retry;
  /** The limit of the whole run, after which it fails with code run_timeout. */
  readonly timeout?: Duration;
  readonly schedule?: Schedules<NoInfer<Input>>;
  /** "1" unless set. A run keeps the version that it began with. */
  readonly version?: string;
  /** How long a finished run is kept; 30 days unless set. */
  readonly retention?: Duration;
  readonly limits?: Limits;
};

/** Addresses that get notices of ends of runs, at most 10: one, several, or a function of the input. See docs/webhooks.md. */
export type Notify<Input> =
  | string
  | readonly string[]
  | ((input: Input) => string | readonly string[] | null | undefined);

export type SchemaOptions<Input extends Schema, Output, Signals extends SignalSchemas> = CommonOptions<
  Signals,
  InputOf<Input>
> &
  Flow<OutputOf<Input>> & {
    readonly input: Input;
    readonly output?: Schema<unknown, Output>;
    readonly labels?: (input: OutputOf<Input>) => Record<string, string>;
    readonly notify?: Notify<OutputOf<Input>>;
    /** The program; what it returns is the run's output. */
    readonly handler: (
      input: OutputOf<Input>,
      step: Step<Payloads<Signals>, InputOf<Input>>,
    ) => Output | Promise<Output>;
  };

export type PlainOptions<Input, Output, Signals extends SignalSchemas> = CommonOptions<Signals, Input> &
  Flow<Input> & {
    readonly input?: undefined;
    readonly output?: Schema<unknown, Output>;
    readonly labels?: (input: Input) => Record<string, string>;
    readonly notify?: Notify<Input>;
    /** The program; what it returns is the run's output. */
    readonly handler: (input: Input, step: Step<Payloads<Signals>, NoInfer<Input>>) => Output | Promise<Output>;
  };

type NoSignals = Record<never, never>;

/**
 * Defines a durable workflow. `name` has 1 to 256 characters, is recorded in its runs, and must not change later.
 * @throws HoldfastError options_invalid, name_invalid, duration_invalid, naming the option
 */
export function defineWorkflow<Input, Output, Signals extends SignalSchemas = NoSignals>(
  name: string,
  options: PlainOptions<Input, Output, Signals>,
): Workflow<Input, Output, Sent<Signals>>;
export function defineWorkflow<Input extends Schema, Output, Signals extends SignalSchemas = NoSignals>(
  name: string,
  options: SchemaOptions<Input, Output, Signals>,
): Workflow<InputOf<Input>, Output, Sent<Signals>>;
export function defineWorkflow(name: string, options: LooseOptions): Workflow<unknown, unknown> {
  const definition = toDefinition(checkSegment(name, "workflow"), options);
  return {
    name,
    definition,
    start: (...args: readonly unknown[]) => startWorkflow(definition, args[0], args[1] as StartOptions | undefined),
    get: (id) => getRun(id),
  };
}

/** The options before they are validated. */
type LooseOptions = CommonOptions<SignalSchemas, unknown> & { readonly [Option in keyof Flow]?: unknown } & {
  readonly input?: Schema | undefined;
  readonly output?: Schema | undefined;
  readonly labels?: unknown;
  readonly notify?: unknown;
  readonly handler: unknown;
};

const known: readonly string[] = [
  ...["handler", "input", "output", "signals", "retries", "retry", "timeout", "schedule", "version", "retention"],
  ...["labels", "notify", "limits", ...flowOptions],
];

type Refuse = (option: string, why: string) => never;

function toDefinition(name: string, options: LooseOptions): Definition {
  const what = `workflow ${name}`;
  const refuse: Refuse = (option, why) => {
    throw refused(what, option, why);
  };
  checkOptions(options, known, what);
  const { handler, input, output, signals = {}, retries, timeout, labels } = options;
  const { retention = "30 days", version = "1" } = options;
  if (typeof handler !== "function") refuse("handler", "must be a function");
  if (labels !== undefined && typeof labels !== "function") refuse("labels", "must be a function of the input");
  if (typeof version !== "string" || version === "" || version.length > 256 || !version.isWellFormed())
    refuse("version", "must be well-formed text of 1 to 256 characters");
  checkSchemas({ input, output }, signals, refuse);
  const retry = retries === undefined ? options.retry : mergeRetries(retries, options.retry);
  retryOf(what, retry);
  const schedules = toSchedules(options.schedule);
  for (const rule of schedules) checkRule(rule, name);
  return {
    name,
    version,
    handler: handler as Definition["handler"],
    input,
    output,
    signals,
    retry,
    timeoutMs: timeout === undefined ? null : toMs(timeout, `${what}: timeout`),
    schedules,
    retentionMs: toMs(retention, `${what}: retention`),
    labels: labels as Definition["labels"],
    ...toNotify(options.notify, refuse),
    flow: checkFlow(name, options),
    limits: toLimits(options.limits, refuse),
  };
}

function checkSchemas(own: object, signals: SignalSchemas, refuse: Refuse): void {
  if (!isPlain(signals)) refuse("signals", "must be an object of schemas, each by the name of its signal");
  const declared = Object.entries(signals).map(([signal, schema]) => [`signals.${signal}`, schema] as const);
  for (const [option, schema] of [...Object.entries(own), ...declared]) {
    if (schema !== undefined && !isSchema(schema)) refuse(option, "must be a Standard Schema, such as zod makes");
  }
  for (const signal of Object.keys(signals)) checkSegment(signal, "signal");
}

function toNotify(notify: unknown, refuse: Refuse): { readonly notify?: NonNullable<Definition["notify"]> } {
  if (notify === undefined) return {};
  if (typeof notify === "function") return { notify: notify as NonNullable<Definition["notify"]> };
  const urls: readonly unknown[] = Array.isArray(notify) ? notify : [notify];
  const texts = urls.filter((url): url is string => typeof url === "string" && URL.canParse(url));
  if (texts.length < urls.length)
    refuse("notify", "must be an address, a list of addresses, or a function of the input");
  return { notify: () => texts };
}

function mergeRetries(limit: number, retry: Retry | undefined): Retry {
  if (typeof retry !== "function") return { ...retry, limit };
  throw new HoldfastError(
    "options_invalid",
    "retries cannot be given beside a retry function, which decides by itself",
  );
}

function toSchedules(schedule: Schedules<unknown> | undefined): ScheduleRule[] {
  if (schedule === undefined) return [];
  const rules = Array.isArray(schedule)
    ? (schedule as readonly (string | ScheduleRule)[])
    : [schedule as string | ScheduleRule];
  return rules.map((rule) => (typeof rule === "string" ? { cron: rule } : rule));
}

function toLimits(limits: Limits | undefined, refuse: Refuse): Definition["limits"] {
  if (limits !== undefined && !isPlain(limits)) refuse("limits", "must be an object");
  const { steps = 100_000, perStep = {}, ...rest } = limits ?? {};
  if (!isPlain(perStep)) refuse("limits.perStep", "must be an object");
  for (const option of Object.keys(rest)) refuse(`limits.${option}`, "is not a limit");
  for (const [limit, count] of [["steps", steps] as const, ...Object.entries(perStep)]) {
    if (!Number.isInteger(count) || count < 0) refuse(`limits: ${limit}`, "must be a whole number, 0 or more");
  }
  return { steps, perStep };
}
