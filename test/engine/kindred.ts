/** Random workflows that start others of their kind, in every way there is, each with what may come upon it. */
import { createRandom } from "../../src/core/random.ts";
import type { Born } from "./kin.ts";
import { made } from "./program.ts";
import type { Node, Program } from "./program.ts";
import { RenewedMaker } from "./renewed.ts";

/** Upon the run of this place among all that were started, so many turns behind the write of this number. */
export type Blow = {
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
  ] as const),
  ...(["signal", "heard", "update"] as const),
];

export type KinProgram = Program & { readonly blows: readonly Blow[]; readonly lost: number };

/** The program of this seed; `lost` is the share of calls between runs that the network loses. */
export function makeKinProgram(seed: number): KinProgram {
  const random = createRandom(`kin program ${seed}`);
  const maker = new KinMaker((limit) => Math.floor(random.next() * limit), false);
  maker.judges = seed % 5 === 0;
  const renews = maker.below(3) === 0;
  const body = maker.family(renews);
  const next = renews ? [maker.renewed()] : [];
  const lost = maker.below(3) === 0 ? 0.2 : 0;
  const own = { asks: maker.below(4) === 0, judged: maker.judges, retries: seed % 3, pauses: [], cancelAt: null };
  return { ...made(seed, maker), ...own, body, next, lost, blows: maker.blows() };
}

class KinMaker extends RenewedMaker {
  /** How many more there may be. */
  #kin = 4;
  #shared: Born | null = null;

  override node(depth: number, parallel: boolean): Node {
    return this.#kin > 0 && this.below(5) === 0 ? this.kin() : super.node(depth, parallel);
  }

  /** Nobody makes requests for it. */
  override fetch(): Node {
    return this.run();
  }

  kin(): Node {
    this.#kin--;
    const how = this.pick(["invoke", "invoke", "invoke", "start", "map"] as const);
    const id = this.pick(["derived", "derived", "derived", "own", "shared"] as const);
    const born = id === "shared" ? (this.#shared ??= this.born()) : this.born();
    const timeoutMs = this.below(3) > 0 ? null : this.pick([1, 300, 5000, 60_000, 26 * 3_600_000]);
    return { t: "kin", how, born, id, timeoutMs, policy: this.pick([null, "cancel", "terminate", "abandon"] as const) };
  }

  born(): Born {
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

  blows(): Blow[] {
    return Array.from({ length: this.below(9) }, () => ({
      run: this.below(3),
      write: 1 + this.below(12),
      turns: this.below(4),
      what: this.pick(blows),
    }));
  }
}
