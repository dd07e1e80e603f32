/** Owns: what is counted and not timed, against its budgets. */
import { figure, limit } from "./budget.ts";
import type { Figure } from "./budget.ts";
import { countRuns } from "./count.ts";
import type { Costs, Counted, Work } from "./count.ts";
import type { Samples } from "./sample.ts";
import type { Server } from "./server.ts";

export async function countCosts(server: Server): Promise<Figure[]> {
  const counted = await countRuns(server);
  const { own, floor, bytes, floorBytes, calls } = counted;
  const whole = ({ rows, untold }: Costs): number => rows.perRun + untold.perRun;
  return [
    ...ofWork("rows written", "rows", counted, { step: 1, own: 4, directory: 4 }),
    // The floor creates its table by a call of its own, so a cursor reports that.
    figure("the same, own object, with what no cursor tells of", "", values(whole(own), whole(floor))),
    ...ofWork("SQL statements", "statements", counted),
    ...ofWork("commits", "commits", counted),
    // The floor's Worker makes one, to the object.
    figure("calls to objects per run, its start included", "", values(calls.perRun, 1)),
    figure("bytes stored per step", "B", values(bytes.perStep, floorBytes.perStep)),
    figure("bytes stored per run besides its steps", "B", values(bytes.perRun, floorBytes.perRun)),
  ];
}

type Limits = { readonly step: number; readonly own: number; readonly directory: number };

function ofWork(what: string, name: keyof Work, { own, directory, floor }: Counted, limits?: Limits): Figure[] {
  const perStep = own[name].perStep + directory[name].perStep;
  const budgets = (most: number | undefined) => (most === undefined ? [] : [limit(most, "")]);
  return [
    figure(`${what} per step`, "", values(perStep, floor[name].perStep), budgets(limits?.step)),
    figure(
      `${what} per run besides its steps, own object`,
      "",
      values(own[name].perRun, floor[name].perRun),
      budgets(limits?.own),
    ),
    figure(
      `${what} per run besides its steps, directory`,
      "",
      values(directory[name].perRun),
      budgets(limits?.directory),
    ),
  ];
}

function values(holdfast: number, floorA?: number): Samples {
  return { holdfast: [holdfast], ...(floorA === undefined ? {} : { floorA: [floorA] }) };
}
