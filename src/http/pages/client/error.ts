/** Owns: errors of a value, shown at their fields and announced by screen readers. */
import { bodyOf, entriesOf, fieldIn, fieldsIn, hasBody, nameOf, rowsOf } from "./row.ts";

/** The content of a field is not valid. The message is shown in the dialog. */
export class FieldError extends Error {}

/** The field at the path of a server's error, or the nearest one around it. */
export function findField(field: HTMLElement, [name, ...rest]: readonly string[]): HTMLElement {
  if (name === undefined || !hasBody(field)) return field;
  const body = bodyOf(field);
  if (field.dataset["kind"] === "variants") return findField(fieldIn(body), [name, ...rest]);
  const inner = ((): HTMLElement | undefined => {
    if (field.dataset["kind"] === "list") return rowsOf(body).map(fieldIn)[Number(name)];
    if (field.dataset["kind"] === "tuple") return fieldsIn(body)[Number(name)];
    const entry = entriesOf(body).find((row) => nameOf(row).value === name);
    return fieldsIn(body).find((member) => member.dataset["name"] === name) ?? (entry && fieldIn(entry));
  })();
  return inner === undefined ? field : findField(inner, rest);
}

export function showError(field: HTMLElement, message: string): void {
  const place = field.querySelector<HTMLElement>(":scope > [data-error]");
  if (place === null) return;
  place.textContent = place.hidden ? message : `${place.textContent} ${message}`;
  place.hidden = false;
  for (const control of ownControls(field)) control.setAttribute("aria-invalid", "true");
}

export function clearError(field: HTMLElement): void {
  const place = field.querySelector<HTMLElement>(":scope > [data-error]");
  if (place === null || place.hidden) return;
  place.hidden = true;
  place.textContent = "";
  for (const control of ownControls(field)) control.removeAttribute("aria-invalid");
}

function ownControls(field: HTMLElement): HTMLElement[] {
  const isComposite = ["object", "list", "tuple", "variants"].includes(field.dataset["kind"] ?? "");
  const controls =
    isComposite || !hasBody(field) ? [] : bodyOf(field).querySelectorAll<HTMLElement>("input, select, textarea");
  return [...controls];
}
