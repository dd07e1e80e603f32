/** What `defineWorkflow` takes, and what the rest of Holdfast sees of it. */
import type { Duration } from "./duration.ts";
import type { Retry } from "./retry.ts";
import type { Schema } from "./schema.ts";
import type { Overlap } from "./service.ts";
import type { Step } from "./step.ts";

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
  /** The workflow's name unless set, with `#2` … for further rules. */
  readonly id?: string;
};

/** A workflow as the engine, the objects and the catalog see it; types of its values are gone. */
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
  readonly limits: { readonly steps: number; readonly perStep: Readonly<Record<string, number>> };
};
