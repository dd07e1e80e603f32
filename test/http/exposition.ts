/** A strict reader of the text format of Prometheus, version 0.0.4: what is not allowed is an error that names its line. */

export type Read = {
  /** By the name of the family, in their order. */
  readonly families: ReadonlyMap<string, { readonly help: string; readonly type: string }>;
  /** By series: the name, and behind it the labels as JSON, sorted by their names. */
  readonly values: ReadonlyMap<string, number>;
};

const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)$/;
/** At the beginning of what is left of the labels. */
const pair = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,(?=.)|$)/;
const number = /^(?:[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN)$/;

export function seriesOf(name: string, labels: Readonly<Record<string, string>> = {}): string {
  const pairs = Object.entries(labels).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return `${name} ${JSON.stringify(pairs)}`;
}

/** Every family has HELP, TYPE and then all its samples; no series is there twice. */
export function readExposition(text: string): Read {
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  const families = new Map<string, { help: string; type: string }>();
  const values = new Map<string, number>();
  let family = "";
  let untyped: { readonly name: string; readonly help: string } | null = null;
  for (const line of text.slice(0, -1).split("\n")) {
    const refuse = (why: string): Error => new Error(`${why}: ${line}`);
    const [, word, name = "", rest = ""] = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line) ?? [];
    if (word === "HELP") {
      if (families.has(name)) throw refuse("a second HELP");
      if (untyped !== null) throw refuse("the family before has no TYPE");
      if (!/^(?:[^\\]|\\[\\n])*$/.test(rest)) throw refuse("an escape that there is not");
      untyped = { name, help: rest };
    } else if (word === "TYPE") {
      if (untyped?.name !== name) throw refuse("a TYPE that does not follow its HELP");
      if (!["counter", "gauge", "histogram", "summary", "untyped"].includes(rest)) throw refuse("an unknown type");
      families.set(name, { help: untyped.help, type: rest });
      family = name;
      untyped = null;
    } else {
      const [, metric = "", labels = "", value = ""] = sample.exec(line) ?? [];
      if (metric === "" || metric !== family || untyped !== null) throw refuse("a sample that is not of the family");
      if (!number.test(value)) throw refuse("a value that is no number");
      const series = seriesOf(metric, readLabels(labels, refuse));
      if (values.has(series)) throw refuse("a series for the second time");
      values.set(series, Number(value));
    }
  }
  return { families, values };
}

function readLabels(text: string, refuse: (why: string) => Error): Record<string, string> {
  const labels: Record<string, string> = {};
  for (let rest = text; rest !== "";) {
    const [whole, name = "", value = ""] = pair.exec(rest) ?? [];
    if (whole === undefined) throw refuse("labels that cannot be read");
    if (Object.hasOwn(labels, name)) throw refuse("a label for the second time");
    labels[name] = value.replaceAll(/\\(.)/g, (_all, escaped: string) => (escaped === "n" ? "\n" : escaped));
    rest = rest.slice(whole.length);
  }
  return labels;
}
