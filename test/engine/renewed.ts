/** Random workflows that go on as new, up to three times, wherever it happens that they do so. */
import { createRandom } from "../../src/core/random.ts";
import { made, WideMaker } from "./program.ts";
import type { Jolt, Node, Program } from "./program.ts";

/**
 * The program of this seed. Some take updates and hear signals, some have schemas that take their time, also over what
 * they go on with, and some may make few calls of a step in each life.
 */
export function makeRenewedProgram(seed: number): Program {
  const random = createRandom(`renewed program ${seed}`);
  const maker = new RenewedMaker((limit) => Math.floor(random.next() * limit), seed % 2 === 0);
  maker.judges = seed % 3 === 0;
  const body = maker.renewed();
  const next = Array.from({ length: 1 + maker.below(3) }, () => maker.renewed());
  const perStep = maker.tame || maker.below(3) > 0 ? {} : { b: 2 + maker.below(3) };
  const steps = maker.tame || maker.below(6) > 0 ? 100_000 : 2 + maker.below(8);
  const [asks, judged] = [maker.below(2) === 0, seed % 5 === 0];
  return { ...made(seed, maker), body, next, asks, judged, steps, perStep, jolts: maker.jolts() };
}

export class RenewedMaker extends WideMaker {
  judges = false;

  override wait(): Node {
    return this.judges ? this.judged() : super.wait();
  }

  override node(depth: number, parallel: boolean): Node {
    // Beside it, time decides how far other branches come.
    const isFree = !(this.tame && parallel);
    return isFree && this.below(9) === 0 ? this.renewal() : super.node(depth, parallel);
  }

  override map(): Extract<Node, { t: "map" }> {
    const map = super.map();
    if (this.below(2) === 0) return map;
    const how = this.pick([{ settled: true }, { settled: true, tolerate: 1 }, { tolerate: 0.5 }] as const);
    // What is told of all of them does not hang on which comes first.
    const bad = this.tame && how.settled && !("tolerate" in how) ? this.some(map.spans.length) : map.bad;
    return { ...map, bad, fan: { concurrency: map.fan.concurrency, ...how } };
  }

  some(count: number): number[] {
    return Array.from({ length: count }, (_unused, i) => i).filter(() => this.below(3) === 0);
  }

  override updates(): Program["updates"] {
    return Array.from({ length: this.below(4) }, (_unused, i) => ({
      at: this.pick(this.spans) + this.below(3),
      argument: 100 + i,
    }));
  }

  renewal(): Node {
    return { t: "renew", waits: this.tame || this.below(5) > 0 };
  }

  /** What begins just before may still be at work, and what comes behind is never come to. */
  renewed(): Node {
    const before = this.nodes(1 + this.below(3), 2, false);
    return { t: "seq", nodes: [...before, this.last(), ...this.nodes(this.below(2), 1, false)] };
  }

  last(): Node {
    if (this.tame || this.below(2) === 0) return this.renewal();
    const mode = this.pick(["all", "allSettled", "race"] as const);
    const nodes = [...this.nodes(1 + this.below(2), 1, true), this.renewal()];
    return this.below(3) === 0 ? { t: "contest", nodes } : { t: "par", mode, nodes };
  }

  jolts(): Jolt[] {
    if (this.tame || this.below(3) === 0) return [];
    return Array.from({ length: 1 + this.below(3) }, () => ({
      write: 2 + this.below(24),
      turns: this.below(4),
      what: this.pick([
        "pause",
        "pause",
        "cancel",
        "terminate",
        "signal",
        "signal",
        "update",
        "update",
        "heard",
        "heard",
      ]),
    }));
  }
}
