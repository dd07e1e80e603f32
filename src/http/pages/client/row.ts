/**
 * Owns: finding the parts of a field that form.tsx drew, and rows that are copied from templates.
 */

export type Control = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

/** Appends a copy of the row's template. */
export function insertRow(list: HTMLElement): HTMLElement {
  const template = list.querySelector<HTMLTemplateElement>(":scope > template[data-line]");
  template?.before(copy(template));
  countRows(list);
  const row = rowsOf(list).at(-1);
  if (row === undefined) throw new Error("a list without a template for its rows");
  return row;
}

export function removeRow(row: HTMLElement): void {
  const list = row.parentElement;
  row.remove();
  if (list !== null) countRows(list);
}

/** Numbers the rows, and enables or disables their buttons by the limits of the list. */
export function countRows(list: HTMLElement): void {
  const { min, max } = list.dataset;
  const rows = rowsOf(list);
  for (const [index, row] of rows.entries()) {
    const name = row.querySelector<HTMLElement>(":scope > .form-field [data-count]");
    if (name !== null) name.textContent = `Item ${index + 1}`;
    const remove = row.querySelector<HTMLButtonElement>(":scope > [data-remove]");
    if (remove === null) continue;
    remove.setAttribute(
      "aria-label",
      `Remove ${list.dataset["entries"] === undefined ? "item" : "entry"} ${index + 1}`,
    );
    remove.disabled = min !== undefined && rows.length <= Number(min);
  }
  const add = list.querySelector<HTMLButtonElement>(":scope > [data-add]");
  if (add !== null) add.disabled = max !== undefined && rows.length >= Number(max);
}

let copies = 0;

/** A copy of the template's content, with unique ids. */
export function copy(template: HTMLTemplateElement): DocumentFragment {
  copies++;
  const fragment = template.content.cloneNode(true) as DocumentFragment;
  for (const element of fragment.querySelectorAll("*")) {
    for (const name of ["id", "for", "aria-describedby", "aria-labelledby"]) {
      const value = element.getAttribute(name);
      if (value !== null)
        element.setAttribute(
          name,
          value
            .split(" ")
            .map((id) => `${id}.${copies}`)
            .join(" "),
        );
    }
    if (element instanceof HTMLInputElement && element.type === "radio") element.name += `.${copies}`;
  }
  return fragment;
}

export function bodyOf(field: HTMLElement): HTMLElement {
  const body = field.querySelector<HTMLElement>(":scope > [data-body]");
  if (body === null) throw new Error(`a field of kind ${field.dataset["kind"] ?? "none"} without a body`);
  return body;
}

export function hasBody(field: HTMLElement): boolean {
  return field.querySelector(":scope > [data-body]") !== null;
}

export function fieldsIn(body: HTMLElement): HTMLElement[] {
  return [...body.querySelectorAll<HTMLElement>(":scope > .form-field[data-kind]")];
}

export function fieldIn(around: HTMLElement): HTMLElement {
  const [field] = fieldsIn(around);
  if (field === undefined) throw new Error("a row or a variant without a field");
  return field;
}

export function rowsOf(list: HTMLElement): HTMLElement[] {
  return [...list.querySelectorAll<HTMLElement>(":scope > [data-line]:not(template)")];
}

export function entriesOf(body: HTMLElement): HTMLElement[] {
  const list = body.querySelector<HTMLElement>(":scope > [data-entries]");
  return list === null ? [] : rowsOf(list);
}

export function nameOf(row: HTMLElement): HTMLInputElement {
  const input = row.querySelector<HTMLInputElement>("[data-entry]");
  if (input === null) throw new Error("an entry without a name");
  return input;
}

export function controlOf(body: HTMLElement): Control {
  const control = body.querySelector<Control>("input, textarea, select");
  if (control === null) throw new Error("a field without a control");
  return control;
}

export function choiceOf(around: HTMLElement, name: "given" | "variant"): HTMLSelectElement | null {
  return around.querySelector<HTMLSelectElement>(`:scope > select[data-${name}]`);
}
