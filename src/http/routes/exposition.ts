/**
 * Owns: the text format of Prometheus, version 0.0.4.
 * Does not own: which metrics there are (metrics).
 */

/** A family of metrics. All are gauges: values are of now, or of a moving window, and no counters. */
export type Family = {
  /** Letters, digits and `_`. */
  readonly name: string;
  readonly help: string;
  readonly samples: readonly Sample[];
};

/** A sample; its labels are unique within the family. */
export type Sample = { readonly labels: Readonly<Record<string, string>>; readonly value: number };

export const expositionType = "text/plain; version=0.0.4; charset=utf-8";

export function exposition(families: readonly Family[]): string {
  return families.map(familyText).join("");
}

function familyText({ name, help, samples }: Family): string {
  const lines = samples.map(({ labels, value }) => `${name}${labelText(labels)} ${value}\n`);
  return `# HELP ${name} ${escaped(help)}\n# TYPE ${name} gauge\n${lines.join("")}`;
}

function labelText(labels: Sample["labels"]): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value).replaceAll('"', '\\"')}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
