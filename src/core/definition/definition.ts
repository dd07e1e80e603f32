/** What `defineWorkflow` takes, and what the rest of Holdfast sees of it. */
import type { Duration } from "../duration.ts";
import { isPlain } from "../option.ts";
import type { Retry } from "./retry.ts";
import type { Schema } from "./schema.ts";
import type { Step } from "./step.ts";
import type { Overlap } from "../service/schedules.ts";

export type Limits = {
  /** Calls of `step` in one run; 100,000 unless set. */
  readonly steps?: number;
  /** Calls of one step name. */
  readonly perStep?: Readonly<Record<string, number>>;
};

export type ScheduleRule<Input = unknown> = {
  /** Five fields (or six, seconds first), as croner reads them; weekdays 0 and 7 are Sunday. */
  readonly cron: string;
  /** IANA name; UTC unless set. */
  readonly timezone?: string;
  readonly input?: Input;
  /** What to do when the previous run of this schedule has not ended; "skip" unless set. */
  readonly overlap?: Overlap;
  /** How late a missed firing may still run, the latest of them only; 1 hour unless set. */
  readonly catchUp?: Duration;
  /** Start up to this much later, the same for the same firing. */
  readonly jitter?: Duration;
  /** Pause the schedule when a run that it started fails; false unless set. */
  readonly pauseOnFailure?: boolean;
  /** The workflow's name unless set, with `#2` … for further rules. */
  readonly id?: string;
};

/** How many at once; with `key`, how many for each key. */
export type Concurrency<Input = unknown> =
  | number
  | {
      readonly limit: number;
      readonly key?: (input: Input) => string;
      /** Of whole runs, which is the default, or of executing steps only. */
      readonly scope?: "run" | "step";
      /** A parked run keeps its slot. */
      readonly hold?: boolean;
    };

/** How many in any span of `period`; with `key`, how many for each key. */
export type Rate<Input = unknown> = {
  readonly limit: number;
  readonly period: Duration;
  readonly key?: (input: Input) => string;
};

/** One unfinished run at a time; with `key`, one for each key. */
export type Singleton<Input = unknown> = {
  readonly key?: (input: Input) => string;
  /** A start beside it finds the run that exists, cancels and replaces it, or waits for its end. */
  readonly mode: "skip" | "replace" | "queue";
};

/** Starts that follow each other within `period` are one, with the latest input. */
export type Debounce<Input = unknown> = {
  readonly period: Duration;
  readonly key?: (input: Input) => string;
  /** The run begins this long after the first start at the latest. */
  readonly max?: Duration;
};

/** Limits that starts and runs of a workflow are held to. */
export type Flow<Input = unknown> = {
  /** The name of a limit that workflows share; with `limit`, what it is unless it was set at run time. */
  readonly lane?: string | { readonly name: string; readonly limit: number };
  readonly concurrency?: Concurrency<Input>;
  /** A start beyond it is refused with rate_limited. */
  readonly rateLimit?: Rate<Input>;
  /** A start beyond it waits. */
  readonly throttle?: Rate<Input>;
  readonly singleton?: Singleton<Input>;
  readonly debounce?: Debounce<Input>;
  /** Higher first; each unit is a head start of a minute, so that nobody starves. 0 unless set. */
  readonly priority?: number | ((input: Input) => number);
};

/** A workflow as the engine, the objects and the catalog see it, without the types of its values. */
export type Definition = {
  readonly name: string;
  readonly version: string;
  readonly handler: (input: never, step: Step<never>) => unknown;
  readonly input: Schema | undefined;
  readonly output: Schema | undefined;
  readonly signals: Readonly<Record<string, Schema>>;
  readonly retry: Retry | undefined;
  readonly timeoutMs: number | null;
  readonly schedules: readonly ScheduleRule[];
  readonly retentionMs: number;
  readonly labels: ((input: never) => Record<string, string>) | undefined;
  /** Addresses that are told of the end of a run; absent for none. */
  readonly notify?: (input: never) => string | readonly string[] | null | undefined;
  readonly flow: Flow<never>;
  readonly limits: { readonly steps: number; readonly perStep: Readonly<Record<string, number>> };
};

/** Whether it is what `defineWorkflow` made, in code that may not have been compiled with types. */
export function isWorkflow(value: unknown): value is { readonly definition: Definition } {
  if (!isPlain(value)) return false;
  const { definition } = value;
  return isPlain(definition) && typeof definition["handler"] === "function";
}
