/**
 * Owns: what a run needs of the world outside its journal.
 * Does not own: any of it; the object that hosts the run provides it.
 */
import type { Clock } from "./clock.ts";

export interface World {
  readonly clock: Clock;
  /** Which deployment of the code this is; two lives with the same one ran the same code. */
  readonly deployment: string;
  /** The address of a webhook wait of this run. @throws HoldfastError webhook_unavailable */
  hookUrl(call: string): Promise<string>;
}
