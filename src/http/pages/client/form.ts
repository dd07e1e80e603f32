/**
 * Owns: forms for JSON values that form.tsx drew: their buttons, the switch between form and JSON, and showing errors of
 * the server at their fields. client/field.ts reads and fills the fields.
 */
import type { Json } from "../../../core/form/field.ts";
import { addRow, applyGiven, chooseVariant, difference, fillField, prepareField, readField } from "./field.ts";
import { clearError, FieldError, findField, showError } from "./error.ts";
import { onDrawn } from "./page.ts";
import { removeRow } from "./row.ts";

type Problem = {
  readonly code?: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
};

export const valueForm = "[data-value-form]";

export function startForms(): void {
  onDrawn((root) => {
    for (const form of root.querySelectorAll<HTMLElement>(`${valueForm}:not([data-ui-ready])`)) prepare(form);
  });
  document.addEventListener("click", ({ target }) => {
    const button = target instanceof Element ? target.closest<HTMLButtonElement>(`${valueForm} button`) : null;
    if (button !== null) press(button);
  });
  document.addEventListener("change", ({ target }) => {
    const select = target instanceof HTMLSelectElement ? target : null;
    const around = select?.parentElement ?? null;
    if (select === null || around === null || select.closest(valueForm) === null) return;
    if (select.dataset["given"] !== undefined) applyGiven(around);
    if (select.dataset["variant"] !== undefined) chooseVariant(around, select.selectedIndex);
  });
  document.addEventListener("input", ({ target }) => {
    const field =
      target instanceof Element
        ? target.closest<HTMLElement>(`${valueForm} .form-field[data-kind], ${valueForm}`)
        : null;
    if (field !== null) clearError(field);
  });
  document.addEventListener("problem", (event) => {
    if (event.target instanceof HTMLFormElement) showErrors(event.target, event as CustomEvent<Problem>);
  });
}

function prepare(form: HTMLElement): void {
  form.dataset["uiReady"] = "";
  const field = fieldOf(form);
  if (field !== null) prepareField(field);
}

/** The entered value, or undefined for none. @throws FieldError */
export function readForm(form: HTMLElement): Json | undefined {
  for (const field of form.querySelectorAll<HTMLElement>(".form-field")) clearError(field);
  clearError(form);
  const field = fieldOf(form);
  return field === null || modeOf(form) === "json" ? parse(form) : readField(field);
}

function read(field: HTMLElement): Json | undefined {
  try {
    return readField(field);
  } catch {
    return undefined;
  }
}

function parse(form: HTMLElement): Json | undefined {
  let text = "";
  rawOf(form, (raw) => (text = raw.value));
  if (text.trim() === "") return undefined;
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    const message = `This is not JSON: ${error instanceof Error ? error.message : "it does not parse"}`;
    showError(form, message);
    throw new FieldError(message);
  }
}

function press(button: HTMLButtonElement): void {
  const { add, remove, formMode: mode } = button.dataset;
  if (add !== undefined && button.parentElement !== null) return focusIn(addRow(button.parentElement));
  const row = remove === undefined ? null : button.closest<HTMLElement>("[data-line]");
  if (row !== null) {
    const near = row.nextElementSibling?.querySelector<HTMLElement>("[data-remove]:not(:disabled)");
    const add = row.parentElement?.querySelector<HTMLElement>(":scope > [data-add]");
    removeRow(row);
    (near ?? add)?.focus();
  }
  const form = button.closest<HTMLElement>(valueForm);
  if (form !== null && (mode === "json" || mode === "fields")) switchMode(form, mode);
}

function focusIn(row: HTMLElement): void {
  row.querySelector<HTMLElement>("input, select, textarea")?.focus();
}

type Mode = "fields" | "json";

/** Switches between form and JSON, and takes the entered value along. */
function switchMode(form: HTMLElement, mode: Mode): void {
  const field = fieldOf(form);
  if (field === null || modeOf(form) === mode) return;
  clearError(form);
  try {
    if (mode === "json") {
      const value = readField(field);
      rawOf(form, (raw) => (raw.value = value === undefined ? "" : JSON.stringify(value, null, 2)));
    } else {
      const value = parse(form);
      fillField(field, value);
      const lost = difference(value, read(field));
      if (lost !== null) return showError(form, lostText(lost));
    }
  } catch (error) {
    if (error instanceof FieldError) return;
    throw error;
  }
  show(form, mode);
}

function lostText(path: string): string {
  return path === ""
    ? "The form cannot hold this value, so it stays JSON."
    : `The form has no place for what is at ${path}, so it stays JSON.`;
}

/** Shows one pane and disables the other, because the browser also validates fields that are hidden. */
function show(form: HTMLElement, mode: Mode): void {
  for (const pane of form.querySelectorAll<HTMLFieldSetElement>(":scope > [data-pane]")) {
    const isShown = pane.dataset["pane"] === mode;
    pane.hidden = !isShown;
    pane.disabled = !isShown;
  }
  for (const button of form.querySelectorAll<HTMLElement>("[data-form-mode]")) {
    button.setAttribute("aria-pressed", String(button.dataset["formMode"] === mode));
  }
}

function modeOf(form: HTMLElement): Mode {
  const pane = form.querySelector<HTMLElement>(":scope > [data-pane]:not([hidden])");
  return pane?.dataset["pane"] === "json" ? "json" : "fields";
}

function fieldOf(form: HTMLElement): HTMLElement | null {
  return form.querySelector<HTMLElement>(":scope > [data-pane=fields] > .form-field");
}

function rawOf(form: HTMLElement, use: (raw: HTMLTextAreaElement) => void): void {
  const raw = form.querySelector<HTMLTextAreaElement>("[data-raw]");
  if (raw !== null) use(raw);
}

/** Shows each error at its field. If each has one, the default is prevented, which is a list of all errors. */
function showErrors(outer: HTMLFormElement, event: CustomEvent<Problem>): void {
  const { code = "", errors = [] } = event.detail;
  const forms = [...outer.querySelectorAll<HTMLElement>(valueForm)];
  const placed = errors.map(({ path, message }) => {
    const segments = path
      .split("/")
      .slice(1)
      .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
    const target = targetOf(forms, code, segments);
    if (target === null) return false;
    const { form, rest } = target;
    const field = fieldOf(form);
    if (field === null || modeOf(form) === "json")
      showError(form, rest.length === 0 ? message : `/${rest.join("/")}: ${message}`);
    else showError(findField(field, rest), message);
    return true;
  });
  if (placed.length === 0 || placed.includes(false)) return;
  event.preventDefault();
  outer.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
}

type Target = { readonly form: HTMLElement; readonly rest: readonly string[] };

/** The field for the path of an error. Paths of a schema begin at the value, all others at the body. */
function targetOf(forms: readonly HTMLElement[], code: string, segments: readonly string[]): Target | null {
  const isBody =
    code === "body_invalid" || code === "field_unknown" || code === "label_invalid" || code === "schedule_invalid";
  const [first] = forms;
  if (!isBody) {
    const form = forms.find((each) => each.getAttribute("name") === "input") ?? first;
    if (form === undefined) return null;
    return { form, rest: form.dataset["spread"] === undefined ? segments : ["input", ...segments] };
  }
  const [name, ...rest] = segments;
  const named = forms.find((form) => form.getAttribute("name") === name);
  if (named !== undefined) return { form: named, rest };
  const spread = forms.find((form) => form.dataset["spread"] !== undefined || form.dataset["body"] !== undefined);
  return spread === undefined || findFirst(spread, segments) === null ? null : { form: spread, rest: segments };
}

function findFirst(form: HTMLElement, [name = ""]: readonly string[]): Element | null {
  return form.querySelector(`.form-field[data-name="${CSS.escape(name)}"]`);
}
