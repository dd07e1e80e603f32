/**
 * Owns: reading a JSON value from a field that form.tsx drew, and filling a field with a value. `undefined` means no value.
 */
import type { Json } from "../../../core/form/field.ts";
import { FieldError, showError } from "./error.ts";
import { bodyOf, choiceOf, controlOf, entriesOf, fieldIn, fieldsIn, hasBody, nameOf } from "./row.ts";
import { copy, countRows, insertRow, rowsOf } from "./row.ts";
import type { Control } from "./row.ts";

/** @throws FieldError, which is also shown at the field */
export function readField(field: HTMLElement): Json | undefined {
  const given = choiceOf(field, "given");
  if (given !== null && given.value !== "given") return given.value === "null" ? null : undefined;
  const body = bodyOf(field);
  switch (field.dataset["kind"]) {
    case "object":
      return readObject(field, body);
    case "list":
      return rowsOf(body).map((row) => readField(fieldIn(row)) ?? null);
    case "tuple":
      return fieldsIn(body).map((item) => readField(item) ?? null);
    case "variants":
      return readField(fieldIn(body));
    case "number":
      return readText(field, body, Number);
    case "text":
      return readText(field, body, (text) => textOf(controlOf(body), text));
    case "json":
      return readText(field, body, (text) => parse(text, field));
    default:
      return readOption(field, body);
  }
}

function readObject(field: HTMLElement, body: HTMLElement): Json {
  const members = fieldsIn(body).map((member) => [member.dataset["name"] ?? "", readField(member)] as const);
  const entries = entriesOf(body).map((row) => [nameOf(row).value, readField(fieldIn(row))] as const);
  const all = [...members, ...entries].filter((pair): pair is [string, Json] => pair[1] !== undefined);
  const twice = all.find(([name], index) => all.findIndex(([other]) => other === name) !== index);
  if (twice !== undefined) throw fail(field, `There are two entries with the name ${JSON.stringify(twice[0])}.`);
  const value = Object.fromEntries(all);
  // A plain object with a $type of its own is escaped, or it would be decoded as another type.
  return Object.hasOwn(value, "$type") ? { $type: "Object", value } : value;
}

function readText(field: HTMLElement, body: HTMLElement, convert: (text: string) => Json): Json | undefined {
  const text = controlOf(body).value;
  if (field.dataset["kind"] === "text" ? text !== "" : text.trim() !== "") return convert(text);
  if (field.dataset["blank"] === "absent") return undefined;
  if (field.dataset["blank"] === "null") return null;
  return field.dataset["kind"] === "text" ? "" : undefined;
}

function parse(text: string, field: HTMLElement): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw fail(field, `This is not JSON: ${error instanceof Error ? error.message : "it does not parse"}`);
  }
}

/** The control shows an instant in the reader's zone. If it was not changed, it is sent as it was given. */
function textOf(control: Control, text: string): string {
  if (control.dataset["zone"] === undefined) return text;
  const { uiShown, uiText } = control.dataset;
  return uiText !== undefined && uiShown === text ? uiText : new Date(text).toISOString();
}

function readOption(field: HTMLElement, body: HTMLElement): Json | undefined {
  const { value } = field.dataset;
  const control = body.querySelector<Control>("input:checked, select, input[type=checkbox]");
  if (control instanceof HTMLInputElement && control.type === "checkbox") return control.checked;
  const text = control?.value ?? (body.querySelector("output") === null ? "" : (value ?? ""));
  return text === "" ? undefined : (JSON.parse(text) as Json);
}

/** Fills the field as far as it can hold the value: {@link difference} finds what was lost. */
export function fillField(field: HTMLElement, value: Json | undefined): void {
  const given = choiceOf(field, "given");
  if (given !== null) {
    const wanted = value === undefined ? "absent" : value === null ? "null" : "given";
    given.value = [...given.options].some((option) => option.value === wanted) ? wanted : "given";
    applyGiven(field);
    if (given.value !== "given") return;
  }
  const body = bodyOf(field);
  switch (field.dataset["kind"]) {
    case "object":
      return fillObject(body, value);
    case "list":
      return fillList(body, Array.isArray(value) ? (value as readonly Json[]) : []);
    case "tuple":
      for (const [index, item] of fieldsIn(body).entries())
        fillField(item, Array.isArray(value) ? (value as Json[])[index] : undefined);
      return;
    case "variants":
      return fillVariant(body, value);
    case "json":
      controlOf(body).value = value === undefined ? "" : JSON.stringify(value, null, 2);
      return;
    case "text":
    case "number":
      return fillText(controlOf(body), value);
    default:
      fillOption(body, value);
  }
}

function fillObject(body: HTMLElement, value: Json | undefined): void {
  const object = isObject(value) && value["$type"] === "Object" && isObject(value["value"]) ? value["value"] : value;
  const members = isObject(object) ? object : {};
  const own = (name: string): Json | undefined => (Object.hasOwn(members, name) ? members[name] : undefined);
  const known = fieldsIn(body);
  for (const member of known) fillField(member, own(member.dataset["name"] ?? ""));
  const list = body.querySelector<HTMLElement>(":scope > [data-entries]");
  if (list === null) return;
  for (const row of rowsOf(list)) row.remove();
  const names = new Set(known.map((member) => member.dataset["name"]));
  for (const [name, each] of Object.entries(members)) {
    if (names.has(name)) continue;
    const row = addRow(list);
    nameOf(row).value = name;
    fillField(fieldIn(row), each);
  }
}

function fillList(body: HTMLElement, items: readonly Json[]): void {
  for (const row of rowsOf(body)) row.remove();
  for (const item of items) fillField(fieldIn(addRow(body)), item);
  fillUp(body);
}

/** The first variant that can hold the value. */
function fillVariant(body: HTMLElement, value: Json | undefined): void {
  const select = choiceOf(body, "variant");
  if (select === null) return;
  for (const { index } of select.options) {
    chooseVariant(body, index);
    fillField(fieldIn(body), value);
    if (value === undefined || difference(value, tryField(fieldIn(body))) === null) return;
  }
  chooseVariant(body, 0);
  fillField(fieldIn(body), value);
}

function tryField(field: HTMLElement): Json | undefined {
  try {
    return readField(field);
  } catch {
    return undefined;
  }
}

function fillText(control: Control, value: Json | undefined): void {
  const text = typeof value === "string" ? value : value === undefined || value === null ? "" : JSON.stringify(value);
  const target = text.includes("\n") ? toTextArea(control) : control;
  if (target.dataset["zone"] === undefined) {
    target.value = text;
    return;
  }
  const at = new Date(text);
  const isInstant = text !== "" && !Number.isNaN(at.getTime());
  // The control refuses instants that are finer than its step, which is a minute by default.
  if (isInstant && target instanceof HTMLInputElement) target.step = at.getTime() % 60_000 === 0 ? "60" : "0.001";
  target.value = isInstant ? new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, -1) : "";
  target.dataset["uiShown"] = target.value;
  if (isInstant) target.dataset["uiText"] = text;
}

/** Replaces a text input, which holds one line only, by a text area. */
function toTextArea(control: Control): Control {
  if (!(control instanceof HTMLInputElement) || control.type !== "text") return control;
  const area = document.createElement("textarea");
  for (const { name, value } of control.attributes)
    if (name !== "type" && name !== "pattern") area.setAttribute(name, value);
  control.replaceWith(area);
  return area;
}

function fillOption(body: HTMLElement, value: Json | undefined): void {
  const text = value === undefined ? "" : JSON.stringify(value);
  for (const control of body.querySelectorAll<Control>("input, select")) {
    if (control instanceof HTMLSelectElement) control.value = text;
    else if (control instanceof HTMLInputElement)
      control.checked = control.type === "checkbox" ? value === true : control.value === text;
  }
}

/** The first place where the values differ, as a JSON pointer; null if all of `wanted` is in `got`. */
export function difference(wanted: Json | undefined, got: Json | undefined, path = ""): string | null {
  if (wanted === undefined) return null;
  if (typeof wanted !== "object" || wanted === null) return wanted === got ? null : path;
  if (typeof got !== "object" || got === null || Array.isArray(wanted) !== Array.isArray(got)) return path;
  if (Array.isArray(wanted) && wanted.length !== (got as readonly Json[]).length) return path;
  for (const [name, each] of Object.entries(wanted) as [string, Json][]) {
    const inner = `${path}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    const there = Object.hasOwn(got, name) ? (got as Record<string, Json>)[name] : undefined;
    if (there === undefined) return inner;
    const found = difference(each, there, inner);
    if (found !== null) return found;
  }
  return null;
}

/** Prepares a field that was drawn or copied: applies its selects, adds the required rows, and fills in its initial value. */
export function prepareField(field: HTMLElement): void {
  const { initial } = field.dataset;
  const given = choiceOf(field, "given");
  if (given !== null && initial !== undefined) given.value = "given";
  if (given !== null) applyGiven(field);
  else if (hasBody(field)) prepareBody(field.dataset["kind"], bodyOf(field));
  if (initial !== undefined) fillField(field, JSON.parse(initial) as Json);
}

function prepareBody(kind: string | undefined, body: HTMLElement): void {
  if (kind === "variants") return chooseVariant(body, 0);
  if (kind === "list") return fillUp(body);
  for (const inner of fieldsIn(body)) prepareField(inner);
}

/** Shows the body of a field that is given, and hides it otherwise. */
export function applyGiven(field: HTMLElement): void {
  const given = choiceOf(field, "given");
  const template = field.querySelector<HTMLTemplateElement>(":scope > template[data-given]");
  if (given === null || template === null) return;
  if (given.value !== "given") {
    if (hasBody(field)) bodyOf(field).remove();
    return;
  }
  if (hasBody(field)) return;
  template.after(copy(template));
  prepareBody(field.dataset["kind"], bodyOf(field));
}

/** Replaces the body by that of the variant. What was entered in the other one is lost. */
export function chooseVariant(body: HTMLElement, index: number): void {
  const select = choiceOf(body, "variant");
  const template = body.querySelector<HTMLTemplateElement>(`:scope > template[data-variant="${index}"]`);
  if (select === null || template === null) return;
  select.selectedIndex = index;
  for (const inner of fieldsIn(body)) inner.remove();
  body.append(copy(template));
  for (const inner of fieldsIn(body)) prepareField(inner);
}

/** Adds a prepared row to a list or to the entries of an object. */
export function addRow(list: HTMLElement): HTMLElement {
  const row = insertRow(list);
  prepareField(fieldIn(row));
  return row;
}

function fillUp(list: HTMLElement): void {
  const min = Math.min(Number(list.dataset["min"] ?? 0), 50);
  while (rowsOf(list).length < min) addRow(list);
  countRows(list);
}

function fail(field: HTMLElement, message: string): FieldError {
  showError(field, message);
  return new FieldError(message);
}

function isObject(value: Json | undefined): value is { readonly [name: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
