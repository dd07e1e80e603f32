/** Labels of a run: those that its definition makes from the input, overridden by those given at its start. */
import type { Definition } from "./definition.ts";
import type { EntryOf } from "../history/entry.ts";
import { HoldfastError, hasCode, messageOf } from "../error.ts";
import { isPlain, mention } from "../option.ts";
import { isLonger, shortened } from "../size.ts";
import { decode } from "../value/value.ts";
import type { Stored } from "../value/value.ts";

/** How many may be given at a start over HTTP, and how many a definition may make: a row of the directory holds them. */
export const maxLabels = 64;

export type Labels = Readonly<Record<string, string>>;
type Labelled = Pick<Definition, "name" | "labels">;

/**
 * The labels of a run with this input.
 * @param known those that the run has on record, some perhaps from before all of these limits: they stay good for it
 * @throws HoldfastError label_invalid, also where the workflow's own function throws on the input
 */
export function labelsOf({ name, labels }: Labelled, input: Stored, given: Labels = {}, known: Labels = {}): Labels {
  if (!isPlain(given))
    throw new HoldfastError("label_invalid", `labels must be an object of texts, not ${mention(given)}`);
  try {
    const made: unknown = labels?.(decode(input) as never) ?? {};
    if (!isPlain(made)) throw new TypeError("what the function returned is no object of texts");
    const isNew = ([label, value]: [string, unknown]): boolean =>
      !Object.hasOwn(known, label) || known[label] !== value;
    if (Object.entries(made).filter(isNew).length > maxLabels) throw new TypeError(`there may be at most ${maxLabels}`);
    const all = { ...(made as Labels), ...given };
    checkLabels(Object.entries(all).filter(isNew));
    return all;
  } catch (cause) {
    if (hasCode(cause, "label_invalid")) throw cause;
    const message = `the labels of ${name} cannot be made from this input: ${messageOf(cause)}`;
    throw new HoldfastError("label_invalid", message, { cause });
  }
}

/** The labels that were given at the start. @param make the `labels` function of the run's own version */
export function givenLabels(
  { labels, input, sent = input }: Pick<EntryOf<"run.created">, "labels" | "input" | "sent">,
  make: Definition["labels"],
): Labels {
  const [made, first] = [madeLabels(make, input), madeLabels(make, sent)];
  const isGiven = ([label, value]: [string, string]): boolean => made[label] !== value && first[label] !== value;
  return Object.fromEntries(Object.entries(labels).filter(isGiven));
}

/** No labels where the function throws on the input. */
function madeLabels(make: Definition["labels"], input: Stored): Labels {
  try {
    return make?.(decode(input) as never) ?? {};
  } catch {
    return {};
  }
}

const safe = "well-formed and without NUL";

function checkLabels(labels: readonly [string, unknown][]): void {
  for (const [label, value] of labels) {
    const problem = labelProblem(label, value);
    if (problem !== null) throw new HoldfastError("label_invalid", problem);
  }
}

/** Why this is no label; null if it is one. */
export function labelProblem(label: string, value: unknown): string | null {
  if (label === "__proto__") return "a label cannot be called __proto__";
  if (!isLabel(label, 256) || label === "") {
    const shown = JSON.stringify(shortened(label, 40));
    return `the key ${shown} of a label is not text of 1 to 256 characters, ${safe}`;
  }
  return isLabel(value, 1024)
    ? null
    : `label ${JSON.stringify(label)} is not text of at most 1,024 characters, ${safe}`;
}

/** Text that storage, or an address with it, would change could not be found again. */
function isLabel(text: unknown, longest: number): boolean {
  return typeof text === "string" && !isLonger(text, longest) && text.isWellFormed() && !text.includes("\0");
}
