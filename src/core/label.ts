/** Labels of a run: those that its definition makes of the input, and those given at its start, which count more. */
import type { Definition } from "./definition.ts";
import type { EntryOf } from "./entry.ts";
import { HoldfastError, hasCode, messageOf } from "./error.ts";
import { isRecord } from "./record.ts";
import { isLonger } from "./size.ts";
import { decode } from "./value.ts";
import type { Stored } from "./value.ts";

export type Labels = Readonly<Record<string, string>>;
type Labelled = Pick<Definition, "name" | "labels">;

/**
 * Of a run with this input. Without a schema that may be anything, also what the workflow's own function has not
 * thought of.
 * @throws HoldfastError label_invalid
 */
export function labelsOf({ name, labels }: Labelled, input: Stored, given: Labels = {}): Labels {
  try {
    const made: unknown = labels?.(decode(input) as never) ?? {};
    // A list, or a promise of labels, would be spread to something, or to nothing, in silence.
    if (!isRecord(made) || made instanceof Promise)
      throw new TypeError("what the function returned is no object of texts");
    return checkLabels({ ...(made as Labels), ...given });
  } catch (cause) {
    if (hasCode(cause, "label_invalid")) throw cause;
    const message = `the labels of ${name} cannot be made from this input: ${messageOf(cause)}`;
    throw new HoldfastError("label_invalid", message, { cause });
  }
}

/** The labels that were not made of the input. @param make what the run's own version makes its labels with */
export function givenLabels(
  { labels, input, sent = input }: Pick<EntryOf<"run.created">, "labels" | "input" | "sent">,
  make: Definition["labels"],
): Labels {
  const [made, first] = [madeLabels(make, input), madeLabels(make, sent)];
  const isGiven = ([label, value]: [string, string]): boolean => made[label] !== value && first[label] !== value;
  return Object.fromEntries(Object.entries(labels).filter(isGiven));
}

/** A function that no longer takes the input has made nothing of it. */
function madeLabels(make: Definition["labels"], input: Stored): Labels {
  try {
    return make?.(decode(input) as never) ?? {};
  } catch {
    return {};
  }
}

function checkLabels(labels: Labels): Labels {
  for (const [label, value] of Object.entries(labels)) {
    if (typeof value === "string" && label !== "" && !isLonger(label, 256) && !isLonger(value, 1024)) continue;
    throw new HoldfastError(
      "label_invalid",
      `label ${JSON.stringify(label)} must be text of at most 1024 characters, under a key of 1 to 256`,
    );
  }
  return labels;
}
