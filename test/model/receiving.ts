/** Random workflows of the model that take calls of webhooks, and hear signals, also such as they wait for. */
import { createRandom } from "../../src/core/random.ts";
import { made, RenewedMaker, signals } from "./program.ts";
import type { Happening, Node, Program } from "./program.ts";

const hooks = ["paid", "signed"] as const;

/** The program of this seed, which may go on as new. */
export function makeReceivingProgram(seed: number, unitMs: number): Program {
  const random = createRandom(`receiving model ${seed}`);
  const maker = new ReceivingMaker((limit) => Math.floor(random.next() * limit));
  return made(seed, unitMs, maker, maker.below(4) === 0 ? maker.lives() : [maker.body()]);
}

class ReceivingMaker extends RenewedMaker {
  #isHearing = false;

  override node(depth: number): Node {
    return !this.#isHearing && this.below(4) === 0 ? this.receiver() : super.node(depth);
  }

  receiver(): Node {
    if (this.below(2) === 0) return this.listener();
    return {
      t: "hook",
      name: this.pick(hooks),
      timeout: this.below(2) === 0 ? null : this.units(),
      nap: this.below(2) === 0 ? 0 : this.units(),
      judging: this.below(2) === 0 ? 0 : this.units(),
    };
  }

  /** Nobody can say in which order several of them clean up: they do not. */
  listener(): Node {
    this.#isHearing = true;
    const nodes = Array.from({ length: this.below(3) }, () => super.node(0));
    this.#isHearing = false;
    return { t: "listen", name: this.pick([...signals, "note"]), body: { t: "seq", nodes } };
  }

  override body(): Node {
    return { t: "seq", nodes: [...this.nodes(this.below(2), 1), this.receiver(), ...this.nodes(1 + this.below(3), 3)] };
  }

  override history(): Happening[] {
    const history = super.history().map((happening): Happening => {
      return happening.what === "signal" && this.below(3) === 0 ? { ...happening, name: "note" } : happening;
    });
    for (let i = this.below(6); i > 0; i--) {
      const own = { good: this.below(3) > 0, again: this.below(3) === 0 };
      const webhook = this.pick([...hooks, ...hooks, "paid#2"]);
      history.push({ at: this.units() * (1 + this.below(3)), key: `call-${i}`, what: "call", webhook, ...own });
    }
    return history.toSorted((one, other) => one.at - other.at);
  }
}
