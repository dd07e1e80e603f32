/** What is counted and kept: the words of counted.json. */

/** Kinds of objects, by what they are for. `child` is a run that another one started. */
export const kinds = ["run", "child", "key", "shard", "register", "courier", "scheduler", "lane", "roll"] as const;
export type Kind = (typeof kinds)[number];

/** What objects of one kind take for one run, on average. */
export type Taken = {
  readonly calls: number;
  readonly rowsWritten: number;
  readonly rowsRead: number;
  readonly awakeMs: number;
};
export type TakenByKind = Readonly<Partial<Record<Kind, Taken>>>;

/** A typical run. */
export type Shape = {
  readonly name: string;
  readonly what: string;
  /** As the hosted product counts them: sleeps and waits included. */
  readonly steps: number;
  /** As Temporal Cloud counts them; null where its page gives no plain number. */
  readonly actions: number | null;
  /** Calls of the Worker from outside. */
  readonly workerRequests: number;
  /** Runs that were counted. */
  readonly runs: number;
  readonly taken: TakenByKind;
  /** Size of the run's own database at its end. */
  readonly bytes: number;
  /** What the run itself says it took (`used` on its record). */
  readonly meter: { readonly rowsWritten: number; readonly requests: number; readonly awakeMs: number };
};

/** One deployment under load. */
export type Load = {
  readonly shards: number;
  readonly runs: number;
  readonly clients: number;
  /** Of each shard, in order: calls it took and rows it wrote. */
  readonly calls: readonly number[];
  readonly rows: readonly number[];
  readonly registerCalls: readonly number[];
  readonly registerRows: readonly number[];
  /** How many runs were listed when the following was asked. */
  readonly listed: number;
  /** Calls to all shards, and rows they read, for one request of each kind. */
  readonly asked: readonly {
    readonly what: string;
    readonly calls: number;
    readonly rowsRead: number;
    readonly bytes: number;
  }[];
};

/** One shard, asked over and over. Milliseconds and microseconds of CPU time of the whole runtime. */
export type Probe = {
  readonly reports: number;
  readonly reportCpuMs: number;
  /** A call of the same object that does nothing. */
  readonly emptyCallCpuMs: number;
  readonly shardBytesPerRun: number;
  readonly registerBytesPerRun: number;
  /** What looking at every row takes, a row. */
  readonly looks: readonly { readonly what: string; readonly cpuUsPerRow: number }[];
};

export type Figures = {
  readonly at: string;
  readonly command: string;
  readonly machine: string;
  readonly shapes: readonly Shape[];
  /** What the end of a run's retention takes beyond its life. */
  readonly removal: TakenByKind;
  /** A Cron Trigger's tick, of which there is one a minute. */
  readonly tick: TakenByKind;
  /** Listing every run anew, so many of them: what all objects together took. */
  readonly rebuild: {
    readonly runs: number;
    readonly calls: number;
    readonly rowsWritten: number;
    readonly rowsRead: number;
  };
  /** CPU time of the whole runtime for a run of five steps: an upper bound for the Worker's part of it. */
  readonly cpuMsPerRun: number;
  readonly probe: Probe;
  readonly loads: readonly Load[];
};

/** @throws where there is no such shape */
export function shapeNamed({ shapes }: Figures, name: string): Shape {
  const shape = shapes.find((each) => each.name === name);
  if (shape === undefined) throw new Error(`no runs of "${name}" were counted`);
  return shape;
}
