/**
 * Owns: finding a courier that has room, and reaching it.
 * Does not own: what a courier does (courier), when a run asks for one (engine/orders).
 *
 * Couriers form rows of one, two, four, and so on. Whoever looks for room asks two of each row, picked at random: while there
 * is little to do few are awake, and however many there are, room is found with a handful of questions.
 */
import type { Couriers } from "../engine/world.ts";
import { courierObject } from "./address.ts";
import { within } from "./patience.ts";

/** So there are 2,047 couriers at most, with room for 12,282 requests that wait for their headers. */
const rows = 11;
const patienceMs = 20_000;

/** Where room was found the last time: a hint to begin with, one row before it. */
let foundIn = 0;

export function createCouriers(): Couriers {
  return {
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
}

/** Two couriers of the row; of the first row the one that it has. */
function twoOf(row: number): readonly number[] {
  const width = 2 ** row;
  const first = Math.floor(Math.random() * width);
  const second = (first + 1 + Math.floor(Math.random() * (width - 1))) % width;
  return [...new Set([first, second])].map((place) => width - 1 + place);
}
