/** Signals of one name that a run has received, in order of arrival, until somebody consumes them. */
import type { EntryOf } from "../history/entry.ts";

type Received = EntryOf<"signal.received">;

export class Inbox {
  /** Those before `head` were consumed. */
  readonly items: Received[] = [];
  head = 0;

  /** How many have not been consumed. */
  get count(): number {
    return this.items.length - this.head;
  }

  /** The oldest that was not consumed. */
  get first(): Received | undefined {
    return this.items[this.head];
  }

  /** The oldest `count` that were not consumed. */
  list(count: number = this.count): readonly Received[] {
    return this.items.slice(this.head, this.head + count);
  }

  put(signal: Received): void {
    this.items.push(signal);
  }

  /** Consumes the oldest. */
  take(): Received {
    const { first } = this;
    if (first === undefined) throw new Error("the journal consumes a signal that was never received");
    this.head++;
    // Moves the array only once in a while, so that thousands of buffered signals stay linear.
    if (this.head > 1024) {
      this.items.splice(0, this.head);
      this.head = 0;
    }
    return first;
  }
}
