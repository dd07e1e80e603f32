/**
 * Owns: the options of a rehearsal: its workflows, the stand-ins of their steps and children; and which of these were used.
 * Does not own: replacing functions by stand-ins (substitution), the runs (stage).
 */
import type { Definition } from "../core/definition/definition.ts";
import { toMs } from "../core/duration.ts";
import type { Duration, Instant } from "../core/duration.ts";
import type { EndEntry } from "../core/history/end.ts";
import { HoldfastError } from "../core/error.ts";
import type { ScheduleFiring } from "../core/run/origin.ts";
import type { SignalRequest } from "../core/service/service.ts";
import type { AttemptContext } from "../core/definition/options.ts";
import type { Step } from "../core/definition/step.ts";
import { decode } from "../core/value/value.ts";
import { RehearsalError } from "./error.ts";
import { hang } from "./hang.ts";

/** The context of a stand-in: that of the replaced function, and more. */
export type StandInContext = AttemptContext & {
  /** The id of the step: `charge`, then `charge#2`. */
  readonly step: string;
  /** For `step.map`: the item, and its index. */
  readonly item?: unknown;
  readonly index?: number;
  /** For `step.fetch`: its request. */
  readonly request?: Request;
  /** For an undo: the result of the step. */
  readonly result?: unknown;
};

/**
 * Replaces a step's function: what it returns is the step's result; what it throws is handled by the step's retry policy.
 * For `step.fetch` it returns a `Response`, or `{ status?, headers?, body? }`.
 */
export type StandIn = (context: StandInContext) => unknown;

export type StandIns = {
  /** Replaces functions of `step.run` and `step.map`, and answers `step.fetch`, by the step's name. */
  readonly steps?: Readonly<Record<string, StandIn>>;
  /** Replaces `undo`, by the step's name. The undo of a replaced step does nothing unless it is replaced here. */
  readonly undos?: Readonly<Record<string, StandIn>>;
  /** `false`: `step.patched` answers false, as if the run had passed it before the change. */
  readonly patches?: Readonly<Record<string, boolean>>;
};

/** Written as a method, so that it may say what input it takes. */
type Answer = { answer(input: unknown): unknown }["answer"];

/** Replaces a child run: by a function that returns its output or throws; or only steps of it. */
export type ChildPart = Answer | (StandIns & { readonly workflow?: { readonly definition: Definition } });

export type RehearsalOptions = StandIns & {
  /**
   * Children by the name of their workflow. One that the handler names by its definition need not be here: its steps then run
   * for real.
   */
  readonly children?: Readonly<Record<string, ChildPart>>;
  /** The run's id; "rehearsal" unless set. */
  readonly id?: string;
  /** When it begins; Monday, 5 January 2026, 09:00 UTC unless set. */
  readonly startAt?: Instant;
  readonly labels?: Readonly<Record<string, string>>;
  /** The schedule that started the run, if any; `at` is epoch ms. */
  readonly schedule?: ScheduleFiring;
  /** Stand-ins that are never used are not an error. */
  readonly lenient?: boolean;
  /** How long a step's function, or anything else that a handler awaits, may take in real time; 4 s unless set. */
  readonly patience?: Duration;
};

/** A signal that a run of the rehearsal sent to one outside of it. */
export type SentSignal = { readonly to: string; readonly name: string; readonly payload: unknown };

export type Part = "steps" | "undos" | "patches";

const defaultPatienceMs = 4000;

export class Script {
  readonly options: RehearsalOptions;
  /** How long something may take in real time. */
  readonly patienceMs: number;
  /** A mistake in the rehearsal that was found where it cannot be thrown. */
  misuse: RehearsalError | null = null;
  readonly sent: SentSignal[] = [];
  readonly #root: Definition;
  readonly #workflows = new Map<string, Definition>();
  /** Children that were started. */
  readonly #children = new Set<string>();
  /** The steps, undos and patches that workflows used, by the workflow's name. */
  readonly #used = new Map<string, Record<Part, Set<string>>>();
  /** Workflows that undid a step themselves. */
  readonly #undone = new Set<string>();
  readonly #keys = new Set<string>();

  constructor(root: Definition, options: RehearsalOptions) {
    this.options = options;
    const { patience = defaultPatienceMs } = options;
    this.patienceMs = toMs(patience, "patience");
    this.#root = root;
    this.#workflows.set(root.name, root);
    for (const [name, part] of Object.entries(options.children ?? {})) {
      if (part === hang) this.#workflows.set(name, hanging(name));
      else if (typeof part === "function") this.#workflows.set(name, answering(name, part));
      else if (part.workflow !== undefined) this.register(part.workflow);
    }
  }

  /** Registers a workflow that a handler names by its definition. */
  register(workflow: unknown): void {
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
    this.#children.add(name);
    const definition = this.find(name);
    if (definition !== undefined) return definition;
    const why = `the run starts a child of workflow ${name}, which the rehearsal does not know`;
    this.refuse(`${why}: give { children: { ${JSON.stringify(name)}: (input) => output } }, or its workflow`);
    throw new HoldfastError("workflow_not_found", `no workflow is called ${name}`);
  }

  /** The stand-ins of this workflow's steps. */
  standIns(workflow: string): StandIns {
    if (workflow === this.#root.name) return this.options;
    const part = this.options.children?.[workflow];
    return typeof part === "object" ? part : {};
  }

  /** Notes that a step, an undo or a patch of this name was used. */
  noteUse(workflow: string, part: Part, name: string): void {
    this.#usedBy(workflow)[part].add(name);
  }

  /** Notes that a step was undone by its own function. */
  noteUndone(workflow: string): void {
    this.#undone.add(workflow);
  }

  /** A signal to a run outside of the rehearsal; one with a known key is a repetition. */
  send(to: string, { name, payload, key = "" }: SignalRequest): void {
    if (this.#keys.has(key)) return;
    this.#keys.add(key);
    this.sent.push({ to, name, payload: decode(payload) });
  }

  refuse(message: string): void {
    this.misuse ??= new RehearsalError(message);
  }

  /**
   * @param ends how the runs of a workflow ended; null where one has not
   * @throws RehearsalError for a stand-in that was never used, if all runs that could use it have ended
   */
  checkUsed(ends: (workflow: string) => readonly (EndEntry["kind"] | null)[]): void {
    if (this.options.lenient === true) return;
    const { name } = this.#root;
    const [end = null] = ends(name);
    if (end === "run.failed" && this.#undone.has(name)) {
      const why = "the run undid steps itself and never came to it; what may be undone";
      check(this.options, "undos", this.#usedBy(name).undos, why);
    }
    // A run that failed or was cancelled may not have reached the step.
    if (end !== "run.completed") return;
    const why = "the run has completed and never came to it; its";
    this.#checkParts(name, this.options, why);
    check(this.options, "children", this.#children, `${why} children`);
    for (const [child, given] of Object.entries(this.options.children ?? {})) {
      if (typeof given === "function" || !ends(child).every((kind) => kind === "run.completed")) continue;
      this.#checkParts(child, given, `the children of workflow ${child} have completed and never came to it; their`);
    }
  }

  #checkParts(workflow: string, given: StandIns, why: string): void {
    const used = this.#usedBy(workflow);
    check(given, "steps", used.steps, `${why} steps`);
    check(given, "undos", used.undos, `${why} steps that may be undone`);
    check(given, "patches", used.patches, `${why} patches`);
  }

  #usedBy(workflow: string): Record<Part, Set<string>> {
    const used = this.#used.get(workflow) ?? { steps: new Set(), undos: new Set(), patches: new Set() };
    this.#used.set(workflow, used);
    return used;
  }
}

function check<Given extends string>(
  given: { readonly [part in Given]?: object },
  part: Given,
  asked: ReadonlySet<string>,
  why: string,
): void {
  for (const name of Object.keys(given[part] ?? {})) {
    if (asked.has(name)) continue;
    const known = [...asked].join(", ") || "none";
    throw new RehearsalError(`${part}: ${JSON.stringify(name)}: ${why} were: ${known} (lenient: true allows it)`);
  }
}

/** A workflow that only returns an answer. */
function answering(name: string, answer: Answer): Definition {
  return standIn(name, (input, step) => step.run("answer", () => answer(input)));
}

/** A workflow that never ends: whoever waits for it times out. */
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
