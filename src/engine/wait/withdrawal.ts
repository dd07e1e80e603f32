/**
 * Owns: putting on record that waits were withdrawn, because their branch lost a race.
 * Does not own: withdrawing them (calls), which branch loses (race).
 * Invariant 1: once a run is live, no wait is open on record that was withdrawn: what a death kept from the record is
 * appended before anything else begins.
 */
import { emptyMap, put } from "../../core/empty.ts";
import type { CallKind } from "../../core/history/entry.ts";
import { callKey } from "../../core/state/state.ts";
import { recordKind } from "../call/call.ts";
import type { Pending } from "../call/call.ts";
import type { Course } from "../turn/course.ts";

export class Withdrawals {
  readonly #course: Course;
  /** Withdrawn waits of which that is not on record, by the key of the call. */
  #pending: Map<string, { readonly call: CallKind; readonly id: string }> = emptyMap;

  constructor(course: Course) {
    this.#course = course;
  }

  /** Nothing waits for this call any more. @param inVain the call was made after its branch had lost: a retry may have opened it before */
  add({ id, plan, begun }: Pick<Pending, "id" | "plan" | "begun">, inVain: boolean): void {
    const call = recordKind(plan);
    const key = callKey(call, id);
    const known = this.#course.state.calls.get(key);
    // A webhook comes on record only once it has its address.
    const comes = begun && plan.kind === "webhook";
    if (known === undefined ? comes : !known.done) this.#pending = put(this.#pending, key, { call, id });
    if (inVain && this.#course.live) this.record();
  }

  /** Puts on record that they were withdrawn, as far as the waits themselves are on record. */
  record(): void {
    if (this.#pending.size === 0) return;
    const { calls } = this.#course.state;
    const withdrawn = [...this.#pending].filter(([key]) => calls.has(key));
    for (const [key] of withdrawn) this.#pending.delete(key);
    const open = withdrawn.flatMap(([key, lost]) => (calls.get(key)?.done === false ? [lost] : []));
    if (open.length > 0) this.#course.record({ kind: "wait.withdrawn", calls: open });
  }
}
