/**
 * Owns: finding a courier with room, and calling it.
 * Does not own: the courier (courier), when a run needs one (engine/courier/orders).
 *
 * Couriers are in rows of one, two, four, and so on. To find room, two random couriers of each row are asked in turn: under
 * low load few are awake, and under high load a few calls still find room.
 */
import type { Couriers } from "../../engine/world.ts";
import { courierObject } from "../address.ts";
import { within } from "../patience.ts";

/** Allows 2,047 couriers, with 12,282 requests that wait for response headers. */
const rows = 11;
const patienceMs = 20_000;

/** The row where room was found last: the next search begins one row before it. */
let foundIn = 0;

/** The same for all runs. */
export const couriers: Couriers = {
  reserve: async (bytes) => {
    for (let row = Math.max(0, foundIn - 1); row < rows; row++) {
      for (const index of twoOf(row)) {
        if (!(await within(courierObject(index).reserveBerth(bytes), patienceMs))) continue;
        foundIn = row;
        return index;
      }
    }
    foundIn = 0;
    throw new Error("no courier has room");
  },
  send: async (courier, order) => await within(courierObject(courier).carryOrder(order), patienceMs),
  drop: async (courier, id) => await within(courierObject(courier).dropOrder(id), patienceMs),
};

/** Two random couriers of the row; the first row has only one. */
function twoOf(row: number): readonly number[] {
  const width = 2 ** row;
  const first = Math.floor(Math.random() * width);
  const second = (first + 1 + Math.floor(Math.random() * (width - 1))) % width;
  return [...new Set([first, second])].map((place) => width - 1 + place);
}
