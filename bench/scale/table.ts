/** Owns: the tables of docs/scale.md, made of the figures that were counted. Pure. */
import { prices } from "../../src/core/price.ts";
import {
  amountsOf,
  breakEvenSteps,
  hostedBill,
  hostedPrice,
  listPrice,
  meters,
  monthlyBill,
  secondsForAStep,
  sumOf,
  total,
} from "./bill.ts";
import type { Meter } from "./bill.ts";
import { kinds } from "./figures.ts";
import type { Figures, Kind, Shape, TakenByKind } from "./figures.ts";
import { peers, readAt } from "./peers.ts";
import { simulate } from "./queue.ts";
import { advice, expectedUnevenness, mostShards, needOf, pageShare, target, unevenness } from "./shards.ts";
import type { Demand, Need } from "./shards.ts";

const million = 1e6;
const billion = 1e9;

/** Name → the Markdown between its two marks in docs/scale.md. */
export function tables(figures: Figures): Readonly<Record<string, string>> {
  return {
    source: sourceOf(figures),
    taken: takenTable(figures),
    removal: removalTable(figures),
    price: priceTable(figures),
    bill: billTable(figures),
    break: breakText(figures),
    minute: minuteText(figures),
    peers: peerTable(figures),
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

/** The document with each table in its place. @throws where a mark is missing */
export function fill(document: string, figures: Figures): string {
  return Object.entries(tables(figures)).reduce((text, [name, table]) => {
    const [open, close] = [`<!-- scale:${name} -->`, `<!-- /scale:${name} -->`];
    const [from, to] = [text.indexOf(open), text.indexOf(close)];
    if (from < 0 || to < from) throw new Error(`docs/scale.md has no place for the table "${name}"`);
    return `${text.slice(0, from + open.length)}\n${table}\n${text.slice(to)}`;
  }, document);
}

function sourceOf({ at, command, machine }: Figures): string {
  return `Counted on ${at.slice(0, 10)} by \`${command}\` (${machine}); kept in [bench/scale/counted.json](../bench/scale/counted.json).`;
}

function takenTable({ shapes }: Figures): string {
  const rows = shapes.map(({ name, what, runs, taken, bytes, meter }) => {
    const own = taken.run ?? { calls: 0, rowsWritten: 0, rowsRead: 0, awakeMs: 0 };
    const others = total(taken, ({ rowsWritten }) => rowsWritten) - own.rowsWritten;
    return [
      `**${name}**: ${what}`,
      runs,
      number(own.rowsWritten),
      number(others),
      number(total(taken, ({ calls }) => calls)),
      number(total(taken, ({ rowsRead }) => rowsRead)),
      number(own.awakeMs),
      number(total(taken, ({ awakeMs }) => awakeMs) - own.awakeMs),
      number(bytes / 1024),
      `${number(meter.rowsWritten)} / ${number(meter.requests)}`,
    ];
  });
  return table(
    [
      "a run",
      "counted",
      "rows written, own object",
      "others",
      "calls of objects",
      "rows read",
      "own object awake, ms",
      "others",
      "database, KiB",
      "the run's own meter: rows / requests",
    ],
    rows,
  );
}

function removalTable({ removal, tick, rebuild, cpuMsPerRun }: Figures): string {
  const row = (what: string, taken: TakenByKind): (string | number)[] => [
    what,
    number(total(taken, ({ calls }) => calls)),
    number(total(taken, ({ rowsWritten }) => rowsWritten)),
    number(total(taken, ({ rowsRead }) => rowsRead)),
    number(total(taken, ({ awakeMs }) => awakeMs)),
  ];
  return [
    table(
      ["besides", "calls", "rows written", "rows read", "awake, ms"],
      [
        row("the removal of a run, once its retention is over", removal),
        row("a tick of the Cron Trigger", tick),
        [
          `\`POST /v1/directory/rebuild\`, for each of ${whole(rebuild.runs)} runs that are listed anew`,
          number(rebuild.calls / rebuild.runs),
          number(rebuild.rowsWritten / rebuild.runs),
          number(rebuild.rowsRead / rebuild.runs),
          "–",
        ],
      ],
    ),
    "",
    `The whole runtime took ${number(cpuMsPerRun)} ms of CPU time for a run of five steps: its client's HTTP, the Worker, all objects. That is taken below for the CPU time of the Worker's request, of which it is more than all.`,
  ].join("\n");
}

const meterNames: Readonly<Record<Meter, string>> = {
  rowsWritten: "rows written",
  rowsRead: "rows read",
  requests: "object requests",
  gigabyteSeconds: "duration",
  gigabyteMonths: "storage, a month",
  workerRequests: "Worker requests",
  workerCpuMs: "Worker CPU",
};

function priceTable(figures: Figures): string {
  const rows = figures.shapes.map((shape) => {
    const parts = listPrice(amountsOf(shape, figures));
    const cells = meters.map((meter) => money(parts[meter] * million));
    return [shape.name, ...cells, `**${money(sumOf(parts) * million)}**`, money(hostedPrice(shape.steps) * million)];
  });
  return table(
    ["a million runs of", ...meters.map((meter) => meterNames[meter]), "all", "hosted: steps and requests"],
    rows,
  );
}

function billTable(figures: Figures): string {
  const rows = figures.shapes.map((shape) => {
    const amounts = amountsOf(shape, figures);
    return [
      shape.name,
      ...[million, billion].flatMap((runs) => {
        const [ours, theirs] = [monthlyBill(amounts, runs), hostedBill(shape.steps, runs)];
        return [money(ours), money(theirs), (ours / theirs).toFixed(2)];
      }),
    ];
  });
  return table(
    ["runs of", "1 million: Holdfast", "hosted, at least", "ratio", "1 billion: Holdfast", "hosted, at least", "ratio"],
    rows,
  );
}

function breakText(figures: Figures): string {
  const price = (name: string): number => sumOf(listPrice(amountsOf(shapeNamed(figures, name), figures)));
  const [one, five] = [price("1 step"), price("5 steps")];
  const steps = breakEvenSteps(one, five);
  const each = (five - one) / 4;
  return [
    `A quick step costs ${money(each * million)} a million, a run besides its steps ${money((one - each) * million)}. A hosted step costs $8.00 a million. So from ${Math.ceil(steps)} steps on a run costs less here, and below that more.`,
    `An object that is awake for ${number(secondsForAStep())} s costs what one hosted step costs: where a run waits awake for longer than that for each of its steps, it is dearer here, whatever else it does.`,
  ].join("\n\n");
}

function minuteText(figures: Figures): string {
  const firings = 30 * 24 * 60;
  const { tick } = figures;
  const firing = sumOf(listPrice(amountsOf(shapeNamed(figures, "schedule"), figures)));
  const ticks = sumOf(
    listPrice({
      ...amountsOf(
        { ...shapeNamed(figures, "schedule"), taken: tick, bytes: 0, workerRequests: 1 },
        nothingRemoved(figures),
      ),
      gigabyteMonths: 0,
    }),
  );
  return `One schedule that fires each minute starts ${whole(firings)} runs a month: ${money(firing * firings)}. The Cron Trigger's tick, one a minute for the whole deployment, is ${money(ticks * firings)} a month.`;
}

function nothingRemoved(figures: Figures): Figures {
  return { ...figures, removal: {} };
}

function peerTable(figures: Figures): string {
  const own = sumOf(listPrice(amountsOf(shapeNamed(figures, "5 steps"), figures))) * million;
  const rows = peers.map(({ name, unit, perMillion: [first, least], unitsOfFiveSteps, besides, address, hand }) => [
    `[${name}](${address})${hand === "second" ? " ²" : ""}`,
    unit,
    first === least ? money(first) : `${money(first)} to ${money(least)}`,
    money(least * unitsOfFiveSteps),
    besides,
  ]);
  const ours = ["Holdfast", "all of it, see above", "–", `**${money(own)}**`, "nothing"];
  return [
    table(
      ["", "unit", "a million units", "a million runs of five quick steps, at the lowest of these", "comes on top"],
      [ours, ...rows],
    ),
    "",
    `Holdfast's figure is computed from what was counted, the others' from published prices, as read on ${readAt}; prices change. ² The page could not be read itself: the figure is what others wrote down of it this year.`,
  ].join("\n");
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

/** What the directory is asked to carry by runs of five steps. */
function demandOf(figures: Figures, runsPerMonth: number, keptDays: number): Demand {
  const { removal, probe } = figures;
  const calls = (shapeNamed(figures, "5 steps").taken.shard?.calls ?? 0) + (removal.shard?.calls ?? 0);
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
        need.byCalls,
        need.byBytes,
        need.byLooks,
        wanted > mostShards ? `**${need.shards}** (${wanted} wanted)` : `**${need.shards}**`,
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

/** Objects of which no setting makes more. */
function singleTable(figures: Figures): string {
  const calls = (name: string, kind: Kind): number => shapeNamed(figures, name).taken[kind]?.calls ?? 0;
  const rates = (each: number): string[] =>
    [advice.writingLow, advice.writingHigh, advice.most].map((most) => number(most / each));
  const lane = calls("lane", "lane");
  const scheduler = calls("schedule", "scheduler");
  return table(
    ["object", "calls", `${advice.writingLow} calls a second`, `${advice.writingHigh}`, `${advice.most}`, "of what"],
    [
      ["one lane, or one key of a limit", `${number(lane)} a run`, ...rates(lane), "runs (or limited steps) a second"],
      ["the scheduler", `${number(scheduler)} a firing`, ...rates(scheduler), "firings a second, of all schedules"],
      ["one run", "1 a signal, query, webhook call or news of a child", ...rates(1), "of these a second, to one run"],
      ["the first shard", "3 a broadcast, beside its share of the runs", ...rates(3), "broadcasts a second"],
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
      `${Math.min(...calls)} to ${Math.max(...calls)}`,
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

/** Requests for which every row is read, and what that costs where many are kept. */
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

function dollars(amount: number): string {
  return amount < 0.01 ? `$${amount.toPrecision(1)}` : money(amount);
}

/** What a page makes the Worker hold. */
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

function shapeNamed({ shapes }: Figures, name: string): Shape {
  const shape = shapes.find((each) => each.name === name);
  if (shape === undefined) throw new Error(`no runs of "${name}" were counted`);
  return shape;
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** Three digits, without those that say nothing. */
function number(value: number): string {
  if (value >= 1000) return whole(value);
  return String(Number(value.toPrecision(3)));
}

function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

function money(dollars: number): string {
  return dollars >= 1000 ? `$${whole(dollars)}` : `$${dollars.toFixed(2)}`;
}
