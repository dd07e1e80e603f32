/** The cause of a failure, by which failed runs are grouped: workflow, step, code, and the message without its numbers. */
import type { StoredError } from "../error.ts";
import { nameOfCall } from "../name.ts";
import { shortened } from "../size.ts";
import type { Cause } from "../service/directory.ts";

/** A failed run, with what its cause is made of. `at` is its end, epoch ms. */
export type Failure = {
  readonly run: string;
  readonly workflow: string;
  readonly error: Pick<StoredError, "message" | "code" | "step" | "cause" | "child">;
  readonly at: number;
};

/** Characters of a message's outline that are compared. */
const comparedLength = 500;
/** Characters of a message that are read and shown. */
const shownLength = 1000;

/** The part of a run that its cause is made of. Without an error the message counts as empty. */
export type Failed = { readonly workflow: string; readonly error: Failure["error"] | null };

/**
 * The id of the run's cause (of one that has not failed: the cause it would have): 14 letters and digits. It is the same
 * in every shard and deployment, so that links to it stay valid.
 */
export function causeOf({ workflow, error }: Failed): string {
  const { code = null, step, message } = error ?? { message: "" };
  return toId({ workflow, code, step: step === undefined ? null : nameOfCall(step), message });
}

/** Whether the text can be the id of a cause. */
export function isCauseId(text: string): boolean {
  return /^[0-9a-z]{14}$/.test(text);
}

function toId({ workflow, code, step, message }: Pick<Cause, "workflow" | "code" | "step" | "message">): string {
  return hash(JSON.stringify([workflow, code, step, outline(message)]));
}

/** The failure of a child that its parents failed of: its error, its run, and by how many parents it was passed on. */
export type Origin = { readonly error: Failure["error"]; readonly run: string; readonly depth: number };

/** Null for an error that came from no child. @param passed by how many parents it was passed on already */
export function originOf({ code, child, cause, message }: Failure["error"], passed = 0): Origin | null {
  // Of a child that did not end in time, its parent says all there is to say.
  if (code !== "child_failed" || child === undefined || cause === undefined || cause.message === message) return null;
  return originOf(cause, passed + 1) ?? { error: cause, run: child, depth: passed + 1 };
}

function rootOf(failed: Failure["error"]): Begun {
  const { error, depth } = originOf(failed) ?? { error: failed, depth: 0 };
  // What a child failed of does not say of which workflow the child was.
  return { root: causeOf({ workflow: "", error }), depth };
}

/** A hash of 64 bits, as two of 32 that are mixed at the end. Not for secrets. */
function hash(text: string): string {
  let [one, other] = [0x811c9dc5, 0x2f0b4c47];
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    one = Math.imul(one ^ unit, 0x01000193);
    // Rotated, because the higher bits of a product never reach its lower ones.
    other = Math.imul(((other << 13) | (other >>> 19)) ^ unit, 0x9e3779b1);
  }
  return spell(one ^ (other >>> 15)) + spell(other ^ Math.imul(one >>> 13, 0x85ebca6b));
}

/** 32 bits as seven letters and digits. */
function spell(bits: number): string {
  return (bits >>> 0).toString(36).padStart(7, "0");
}

type Begun = Pick<Cause, "root" | "depth">;
type Counted = Omit<Cause, "id" | keyof Begun>;

/** Failures counted by cause: single ones, and the counts of other shards. */
export class Causes {
  readonly #causes = new Map<string, Cause>();
  readonly #limit: number;

  /** @param limit how many causes are kept; failures of any further one are left out, so that no shard runs out of memory */
  constructor(limit: number) {
    this.#limit = limit;
  }

  add({ run, workflow, error, at }: Failure): void {
    const { code = null, step, message } = error;
    const name = step === undefined ? null : nameOfCall(step);
    const shown = shortened(message, shownLength);
    const counted = { workflow, code, step: name, message: shown, count: 1, firstAt: at, lastAt: at, run };
    this.#count(counted, () => rootOf(error));
  }

  /** A shard that runs other code may have given another id, or none, and does not tell where it began. */
  merge({ root, depth, ...counted }: Counted & Partial<Begun>): void {
    this.#count(counted, (id) => ({ root: root ?? id, depth: depth ?? 0 }));
  }

  /** @param begun where a failure of a cause that is new here began */
  #count(counted: Counted, begun: (id: string) => Begun): void {
    const id = toId(counted);
    const known = this.#causes.get(id);
    if (known === undefined && this.#causes.size >= this.#limit) return;
    if (known === undefined) return void this.#causes.set(id, { ...counted, id, ...begun(id) });
    const newest = isNewer(counted, known) ? counted : known;
    this.#causes.set(id, {
      ...known,
      ...{ message: newest.message, lastAt: newest.lastAt, run: newest.run },
      count: known.count + counted.count,
      firstAt: Math.min(known.firstAt, counted.firstAt),
    });
  }

  /** The most frequent first; of equals the newest, then by id. */
  top(limit: number): Cause[] {
    const sorted = [...this.#causes.values()].toSorted(
      (one, other) => other.count - one.count || other.lastAt - one.lastAt || (one.id < other.id ? -1 : 1),
    );
    return sorted.slice(0, limit);
  }
}

/** A cause, and those of the runs that failed of it. */
export type Family = { readonly cause: Cause; readonly parents: readonly Cause[] };

/**
 * The causes, each with those of the runs that failed of it: the failure of a child is one, however many ancestors it has.
 * Those that may belong to several are left to themselves.
 */
export function familiesOf(causes: readonly Cause[]): readonly Family[] {
  const related = Map.groupBy(causes, ({ root }) => root);
  return causes.flatMap((cause): Family[] => {
    const kin = related.get(cause.root) ?? [cause];
    const nearest = Math.min(...kin.map(({ depth }) => depth));
    const [first, ...others] = kin.filter(({ depth }) => depth === nearest);
    if (others.length > 0) return [{ cause, parents: [] }];
    return first === cause ? [{ cause, parents: kin.filter((each) => each !== cause) }] : [];
  });
}

function isNewer(one: Counted, other: Counted): boolean {
  return one.lastAt > other.lastAt || (one.lastAt === other.lastAt && one.run > other.run);
}

/**
 * The message with every number, and every word that has a digit in it (an id, a date, an address), replaced by one
 * character: `order 7 of run 01K3Z` and `order 12 of run 01K9A` have the same outline. So is the instant in the id of a
 * child, which in base 36 may happen to have no digit.
 */
export function outline(message: string): string {
  return message
    .slice(0, shownLength)
    .replaceAll(/(?<=\bchild run )\S+/g, (id) => id.replaceAll(/\.[0-9a-z]{8}\./g, ".#."))
    .replaceAll(/[\p{L}\p{N}_-]+/gu, (word) => (/\p{N}/u.test(word) ? "#" : word))
    .replaceAll(/#(?:[.,:/]#)+/g, "#")
    .slice(0, comparedLength);
}
