/** Owns: what differs between two texts, line by line. */

export type Line = { readonly kind: "same" | "removed" | "added"; readonly text: string };

/** Longer texts are compared as far as this. */
const maxLines = 200;

/** The shortest way from one text to the other: lines taken away come before those that took their place. */
export function diffLines(before: string, after: string): Line[] {
  const [left, right] = [linesOf(before), linesOf(after)];
  const lengths = commonLengths(left, right);
  const lines: Line[] = [];
  let [i, j] = [0, 0];
  while (i < left.length || j < right.length) {
    const [one, other] = [left[i], right[j]];
    if (one !== undefined && one === other) {
      lines.push({ kind: "same", text: one });
      i++;
      j++;
    } else if (one !== undefined && (other === undefined || at(lengths, i + 1, j) >= at(lengths, i, j + 1))) {
      lines.push({ kind: "removed", text: one });
      i++;
    } else {
      lines.push({ kind: "added", text: other ?? "" });
      j++;
    }
  }
  return lines;
}

function linesOf(text: string): string[] {
  return text === "" ? [] : text.split("\n").slice(0, maxLines);
}

/** For each pair of places, how many lines what follows has in common, in order. */
function commonLengths(left: readonly string[], right: readonly string[]): number[][] {
  const lengths = Array.from({ length: left.length + 1 }, () => Array.from({ length: right.length + 1 }, () => 0));
  for (let i = left.length - 1; i >= 0; i--) {
    const row = lengths[i] ?? [];
    for (let j = right.length - 1; j >= 0; j--) {
      row[j] =
        left[i] === right[j] ? at(lengths, i + 1, j + 1) + 1 : Math.max(at(lengths, i + 1, j), at(lengths, i, j + 1));
    }
  }
  return lengths;
}

function at(lengths: readonly (readonly number[])[], i: number, j: number): number {
  return lengths[i]?.[j] ?? 0;
}
