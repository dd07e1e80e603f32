/** Owns: the tables of docs/scale.md on the usage and cost of a run. Pure. */
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
import { shapeNamed } from "./figures.ts";
import type { Figures, TakenByKind } from "./figures.ts";
import { money, number, table, whole } from "./markdown.ts";
import { peers, readAt } from "./peers.ts";

const million = 1e6;
const billion = 1e9;

export function costTables(figures: Figures): Readonly<Record<string, string>> {
  return {
    taken: takenTable(figures),
    removal: removalTable(figures),
    price: priceTable(figures),
    bill: billTable(figures),
    break: breakText(figures),
    minute: minuteText(figures),
    peers: peerTable(figures),
  };
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
    `The whole runtime took ${number(cpuMsPerRun)} ms of CPU time for a run of five steps: its client's HTTP, the Worker, all objects. Below, that is taken as the CPU time of the Worker's request, which is surely less.`,
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
    `A quick step costs ${money(each * million)} a million, a run besides its steps ${money((one - each) * million)}. A hosted step costs $8.00 a million. So a run costs less here from ${Math.ceil(steps)} steps on, and more below that.`,
    `An object that is awake for ${number(secondsForAStep())} s costs what one hosted step costs: a run that waits awake for longer than that per step costs more here, whatever else it does.`,
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
  const ours = ["Holdfast", "all of it, see above", "–", `**${money(own)}**`, "a plan of $5 a month"];
  return [
    table(
      ["", "unit", "a million units", "a million runs of five quick steps, at the lowest of these", "comes on top"],
      [ours, ...rows],
    ),
    "",
    `Holdfast's figure is computed from what was counted, the others' from published prices, as read on ${readAt}; prices change. ² Not from the page itself, which could not be read: as quoted by others this year.`,
  ].join("\n");
}
