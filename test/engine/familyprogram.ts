/** Random workflows that start children in every possible way, with faults and actions during their runs. */
import { createRandom } from "../../src/core/random.ts";
import type { ChildProgram } from "./childprogram.ts";
import { made } from "./program.ts";
import type { Node, Program } from "./program.ts";
import { RenewedMaker } from "./renewed.ts";

/** Happens to the run with this index among all started ones, that many turns after its write with this number. */
export type Fault = {
  readonly run: number;
  readonly write: number;
  readonly turns: number;
  readonly what: (typeof blows)[number];
};

const blows = [
  ...([
    "death",
    "death",
    "death",
    "eviction",
    "cancel",
    "terminate",
    "pause",
    "resume",
    "retry",
    "retry",
    "restart",
    "delete",
    "delete",
    "fork",
  ] as const),
  ...(["signal", "heard", "update", "update", "update"] as const),
];

export type FamilyProgram = Program & { readonly blows: readonly Fault[]; readonly lost: number };

/** The program for a seed; `lost` is the share of calls between runs that fail. */
export function makeFamilyProgram(seed: number): FamilyProgram {
  const random = createRandom(`kin program ${seed}`);
  const maker = new FamilyMaker((limit) => Math.floor(random.next() * limit), false);
  maker.judges = seed % 5 === 0;
  const renews = maker.below(3) === 0;
  const body = maker.family(renews);
  const next = renews ? [maker.renewed()] : [];
  const lost = maker.below(3) === 0 ? 0.2 : 0;
  const own = { asks: maker.below(2) === 0, judged: maker.judges, retries: seed % 3, pauses: [], cancelAt: null };
  return { ...made(seed, maker), ...own, body, next, lost, blows: maker.blows() };
}

class FamilyMaker extends RenewedMaker {
  /** How many more there may be. */
  #kin = 4;
  #shared: ChildProgram | null = null;

  override node(depth: number, parallel: boolean): Node {
    if (this.#kin > 0 && this.below(5) === 0) return this.kin();
    return this.below(8) === 0 ? this.tell() : super.node(depth, parallel);
  }

  tell(): Node {
    const to = this.pick(["root", "root", "parent", "shared", "self"] as const);
    return { t: "tell", to, name: this.pick(["go", "stop", "heard"]) };
  }

  kin(): Node {
    this.#kin--;
    const how = this.pick(["invoke", "invoke", "invoke", "start", "map"] as const);
    const id = this.pick(["derived", "derived", "derived", "own", "shared"] as const);
    const born = id === "shared" ? (this.#shared ??= this.born()) : this.born();
    const timeoutMs = this.below(3) > 0 ? null : this.pick([1, 300, 5000, 60_000, 26 * 3_600_000]);
    return { t: "kin", how, born, id, timeoutMs, policy: this.pick([null, "cancel", "terminate", "abandon"] as const) };
  }

  born(): ChildProgram {
    const nodes = this.nodes(1 + this.below(3), 1, false);
    const end = this.below(4) === 0 ? [{ t: this.pick(["throw", "bail", "fail"] as const) }] : [];
    const renews = this.below(5) === 0;
    const body: Node = { t: "seq", nodes: [...nodes, ...(renews ? [this.renewal()] : end)] };
    return { body, next: renews ? [{ t: "seq", nodes: this.nodes(1, 1, false) }] : [] };
  }

  /** One of them at least. */
  family(renews: boolean): Node {
    const more = renews ? [this.renewal()] : this.nodes(this.below(2), 1, false);
    return {
      t: "seq",
      nodes: [...this.nodes(this.below(2), 1, false), this.kin(), ...this.nodes(2, 2, false), ...more],
    };
  }

  blows(): Fault[] {
    return Array.from({ length: this.below(9) }, () => ({
      run: this.below(3),
      write: 1 + this.below(12),
      turns: this.below(4),
      what: this.pick(blows),
    }));
  }
}
