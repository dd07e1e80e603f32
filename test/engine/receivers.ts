/** Random workflows to which much comes from outside: calls of webhooks, and signals that functions of theirs hear. */
import { createRandom } from "../../src/core/random.ts";
import { hookNames, made } from "./program.ts";
import type { Jolt, Node, PlannedSignal, Program } from "./program.ts";
import { RenewedMaker } from "./renewed.ts";

const manners = ["note", "note", "step", "sleep", "wait"] as const;

/** The program of this seed. Some go on as new, and some have schemas that take their time. */
export function makeReceivingProgram(seed: number): Program {
  const random = createRandom(`receiving program ${seed}`);
  const maker = new ReceivingMaker((limit) => Math.floor(random.next() * limit), seed % 2 === 0);
  maker.judges = seed % 5 === 0;
  const isRenewed = maker.below(3) === 0;
  const body = maker.receiving(isRenewed);
  const next = isRenewed ? [maker.receiving(true)] : [];
  return { ...made(seed, maker), body, next, asks: maker.below(2) === 0, jolts: maker.jolts() };
}

export class ReceivingMaker extends RenewedMaker {
  override node(depth: number, parallel: boolean): Node {
    return this.below(4) === 0 ? this.receiver() : super.node(depth, parallel);
  }

  receiver(): Node {
    return this.below(2) === 0 ? this.address() : this.listener();
  }

  address(): Node {
    return {
      t: "address",
      name: this.pick(hookNames),
      timeoutMs: this.tame || this.below(2) === 0 ? null : this.pick(this.spans),
      napMs: this.below(2) === 0 ? 0 : this.pick(this.spans),
      judge: this.pick(["none", "quick", "slow"] as const),
      answer: this.pick(["none", "slow"] as const),
    };
  }

  /** What it hears, no wait takes any more: which of the two is first, time decides. */
  listener(): Node {
    if (this.tame) return { t: "listener", name: "note", manner: this.pick(["note", "step", "sleep"] as const) };
    const manner = this.below(12) === 0 ? "throw" : this.pick(manners);
    return { t: "listener", name: this.pick(["note", "go", "stop"]), manner };
  }

  receiving(isRenewed: boolean): Node {
    const end = isRenewed ? [this.last()] : [];
    return {
      t: "seq",
      nodes: [...this.nodes(this.below(2), 1, false), this.receiver(), ...this.nodes(2, 2, false), ...end],
    };
  }

  override signals(): PlannedSignal[] {
    return super.signals().map((signal) => (this.below(3) === 0 ? { ...signal, name: "note" } : signal));
  }

  override jolts(): Jolt[] {
    return super.jolts().map((jolt) => (this.below(3) === 0 ? { ...jolt, what: "call" } : jolt));
  }
}
