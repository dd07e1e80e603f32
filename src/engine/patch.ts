/**
 * Owns: `step.patched`: which side of a change of the code a run takes.
 * Does not own: adopting steps that come and go without it (adoption).
 * Invariant 1: a run that came here once takes the same side for ever: the new one where that is on record,
 * else the old one (guarantee 7).
 */
import { checkName } from "../core/name.ts";
import type { Adoption } from "./adoption.ts";
import type { Calls } from "./calls.ts";
import type { Course } from "./course.ts";
import type { Said } from "./said.ts";
import type { Withdrawals } from "./withdrawal.ts";
import { onlyDeployment } from "./world.ts";

/** Who knows how far the handler is in the record. */
type Told = { readonly said: Said; readonly adoption: Adoption; readonly withdrawals: Withdrawals };

export class Patches {
  readonly #course: Course;
  readonly #calls: Calls;
  readonly #record: Told;
  /** Those that an earlier life passed without them. */
  readonly #passed = new Set<string>();

  constructor(course: Course, calls: Calls, record: Told) {
    this.#course = course;
    this.#calls = calls;
    this.#record = record;
  }

  /** @throws HoldfastError name_invalid */
  has(id: unknown): boolean {
    const patch = checkName(id, "patch");
    const { state, over } = this.#course;
    if (state.patches.has(patch)) return true;
    if (over || this.#passed.has(patch)) return false;
    const ahead = this.#isAhead;
    if (ahead) this.#course.record({ kind: "patch.adopted", patch });
    else this.#passed.add(patch);
    return ahead;
  }

  /** No earlier life can have come to where the handler is. */
  get #isAhead(): boolean {
    return (this.#course.live || this.#course.first || this.#isAtEdge) && !this.#calls.frozen;
  }

  /**
   * The handler has heard all that is on record, and asked again for all that is open there. If a life came to here, it
   * was with this code, and a death took that back. In earnest nobody knows: a deployment may have come and gone
   * between two entries, and what it had in flight would be done on the other side as well.
   */
  get #isAtEdge(): boolean {
    const { said, adoption, withdrawals } = this.#record;
    if (this.#course.world.deployment !== onlyDeployment || said.isPast || said.muted) return false;
    // What it let go of is open no more.
    withdrawals.tell();
    return adoption.awaited().every((key) => this.#calls.pending.has(key));
  }
}
