/**
 * Owns: what a rehearsal was given: which workflows there are, what stands in the place of their steps and
 * children; and which of it was ever asked for.
 * Does not own: putting it in their place (cast), the runs (stage).
 */
import type { Definition } from "../core/definition.ts";
import { toMs } from "../core/duration.ts";
import type { Duration, Instant } from "../core/duration.ts";
import { HoldfastError } from "../core/error.ts";
import type { ScheduleFiring } from "../core/origin.ts";
import type { SignalRequest } from "../core/service.ts";
import type { AttemptContext, Step } from "../core/step.ts";
import { decode } from "../core/value.ts";
import { RehearsalError } from "./error.ts";
import { hang } from "./hang.ts";

/** What a stand-in is told: all that the function in whose place it stands is told, and more. */
export type StandInContext = AttemptContext & {
  /** The step as it is on record: `charge`, then `charge#2`. */
  readonly step: string;
  /** Of `step.map`: the item, and which it is; the first is 0. */
  readonly item?: unknown;
  readonly index?: number;
  /** Of `step.fetch`: what it asks for. */
  readonly request?: Request;
  /** Of an undo: what the step gave. */
  readonly result?: unknown;
};

/**
 * Stands in the place of a step's function: what it answers is the step's result, what it throws is judged by the
 * step's retries. For `step.fetch` it answers a `Response`, or `{ status?, headers?, body? }`.
 */
export type StandIn = (context: StandInContext) => unknown;

export type StandIns = {
  /** In the place of functions of `step.run` and `step.map`, and for `step.fetch`, by the step's name. */
  readonly steps?: Readonly<Record<string, StandIn>>;
  /** In the place of `undo`, by the step's name. That of a replaced step does nothing unless it stands here. */
  readonly undos?: Readonly<Record<string, StandIn>>;
};

/** Written as a method, so that it may say what input it takes. */
type Answer = { answer(input: unknown): unknown }["answer"];

/** In the place of a whole child run: what it returns or throws; or the child itself, with steps of it replaced. */
export type ChildPart = Answer | (StandIns & { readonly workflow?: { readonly definition: Definition } });

export type RehearsalOptions = StandIns & {
  /**
   * Children by the name of their workflow. One that the handler names by its definition need not be here: its
   * steps run as they are.
   */
  readonly children?: Readonly<Record<string, ChildPart>>;
  /** The run's id; "rehearsal" unless set. */
  readonly id?: string;
  /** When it begins; Monday, 5 January 2026, 09:00 UTC unless set. */
  readonly startAt?: Instant;
  readonly labels?: Readonly<Record<string, string>>;
  /** As if a schedule had started it; `at` is epoch ms. */
  readonly schedule?: ScheduleFiring;
  /** Stand-ins that are never asked for are no error. */
  readonly lenient?: boolean;
  /** How long a step's function may take in real time; 4 s unless set. */
  readonly patience?: Duration;
};

/** A signal that a run of the rehearsal sent to one outside of it. */
export type SentSignal = { readonly to: string; readonly name: string; readonly payload: unknown };

const defaultPatienceMs = 4000;

export class Script {
  readonly options: RehearsalOptions;
  /** How long something may take in real time. */
  readonly patienceMs: number;
  /** What is wrong with the rehearsal, found where it cannot be thrown. */
  misuse: RehearsalError | null = null;
  readonly sent: SentSignal[] = [];
  readonly #root: Definition;
  readonly #workflows = new Map<string, Definition>();
  /** Steps that the rehearsed workflow asked for, and children that were. */
  readonly #asked = { steps: new Set<string>(), children: new Set<string>() };
  readonly #keys = new Set<string>();

  constructor(root: Definition, options: RehearsalOptions) {
    this.options = options;
    this.patienceMs = toMs(options.patience ?? defaultPatienceMs, "patience");
    this.#root = root;
    this.#workflows.set(root.name, root);
    for (const [name, part] of Object.entries(options.children ?? {})) {
      if (part === hang) this.#workflows.set(name, hanging(name));
      else if (typeof part === "function") this.#workflows.set(name, answering(name, part));
      else if (part.workflow !== undefined) this.learn(part.workflow);
    }
  }

  /** A workflow that a handler names by its definition. */
  learn(workflow: unknown): void {
    if (typeof workflow !== "object" || workflow === null || !("definition" in workflow)) return;
    const definition = workflow.definition as Definition;
    const { name } = definition;
    if (!this.#workflows.has(name)) this.#workflows.set(name, definition);
  }

  find(name: string): Definition | undefined {
    return this.#workflows.get(name);
  }

  /** The workflow of a child. @throws HoldfastError workflow_not_found */
  child(name: string): Definition {
    this.#asked.children.add(name);
    const definition = this.find(name);
    if (definition !== undefined) return definition;
    const why = `the run starts a child of workflow ${name}, which the rehearsal does not know`;
    this.refuse(`${why}: give { children: { ${JSON.stringify(name)}: (input) => output } }, or its workflow`);
    throw new HoldfastError("workflow_not_found", `no workflow is called ${name}`);
  }

  labels(definition: Definition, input: unknown, given: RehearsalOptions["labels"]): Readonly<Record<string, string>> {
    return { ...definition.labels?.(input as never), ...given };
  }

  /** What stands in for steps of this workflow. */
  standIns(workflow: string): StandIns {
    if (workflow === this.#root.name) return this.options;
    const part = this.options.children?.[workflow];
    return typeof part === "object" ? part : {};
  }

  /** A step of this name was asked for. */
  ask(workflow: string, step: string): void {
    if (workflow === this.#root.name) this.#asked.steps.add(step);
  }

  /** A signal to a run that is not here; one with a key that was sent is the same. */
  send(to: string, { name, payload, key = "" }: SignalRequest): void {
    if (this.#keys.has(key)) return;
    this.#keys.add(key);
    this.sent.push({ to, name, payload: decode(payload) });
  }

  refuse(message: string): void {
    this.misuse ??= new RehearsalError(message);
  }

  /** Once the run has completed. @throws RehearsalError for a stand-in that was never asked for */
  checkAsked(): void {
    if (this.options.lenient === true) return;
    for (const part of ["steps", "children"] as const) {
      for (const name of Object.keys(this.options[part] ?? {})) {
        if (this.#asked[part].has(name)) continue;
        const asked = [...this.#asked[part]].join(", ") || "none";
        const why = `the run has completed and never came to it; its ${part} were: ${asked}`;
        throw new RehearsalError(`${part}: ${JSON.stringify(name)}: ${why} (lenient: true allows it)`);
      }
    }
  }
}

/** A workflow that does nothing but answer, once. */
function answering(name: string, answer: Answer): Definition {
  return standIn(name, (input, step) => step.run("answer", () => answer(input)));
}

/** One that never ends: whoever waits for it comes to a timeout of its own. */
function hanging(name: string): Definition {
  return standIn(name, (_input, step) => step.waitFor("hang"));
}

function standIn(name: string, handler: (input: unknown, step: Step) => unknown): Definition {
  return {
    name,
    version: "1",
    handler,
    ...{ input: undefined, output: undefined, signals: {}, labels: undefined, timeoutMs: null, schedules: [] },
    retry: { limit: 0 },
    retentionMs: Infinity,
    flow: {},
    limits: { steps: 100_000, perStep: {} },
  };
}
