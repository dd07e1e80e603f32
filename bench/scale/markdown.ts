/** Writes tables and figures in Markdown. */

export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** Three significant digits. */
export function number(value: number): string {
  if (value >= 1000) return whole(value);
  return String(Number(value.toPrecision(3)));
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

export function money(dollars: number): string {
  return dollars >= 1000 ? `$${whole(dollars)}` : `$${dollars.toFixed(2)}`;
}

/** An amount, also below a cent. */
export function dollars(amount: number): string {
  return amount < 0.01 ? `$${amount.toPrecision(1)}` : money(amount);
}
