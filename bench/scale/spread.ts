/** Owns: the tables of docs/scale.md on objects, shards, and the cost of reading them. Pure. */
import { prices } from "../../src/core/run/price.ts";
import { kinds, shapeNamed } from "./figures.ts";
import type { Figures, Kind } from "./figures.ts";
import { dollars, money, number, table, whole } from "./markdown.ts";
import { simulate } from "./queue.ts";
import { advice, expectedUnevenness, mostShards, needOf, pageShare, target, unevenness } from "./shards.ts";
import type { Demand, Need } from "./shards.ts";

const million = 1e6;
const billion = 1e9;

export function spreadTables(figures: Figures): Readonly<Record<string, string>> {
  return {
    objects: objectTable(figures),
    shards: shardTable(figures),
    single: singleTable(figures),
    load: loadTable(figures),
    probe: probeTable(figures),
    asked: askedTable(figures),
    looks: lookTable(figures),
    pages: pageTable(figures),
    queue: queueTable(figures),
  };
}

const kindTexts: Readonly<Record<Kind, readonly [string, string]>> = {
  run: ["run", "one for each run"],
  child: ["run (child)", "one for each child"],
  key: ["key", "one for each `Idempotency-Key` that comes with an id of its own"],
  shard: ["directory shard", "`DIRECTORY_SHARDS`"],
  register: ["register", "one for each shard"],
  courier: ["courier", "one, then two more, then four …: as many as requests under way need"],
  scheduler: ["scheduler", "one"],
  lane: ["lane", "one for each lane, or limit and key"],
  roll: ["roll of lanes", "one"],
};

function objectTable({ shapes }: Figures): string {
  const rows = kinds.map((kind) => {
    const [name, count] = kindTexts[kind];
    const cells = shapes.map(({ taken }) => {
      const each = taken[kind];
      return each === undefined ? "–" : `${number(each.calls)} / ${number(each.rowsWritten)}`;
    });
    return [name, count, ...cells];
  });
  return table(["object", "how many there are", ...shapes.map(({ name }) => name)], rows);
}

/** The load of the directory from runs that are reported at their start, in a wait, and at their end. */
function demandOf(figures: Figures, runsPerMonth: number, keptDays: number): Demand {
  const { removal, probe } = figures;
  const calls = (shapeNamed(figures, "approval").taken.shard?.calls ?? 0) + (removal.shard?.calls ?? 0);
  return {
    runsPerMonth,
    keptDays,
    callsPerRun: calls,
    bytesPerRun: probe.shardBytesPerRun,
    lookUsPerRow: Math.max(...probe.looks.map(({ cpuUsPerRow }) => cpuUsPerRow)),
  };
}

const volumes: readonly (readonly [string, number])[] = [
  ["1 million", million],
  ["100 million", 100 * million],
  ["1 billion", billion],
];

function shardTable(figures: Figures): string {
  const rows = volumes.flatMap(([name, runs]) =>
    [30, 7].map((days) => {
      const need = needOf(demandOf(figures, runs, days));
      const wanted = Math.max(need.byCalls, need.byBytes, need.byLooks);
      return [
        name,
        `${days} days`,
        number(need.runsPerSecond),
        number(need.peakCallsPerSecond),
        whole(need.byCalls),
        whole(need.byBytes),
        whole(need.byLooks),
        wanted > mostShards ? `**${whole(need.shards)}** (${whole(wanted)} wanted)` : `**${whole(need.shards)}**`,
        lookOf(need),
      ];
    }),
  );
  return table(
    [
      "runs a month",
      "kept",
      "runs a second, mean",
      `calls of shards a second, peak × ${target.peak}`,
      "shards by calls",
      "by bytes",
      "by looks",
      "`DIRECTORY_SHARDS`",
      "rows a shard, and a look at all of them",
    ],
    rows,
  );
}

function lookOf({ rowsPerShard, lookMs }: Need): string {
  return `${whole(rowsPerShard)}, ${lookMs < 100 ? `${Math.ceil(lookMs)} ms` : `${number(lookMs / 1000)} s`}`;
}

/** Objects whose number is fixed. */
function singleTable(figures: Figures): string {
  const calls = (name: string, kind: Kind): number => shapeNamed(figures, name).taken[kind]?.calls ?? 0;
  const rates = (each: number): string[] =>
    [advice.writingLow, advice.writingHigh, advice.most].map((most) => number(most / each));
  const lane = calls("lane", "lane");
  const scheduler = calls("schedule", "scheduler");
  // With one shard, it receives all calls.
  const broadcast = figures.loads[0]?.asked.find(({ what }) => what === "a broadcast")?.calls ?? NaN;
  return table(
    ["object", "calls", `${advice.writingLow} calls a second`, `${advice.writingHigh}`, `${advice.most}`, "of what"],
    [
      ["one lane, or one key of a limit", `${number(lane)} a run`, ...rates(lane), "runs (or limited steps) a second"],
      ["the scheduler", `${number(scheduler)} a firing`, ...rates(scheduler), "firings a second, of all schedules"],
      ["one run", "1 a signal, query, webhook call or news of a child", ...rates(1), "of these a second, to one run"],
      [
        "the first shard",
        `${broadcast} a broadcast`,
        ...rates(broadcast),
        "broadcasts a second, beside its share of the runs",
      ],
    ],
  );
}

function loadTable({ loads }: Figures): string {
  const rows = loads.map(({ shards, runs, calls, rows: written, registerCalls, registerRows }) => {
    const sum = (counts: readonly number[]): number => counts.reduce((one, other) => one + other, 0);
    return [
      shards,
      whole(runs),
      number(sum(calls) / runs),
      number(sum(written) / runs),
      number(sum(registerCalls) / runs),
      number(sum(registerRows) / runs),
      `${whole(Math.min(...calls))} to ${whole(Math.max(...calls))}`,
      unevenness(written).toFixed(3),
      `≤ ${expectedUnevenness(runs, shards).toFixed(3)}`,
    ];
  });
  return table(
    [
      "shards",
      "runs",
      "calls of shards a run",
      "rows a run",
      "calls of registers a run",
      "rows a run",
      "calls, least to most of a shard",
      "fullest shard by the mean",
      "even chance",
    ],
    rows,
  );
}

function probeTable({ probe }: Figures): string {
  const { reports, reportCpuMs, emptyCallCpuMs, shardBytesPerRun, registerBytesPerRun, looks } = probe;
  return table(
    ["one shard", ""],
    [
      [`CPU time of a report, of ${whole(reports)}, its caller and the register included`, `${reportCpuMs} ms`],
      ["CPU time of a call that does nothing", `${emptyCallCpuMs} ms`],
      ["bytes a run, in the shard", whole(shardBytesPerRun)],
      ["bytes a run, in the register", whole(registerBytesPerRun)],
      ...looks.map(({ what, cpuUsPerRow }) => [`CPU time a row: ${what}`, `${number(cpuUsPerRow)} µs`]),
    ],
  );
}

function askedTable({ loads }: Figures): string {
  const [first] = loads;
  const rows = (first?.asked ?? []).map(({ what }) => [
    what,
    ...loads.map(({ asked }) => {
      const found = asked.find((each) => each.what === what);
      return `${whole(found?.calls ?? 0)} / ${whole(found?.rowsRead ?? 0)}`;
    }),
  ]);
  const runs = first?.runs ?? 0;
  return table(
    [`calls of shards / rows read, with ${whole(runs)} runs`, ...loads.map(({ shards }) => `${shards}`)],
    rows,
  );
}

/** Requests that read all rows, and their cost for many rows. */
function lookTable({ loads }: Figures): string {
  const [first] = loads;
  const listed = first?.listed ?? 1;
  const rows = (first?.asked ?? [])
    .filter(({ rowsRead }) => rowsRead >= listed)
    .map(({ what, rowsRead }) => {
      const perRow = (rowsRead / listed) * prices.perRowRead;
      const each = [million, 100 * million, billion].map((kept) => dollars(perRow * kept));
      return [what, number(rowsRead / listed), ...each, money(perRow * million * 30 * 24 * 60)];
    });
  return table(
    [
      "one request",
      "rows read for each run that is kept",
      "1 million kept",
      "100 million",
      "1 billion",
      "1 million kept, once a minute, a month",
    ],
    rows,
  );
}

/** The memory that a page needs in the Worker. */
function pageTable({ loads }: Figures): string {
  const page = loads[0]?.asked.find(({ what }) => what === "a page of 50 runs");
  const bytes = (page?.bytes ?? 0) / 50;
  const shardCounts = [4, 32, 128, 512, mostShards];
  const rows = [50, 200].map((limit) => [
    `a page of ${limit}`,
    ...shardCounts.map((shards) => {
      const runs = shards * pageShare(limit, shards);
      return `${whole(runs)}, ${number((runs * bytes) / 1e6)} MB`;
    }),
  ]);
  return table(["runs that all shards send, as JSON", ...shardCounts.map(String)], rows);
}

function queueTable(figures: Figures): string {
  const { probe } = figures;
  const advised = 1000 / advice.writingLow;
  const rows = volumes.flatMap(([name, runs]) => {
    const need = needOf(demandOf(figures, runs, 30));
    const counts = [need.byCalls, need.byCalls / 2, need.byCalls / 4].map((count) => Math.max(1, Math.ceil(count)));
    return [...new Set(counts)].map((shards) => [
      name,
      number(need.peakCallsPerSecond),
      shards,
      ...[advised, probe.reportCpuMs].flatMap((serviceMs) => waitsOf(need.peakCallsPerSecond, shards, serviceMs)),
    ]);
  });
  return table(
    [
      "runs a month",
      "calls a second",
      "shards",
      `at ${advised} ms a call (the low end of the advice): busy`,
      "wait p50 / p99",
      `at ${probe.reportCpuMs} ms (measured CPU time): busy`,
      "wait p50 / p99",
    ],
    rows,
  );
}

function waitsOf(callsPerSecond: number, shards: number, serviceMs: number): string[] {
  if ((callsPerSecond * serviceMs) / 1000 / shards >= 1) return ["all the time", "without end"];
  const { busy, p50, p99 } = simulate({ seed: "scale", shards, callsPerSecond, serviceMs, calls: 100_000 });
  return [`${Math.round(busy * 100)} %`, `${number(p50)} / ${number(p99)} ms`];
}
