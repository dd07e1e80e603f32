/** The types of the figures in counted.json. */

/** Kinds of objects, by what they are for. `child` is a run that another one started. */
export const kinds = ["run", "child", "key", "shard", "register", "courier", "scheduler", "lane", "roll"] as const;
export type Kind = (typeof kinds)[number];

/** The average usage of objects of one kind for one run. */
export type Taken = {
  readonly calls: number;
  readonly rowsWritten: number;
  readonly rowsRead: number;
  readonly awakeMs: number;
};
/** What `of` says of each field. */
export function takenOf(of: (field: keyof Taken) => number): Taken {
  return { calls: of("calls"), rowsWritten: of("rowsWritten"), rowsRead: of("rowsRead"), awakeMs: of("awakeMs") };
}

/** To three places. */
export function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

export type TakenByKind = Readonly<Partial<Record<Kind, Taken>>>;

/** A typical run. */
export type Shape = {
  readonly name: string;
  readonly what: string;
  /** As counted by the hosted product, including sleeps and waits. */
  readonly steps: number;
  /** Calls of the Worker from outside. */
  readonly workerRequests: number;
  /** The number of counted runs. */
  readonly runs: number;
  readonly taken: TakenByKind;
  /** The size of the run's database at its end. */
  readonly bytes: number;
  /** The usage that the run itself recorded (`used`). */
  readonly meter: { readonly rowsWritten: number; readonly requests: number; readonly awakeMs: number };
};

/** One deployment under load. */
export type Load = {
  readonly shards: number;
  readonly runs: number;
  readonly clients: number;
  /** By shard: calls received and rows written. */
  readonly calls: readonly number[];
  readonly rows: readonly number[];
  readonly registerCalls: readonly number[];
  readonly registerRows: readonly number[];
  /** The number of listed runs during the following requests. */
  readonly listed: number;
  /** The calls of all shards, and the rows read, for one request of each kind. */
  readonly asked: readonly {
    readonly what: string;
    readonly calls: number;
    readonly rowsRead: number;
    readonly bytes: number;
  }[];
};

/** One shard under repeated calls, in milliseconds and microseconds of CPU time of the whole runtime. */
export type Probe = {
  readonly reports: number;
  readonly reportCpuMs: number;
  /** An empty call of the same object. */
  readonly emptyCallCpuMs: number;
  readonly shardBytesPerRun: number;
  readonly registerBytesPerRun: number;
  /** The cost per row of requests that read all rows. */
  readonly looks: readonly { readonly what: string; readonly cpuUsPerRow: number }[];
};

export type Figures = {
  readonly at: string;
  readonly command: string;
  readonly machine: string;
  readonly shapes: readonly Shape[];
  /** The usage of a removal after the retention. */
  readonly removal: TakenByKind;
  /** The usage of a tick of the Cron Trigger, once a minute. */
  readonly tick: TakenByKind;
  /** The usage of all objects for rebuilding the directory of that many runs. */
  readonly rebuild: Omit<Taken, "awakeMs"> & { readonly runs: number };
  /** The CPU time of the whole runtime for a run of five steps, which is an upper bound for the Worker. */
  readonly cpuMsPerRun: number;
  readonly probe: Probe;
  readonly loads: readonly Load[];
};

/** @throws if there is no such shape */
export function shapeNamed({ shapes }: Figures, name: string): Shape {
  const shape = shapes.find((each) => each.name === name);
  if (shape === undefined) throw new Error(`no runs of "${name}" were counted`);
  return shape;
}
